// What a server may send: one discriminated union with one parser.
import type { Format } from './agreement';
import { DEFAULTS } from './defaults.gen';
import { checkEnvelope, type Category, type Envelope } from './envelope';
import { WSEError } from './errors';
import { asRecord, count, malformed, readText } from './fields';
import type { Frame } from './frames';
import type { HeaderScan } from './header-scan';
import { parseUpdates, type Position, type TopicUpdate } from './topic-update';

/** An application's message. */
export interface EventMessage {
  readonly kind: 'event';
  readonly type: string;
  readonly category: Category;
  readonly topic: string | undefined;
  readonly position: Position | undefined;
  /** The message before this one that passed the subscription's filter; undefined: the one numbered one lower. */
  readonly previous: number | undefined;
  readonly id: string | undefined;
  readonly ts: string | undefined;
  readonly key: string | undefined;
  readonly payload: unknown;
  /** How much came in for it, as `Frame` counts. */
  readonly size: number;
}

/** Messages of a topic that will not come, on purpose ([P-43]). */
export interface SkipMessage {
  readonly kind: 'skip';
  readonly topic: string;
  /** The last one that will not come. */
  readonly position: Position;
  readonly previous: number | undefined;
  /** The first one that will not come. */
  readonly from: number;
  /** Why: `latest` a newer one of its key took its place, `drop_low` this client was slow, `ttl` it had expired. */
  readonly reason: string;
  readonly size: number;
}

/** Where a log stands, for those whom no message told ([P-38]). */
export interface BeaconMessage {
  readonly kind: 'beacon';
  readonly topic: string;
  readonly position: Position;
  readonly previous: number;
}

/** The server is to end: when to open another connection, and how long this one is served ([P-67]); in milliseconds from the message on. */
export interface MoveMessage {
  readonly kind: 'move';
  readonly inMs: number;
  readonly forMs: number;
}

/** What was negotiated, and the limits that hold for the client ([P-21]). */
export interface HelloMessage {
  readonly kind: 'hello';
  /** Undefined for a format that this client does not know. */
  readonly format: Format | undefined;
  readonly compression: string | null;
  readonly batch: boolean;
  readonly heartbeatMs: number;
  readonly messageBytes: number;
  readonly subscriptions: number;
  readonly patterns: number;
  readonly server: string;
}

/** What the server may send. */
export type ServerMessage =
  | HelloMessage
  | { readonly kind: 'ready'; readonly connection: string; readonly user: string | null; readonly retryMs: number; /** Resumes the session ([P-66]). */ readonly session: string | null; /** The producers' epoch; null: outcomes are not kept ([P-52]). */ readonly producers: string | null; readonly outcomesMs: number }
  | { readonly kind: 'subscriptions'; readonly cid: string | undefined; readonly topics: readonly TopicUpdate[] }
  | { readonly kind: 'batch'; readonly messages: readonly EventMessage[] }
  | { readonly kind: 'ping' | 'pong'; readonly payload: unknown }
  | { readonly kind: 'error'; readonly cid: string | undefined; readonly error: WSEError }
  | { readonly kind: 'reply'; readonly cid: string; readonly payload: unknown }
  | MoveMessage
  | { readonly kind: 'unknown'; readonly type: string }
  | BeaconMessage
  | SkipMessage
  | EventMessage;

/** The one way in: a decoded frame becomes a message, or a WSEError is thrown. */
export function parseServerMessage(frame: Frame): ServerMessage {
  return frame.envelope.c === 'WSE' ? parseProtocol(frame) : parseEvent(frame.envelope, frame.size);
}

function parseProtocol({ envelope, items, size }: Frame): ServerMessage {
  const p = asRecord(envelope.p);
  switch (envelope.t) {
    case 'server_hello':
      return parseHello(p);
    case 'server_ready':
      return parseReady(p);
    case 'subscription_update':
      return { kind: 'subscriptions', cid: envelope.cid, topics: parseUpdates(p['topics']) };
    case 'batch':
      return { kind: 'batch', messages: parseBatch(envelope.p, items, size) };
    case 'move':
      return { kind: 'move', inMs: count(p['in_ms'], 0), forMs: count(p['for_ms'], 0) };
    case 'beacon':
      return parseBeacon(envelope);
    case 'skip':
      return parseSkip(envelope, p, size);
    case 'ping':
    case 'pong':
      return { kind: envelope.t, payload: envelope.p ?? null };
    case 'error':
      return { kind: 'error', cid: envelope.cid, error: parseError(p) };
    case 'reply':
      if (envelope.cid === undefined) throw malformed('reply');
      return { kind: 'reply', cid: envelope.cid, payload: envelope.p ?? null };
    default:
      return { kind: 'unknown', type: envelope.t };
  }
}

