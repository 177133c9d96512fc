// The messages of the protocol: server messages as one discriminated union with one parser, client messages as constructors.
import { DEFAULTS } from './defaults.gen';
import { decodeEnvelope, encodeEnvelope, type Category, type Envelope, type Priority } from './envelope';
import { WSEError } from './errors';

/** A place in a topic's log. */
export interface Position {
  readonly epoch: string;
  readonly seq: number;
}

/** What the server answered for one topic ([P-24]); an unknown status reads as `resync` ([P-50]). */
export type TopicUpdate = { readonly topic: string } & (
  | { readonly status: 'live'; readonly position: Position }
  | { readonly status: 'recovered'; readonly position: Position; readonly recovered: number }
  | { readonly status: 'resync'; readonly position: Position | null; readonly reason: string }
  | { readonly status: 'unsubscribed' }
  | { readonly status: 'refused'; readonly code: string; readonly message: string }
);

/** An application's message. */
export interface EventMessage {
  readonly kind: 'event';
  readonly type: string;
  readonly category: Category;
  readonly topic: string | undefined;
  readonly position: Position | undefined;
  readonly id: string | undefined;
  readonly ts: string | undefined;
  readonly key: string | undefined;
  readonly payload: unknown;
}

/** What the server may send. */
export type ServerMessage =
  | { readonly kind: 'hello'; readonly heartbeatMs: number; readonly messageBytes: number; readonly subscriptions: number; readonly server: string }
  | { readonly kind: 'ready'; readonly connection: string; readonly user: string | null; readonly retryMs: number }
  | { readonly kind: 'subscriptions'; readonly cid: string | undefined; readonly topics: readonly TopicUpdate[] }
  | { readonly kind: 'ping' | 'pong'; readonly payload: unknown }
  | { readonly kind: 'error'; readonly cid: string | undefined; readonly error: WSEError }
  | { readonly kind: 'reply'; readonly cid: string; readonly payload: unknown }
  | { readonly kind: 'unknown'; readonly type: string }
  | EventMessage;

/** The one way in: a text frame becomes a message, or a WSEError is thrown. */
export function parseServerMessage(text: string): ServerMessage {
  const envelope = decodeEnvelope(text);
  return envelope.c === 'WSE' ? parseProtocol(envelope) : parseEvent(envelope);
}

function parseProtocol(envelope: Envelope): ServerMessage {
  const p = asRecord(envelope.p);
  switch (envelope.t) {
    case 'server_hello':
      return {
        kind: 'hello',
        heartbeatMs: count(p['heartbeat_ms'], DEFAULTS.heartbeatMs),
        messageBytes: count(p['message_bytes'], DEFAULTS.messageBytes),
        subscriptions: count(p['subscriptions'], DEFAULTS.subscriptions),
        server: text(p['server']) ?? '',
      };
    case 'server_ready':
      return {
        kind: 'ready',
        connection: text(p['connection']) ?? '',
        user: text(p['user']) ?? null,
        retryMs: p['retry_ms'] === 0 ? 0 : count(p['retry_ms'], DEFAULTS.restartRetryMs),
      };
    case 'subscription_update':
      return { kind: 'subscriptions', cid: envelope.cid, topics: parseUpdates(p['topics']) };
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

function parseEvent(envelope: Envelope): EventMessage {
  const { e, seq, tp } = envelope;
  if (tp !== undefined && (e === undefined || seq === undefined)) throw malformed(envelope.t);
  return {
    kind: 'event',
    type: envelope.t,
    category: envelope.c ?? 'U',
    topic: tp,
    position: e === undefined || seq === undefined ? undefined : { epoch: e, seq },
    id: envelope.id,
    ts: envelope.ts,
    key: envelope.k,
    payload: envelope.p ?? null,
  };
}

function parseUpdates(value: unknown): TopicUpdate[] {
  if (!Array.isArray(value)) throw malformed('subscription_update');
  return value.map((entry: unknown) => parseUpdate(asRecord(entry)));
}

function parseUpdate(entry: Record<string, unknown>): TopicUpdate {
  const topic = text(entry['tp']);
  if (topic === undefined) throw malformed('subscription_update');
  const epoch = text(entry['e']);
  const seq = entry['seq'];
  const position = epoch !== undefined && typeof seq === 'number' && Number.isSafeInteger(seq) ? { epoch, seq } : null;
  const status = text(entry['status']);
  if (status === 'unsubscribed') return { topic, status };
  if (status === 'refused') {
    return { topic, status, code: text(entry['code']) ?? 'UNKNOWN', message: text(entry['message']) ?? '' };
  }
  if (status === 'live' && position !== null) return { topic, status, position };
  if (status === 'recovered' && position !== null) return { topic, status, position, recovered: count(entry['recovered'], 0) };
  return { topic, status: 'resync', position, reason: text(entry['reason']) ?? status ?? 'unknown' };
}

function parseError(p: Record<string, unknown>): WSEError {
  return new WSEError(text(p['code']) ?? 'UNKNOWN', text(p['message']) ?? 'The server gave no message.', { topic: text(p['topic']) });
}

/** What `client_hello` says ([P-20]). */
export interface ClientHello {
  readonly token: string | undefined;
  readonly topics: readonly string[];
  readonly client: string;
}

/** First frame of every connection. */
export function encodeClientHello(hello: ClientHello): string {
  const p: Record<string, unknown> = { versions: [DEFAULTS.protocolVersion], formats: ['json'], client: hello.client };
  if (hello.token !== undefined) p['token'] = hello.token;
  if (hello.topics.length > 0) p['topics'] = hello.topics;
  return encodeEnvelope({ t: 'client_hello', c: 'WSE', p });
}

/** Asks for topics or lets them go ([P-23]). */
export function encodeSubscription(
  action: 'subscribe' | 'unsubscribe',
  topics: readonly string[],
  positions: ReadonlyMap<string, Position>,
  cid: string,
): string {
  const wire = Object.fromEntries([...positions].map(([topic, { epoch, seq }]) => [topic, { e: epoch, seq }]));
  return encodeEnvelope({ t: 'subscription', c: 'WSE', cid, p: positions.size > 0 ? { action, topics, positions: wire } : { action, topics } });
}

/** Ping or pong ([P-26]). */
export function encodeBeat(kind: 'ping' | 'pong', payload: unknown): string {
  return encodeEnvelope({ t: kind, c: 'WSE', p: payload });
}

/** An application's message that asks for a reply ([P-30]). */
export function encodeRequest(type: string, payload: unknown, cid: string, priority: Priority | undefined): string {
  return encodeEnvelope({ t: type, cid, ...(priority === undefined ? {} : { pri: priority }), p: payload });
}

function asRecord(value: unknown): Record<string, unknown> {
  return typeof value === 'object' && value !== null && !Array.isArray(value) ? (value as Record<string, unknown>) : {};
}

function text(value: unknown): string | undefined {
  return typeof value === 'string' ? value : undefined;
}

function count(value: unknown, fallback: number): number {
  return typeof value === 'number' && Number.isSafeInteger(value) && value > 0 ? value : fallback;
}

function malformed(type: string): WSEError {
  return new WSEError('INVALID_MESSAGE', `The server's \`${type}\` lacks a field that the protocol requires.`);
}
