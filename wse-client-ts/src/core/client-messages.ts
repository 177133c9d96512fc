// What a client may send: one constructor for each message.
import type { Agreement } from './agreement';
import { DEFAULTS } from './defaults.gen';
import type { DirectHello } from './direct';
import { encodeEnvelope, type Envelope } from './envelope';
import { WSEError } from './errors';
import type { Filter } from './filter-key';
import { scanHeader } from './header-scan';
import type { PresenceRequest } from './stays';
import type { Position } from './topic-update';

/** Topics and patterns asked for, each with the position known and the filter wanted, where there is one. */
export interface Asked {
  readonly topics: readonly string[];
  readonly positions: ReadonlyMap<string, Position>;
  readonly filters: ReadonlyMap<string, Filter>;
}

/** What `client_hello` says ([P-20]). */
export interface ClientHello extends Asked {
  readonly token: string | undefined;
  /** What the client would like to speak ([P-9]). */
  readonly offers: Agreement;
  /** Name and version of the client. */
  readonly client: string;
  /** What is known of messages to the user and the session; undefined: no session is asked for. */
  readonly direct?: DirectHello | undefined;
}

/** First frame of every connection. */
export function encodeClientHello({ token, offers, client, direct, ...asked }: ClientHello): string {
  const p: Record<string, unknown> = {
    versions: [DEFAULTS.protocolVersion],
    // In order of preference: every server speaks JSON.
    formats: offers.format === 'json' ? ['json'] : [offers.format, 'json'],
    client,
  };
  if (offers.compression) p['compression'] = ['zlib'];
  if (offers.batch) p['batch'] = true;
  p['move'] = true;
  if (token !== undefined) p['token'] = token;
  const positions = new Map([...asked.positions, ...(direct?.positions ?? [])]);
  if (asked.topics.length + positions.size > 0) Object.assign(p, wireOf({ ...asked, positions }));
  if (direct !== undefined) p['session'] = direct.session;
  if (direct?.awayMs !== undefined) p['away_ms'] = Math.ceil(direct.awayMs);
  return encodeEnvelope({ t: 'client_hello', c: 'WSE', p });
}

/** Asks for topics or lets them go ([P-23]). */
export function encodeSubscription(action: 'subscribe' | 'unsubscribe', asked: Asked, cid: string): string {
  return encodeEnvelope({ t: 'subscription', c: 'WSE', cid, p: { action, ...wireOf(asked) } });
}

/** Asks for the state of topics ([P-59]); each is answered by itself, so nothing correlates them. */
export function encodeSnapshotRequest(topics: readonly string[]): string {
  return encodeEnvelope({ t: 'snapshot_request', c: 'WSE', p: { topics } });
}

/** Enters a topic, changes the data that others see there, or leaves it ([P-60]); `key` is an anonymous client's. */
export function encodePresence({ cid, action, topic, text }: PresenceRequest, key: string | undefined): string {
  const data: unknown = text === null ? undefined : JSON.parse(text);
  return encodeEnvelope({ t: 'presence', c: 'WSE', cid, p: { action, topic, data, key } });
}

/** Ping or pong ([P-26]). */
export function encodeBeat(kind: 'ping' | 'pong', payload: unknown): string {
  return encodeEnvelope({ t: kind, c: 'WSE', p: payload });
}

/** Which message of which producer it is, up to where outcomes are known, and under which epoch it was sent before ([P-51]). */
export type Origin = Required<Pick<Envelope, 'pid' | 'n' | 'na'>> & Pick<Envelope, 'pe'>;

/** An application's message that asks for a reply ([P-30]); `payload` is JSON. */
export function encodeRequest(type: string, payload: string, cid: string, origin?: Origin): string {
  const header = encodeEnvelope({ t: type, cid, ...origin });
  return `${header.slice(0, -1)},"p":${payload}}`;
}

/** A payload as JSON; throws `INVALID_PAYLOAD`. */
export function encodePayload(payload: unknown): string {
  try {
    // In an array what has no JSON, such as undefined, is null.
    return JSON.stringify([payload]).slice(1, -1);
  } catch (cause) {
    throw WSEError.client('INVALID_PAYLOAD', '', cause);
  }
}

/** Throws for a message that the server could not read: it could not tell whose it is, and no answer would come. */
export function checkReadable(text: string): void {
  const { isBeyondJson, depth } = scanHeader(text);
  if (isBeyondJson) throw WSEError.client('INVALID_PAYLOAD', 'A string has half a surrogate pair.');
  if (depth > DEFAULTS.nestingDepth) throw new WSEError('TOO_DEEP', `A message has at most ${DEFAULTS.nestingDepth} levels.`, { fault: 'application' });
}

/** The server takes no message of more than `bytes`. */
export function tooLarge(bytes: number): WSEError {
  return new WSEError('MESSAGE_TOO_LARGE', `The server takes ${bytes} bytes; send less at a time.`, { fault: 'application' });
}

function wireOf({ topics, positions, filters }: Asked): Record<string, unknown> {
  const p: Record<string, unknown> = { topics };
  if (positions.size > 0) p['positions'] = ownEntries([...positions].map(([topic, { epoch, seq }]) => [topic, { e: epoch, seq }]));
  if (filters.size > 0) p['filters'] = ownEntries(filters);
  return p;
}

/** An object without a prototype: `__proto__` is a topic name like any other. */
function ownEntries(entries: Iterable<readonly [string, unknown]>): object {
  const own = Object.create(null) as Record<string, unknown>;
  for (const [key, value] of entries) own[key] = value;
  return own;
}