function parseHello(p: Readonly<Record<string, unknown>>): HelloMessage {
  const format = p['format'] ?? 'json';
  return {
    kind: 'hello',
    format: format === 'json' || format === 'msgpack' ? format : undefined,
    compression: readText(p['compression']) ?? null,
    batch: p['batch'] === true,
    heartbeatMs: count(p['heartbeat_ms'], DEFAULTS.heartbeatMs),
    messageBytes: count(p['message_bytes'], DEFAULTS.messageBytes),
    subscriptions: count(p['subscriptions'], DEFAULTS.subscriptions),
    patterns: count(p['patterns'], DEFAULTS.patterns),
    server: readText(p['server']) ?? '',
  };
}

function parseReady(p: Readonly<Record<string, unknown>>): ServerMessage {
  return {
    kind: 'ready',
    connection: readText(p['connection']) ?? '',
    user: readText(p['user']) ?? null,
    session: readText(p['session']) ?? null,
    producers: readText(p['producers']) ?? null,
    outcomesMs: count(p['outcomes_ms'], DEFAULTS.outcomeAgeMs),
    retryMs: p['retry_ms'] === 0 ? 0 : count(p['retry_ms'], DEFAULTS.restartRetryMs),
  };
}

function parseEvent(envelope: Envelope, size: number): EventMessage {
  const { e, seq, tp } = envelope;
  if (tp !== undefined && (e === undefined || seq === undefined)) throw malformed(envelope.t);
  return {
    kind: 'event',
    type: envelope.t,
    category: envelope.c ?? 'U',
    topic: tp,
    position: e === undefined || seq === undefined ? undefined : { epoch: e, seq },
    previous: envelope.ps,
    id: envelope.id,
    ts: envelope.ts,
    key: envelope.k,
    payload: envelope.p ?? null,
    size,
  };
}

/** One topic's run of messages ([P-37]): all of it or nothing. */
function parseBatch(items: unknown, scans: readonly HeaderScan[], size: number): EventMessage[] {
  if (!Array.isArray(items) || items.length < 2) throw malformed('batch');
  const messages = items.map((item: unknown, index) => parseItem(item, scans[index], size / items.length));
  for (const [index, { topic, position }] of messages.entries()) {
    const before = messages[index - 1];
    if (before !== undefined && !(topic === before.topic && (position?.seq ?? 0) > (before.position?.seq ?? 0))) throw malformed('batch');
  }
  return messages;
}

function parseItem(item: unknown, scan: HeaderScan | undefined, size: number): EventMessage {
  let envelope: Envelope | undefined;
  try {
    if (scan !== undefined) envelope = checkEnvelope(asRecord(item), scan);
  } catch {
    // What is wrong with one of them is wrong with the batch.
  }
  if (envelope?.tp === undefined || (envelope.c ?? 'U') !== 'U') throw malformed('batch');
  return parseEvent(envelope, size);
}

function parseBeacon({ tp, e, seq, ps }: Envelope): BeaconMessage {
  if (tp === undefined || e === undefined || seq === undefined || ps === undefined) throw malformed('beacon');
  return { kind: 'beacon', topic: tp, position: { epoch: e, seq }, previous: ps };
}

function parseSkip({ tp, e, ps }: Envelope, p: Readonly<Record<string, unknown>>, size: number): SkipMessage {
  const [from, to] = [count(p['from'], 0), count(p['to'], 0)];
  if (tp === undefined || e === undefined || from === 0 || to < from) throw malformed('skip');
  return { kind: 'skip', topic: tp, position: { epoch: e, seq: to }, previous: ps ?? from - 1, from, reason: readText(p['reason']) ?? 'unknown', size };
}

function parseError(p: Readonly<Record<string, unknown>>): WSEError {
  return new WSEError(readText(p['code']) ?? 'UNKNOWN', readText(p['message']) ?? 'The server gave no message.', { topic: readText(p['topic']) });
}
