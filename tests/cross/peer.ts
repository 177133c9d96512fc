// The peer of tests/examples/cross in Node: the client's own codecs read each frame, and write it again in both formats, plain and packed.
import { encodeBeat, encodePresence, encodeRequest, encodeSnapshotRequest, encodeSubscription, type Origin } from '../../wse-client-ts/src/core/client-messages';
import { encodeEnvelope, type Envelope } from '../../wse-client-ts/src/core/envelope';
import { decodeFrame, encodeFrame } from '../../wse-client-ts/src/core/frames';
import { parseServerMessage, type EventMessage, type ServerMessage } from '../../wse-client-ts/src/core/messages';
import { pack } from '../../wse-client-ts/src/core/msgpack-encode';
import type { TopicUpdate } from '../../wse-client-ts/src/core/topic-update';
import { readFileSync } from 'node:fs';

type Body = Omit<Envelope, 'v'>;

const PACKED = new TextEncoder().encode('M:');

function answer(line: string): string {
  const body = Buffer.from(line.slice(1), 'hex');
  const tag = body.toString('latin1', 0, 2);
  const isBinary = tag === 'M:' || tag === 'C:';
  const data = isBinary ? new Uint8Array(body).buffer : body.toString('utf8');
  const frame = decodeFrame(data, { format: 'msgpack', compression: true, batch: true });
  const isServers = line.startsWith('<');
  const json = isServers ? encodeEnvelope(frame.envelope) : written(frame.envelope);
  const read = isServers ? encodeEnvelope(told(parseServerMessage(frame))) : json;
  const packed = (['json', 'msgpack'] as const).map((format) => {
    const made = encodeFrame(json, { format, compression: true, batch: true });
    return typeof made === 'string' ? made : Buffer.from(made).toString('hex');
  });
  return JSON.stringify({ read, json, msgpack: Buffer.from(pack(JSON.parse(json), PACKED)).toString('hex'), packed });
}

/** A client's message as the client writes it, where it writes such. */
function written(envelope: Envelope): string {
  const { t, cid, id, p, c = 'U', pid } = envelope;
  // eslint-disable-next-line @typescript-eslint/no-explicit-any -- what a generator of ours made
  const fields = p as any;
  if (c === 'U' && pid !== undefined && cid !== undefined && id === undefined) {
    const { n, na, pe } = envelope;
    return encodeRequest(t, JSON.stringify(p ?? null), cid, { pid, n, na, pe } as Origin);
  }
  if (c === 'WSE' && (t === 'ping' || t === 'pong')) return encodeBeat(t, p);
  if (t === 'presence' && cid !== undefined) {
    const { action, topic, key } = fields;
    return encodePresence({ cid, action, topic, text: 'data' in fields ? JSON.stringify(fields.data) : null }, key);
  }
  if (t === 'subscription' && cid !== undefined) {
    const positions = Object.entries<{ e: string; seq: number }>(fields.positions ?? {}).map(([name, { e, seq }]) => [name, { epoch: e, seq }] as const);
    return encodeSubscription(fields.action, { topics: fields.topics, positions: new Map(positions), filters: new Map(Object.entries(fields.filters ?? {})) }, cid);
  }
  if (t === 'snapshot_request' && cid === undefined) return encodeSnapshotRequest(fields.topics);
  return encodeEnvelope(envelope);
}

/** What the client understood of a server's message, as it would stand on the wire. */
function told(message: ServerMessage): Body {
  const own = (t: string, p: unknown, rest: Partial<Body> = {}): Body => ({ c: 'WSE', t, ...rest, p });
  switch (message.kind) {
    case 'event':
      return event(message);
    case 'batch':
      return own('batch', message.messages.map((item) => ({ v: 2, ...event(item) })));
    case 'hello': {
      const { format, compression, batch, heartbeatMs, messageBytes, subscriptions, patterns, server } = message;
      return own('server_hello', { format, compression, batch, heartbeat_ms: heartbeatMs, message_bytes: messageBytes, subscriptions, patterns, server });
    }
    case 'ready': {
      const { connection, user, retryMs, session, producers, outcomesMs } = message;
      const outcomes = producers === null ? {} : { producers, outcomes_ms: outcomesMs };
      return own('server_ready', { connection, user, retry_ms: retryMs, ...outcomes, ...(session === null ? {} : { session }) });
    }
    case 'subscriptions':
      return own('subscription_update', { topics: message.topics.map(entry) }, { cid: message.cid });
    case 'error': {
      const { code, message: text, topic } = message.error;
      return own('error', { code, message: text, topic }, { cid: message.cid });
    }
    case 'reply':
      return own('reply', message.payload, { cid: message.cid });
    case 'ping':
    case 'pong':
      return own(message.kind, message.payload);
    case 'move':
      return own('move', { in_ms: message.inMs, for_ms: message.forMs });
    case 'beacon':
      return { c: 'WSE', t: 'beacon', tp: message.topic, e: message.position.epoch, seq: message.position.seq, ps: message.previous };
    case 'skip': {
      const { topic, position, previous, from, reason } = message;
      return own('skip', { from, to: position.seq, reason }, { tp: topic, e: position.epoch, ps: previous });
    }
    case 'unknown':
      throw new Error(`the client does not know the server's ${message.type}`);
  }
}

function event({ type, category, topic, position, previous, id, ts, key, payload }: EventMessage): Body {
  return { t: type, c: category, id, ts, tp: topic, e: position?.epoch, seq: position?.seq, ps: previous, k: key, p: payload };
}

function entry(update: TopicUpdate): object {
  const { topic: tp, status, topics } = update;
  const nested = topics.length === 0 ? {} : { topics: topics.map(entry) };
  if (status === 'unsubscribed') return { tp, status };
  if (status === 'refused') return { tp, status, code: update.code, message: update.message };
  const state = update.snapshot ? { snapshot: true } : {};
  const more = status === 'recovered' ? { recovered: update.recovered } : status === 'resync' ? { reason: update.reason } : {};
  return { tp, status, e: update.position?.epoch, seq: update.position?.seq, ...more, ...state, ...nested };
}

const lines = readFileSync(0, 'utf8').split('\n').filter((line) => line !== '');
process.stdout.write(lines.map((line) => `${answer(line)}\n`).join(''));
