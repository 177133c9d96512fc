// What the server says of a topic: the entries of `subscription_update` ([P-24], [P-39]).
import { asRecord, count, malformed, readText } from './fields';

/** A place in a topic's log. */
export interface Position {
  readonly epoch: string;
  readonly seq: number;
}

/** What became of one topic; an unknown status reads as `resync` ([P-50]). */
export type TopicUpdate = { readonly topic: string; /** Of a pattern: the topics that it stands for, or that were born. */ readonly topics: readonly TopicUpdate[] } & (
  | { readonly status: 'live'; readonly position: Position; /** The state of the topic follows ([P-56]). */ readonly snapshot: boolean }
  | { readonly status: 'recovered'; readonly position: Position; readonly recovered: number; readonly snapshot: boolean }
  | { readonly status: 'resync'; readonly position: Position | null; readonly reason: string; readonly snapshot: boolean }
  | { readonly status: 'unsubscribed' }
  | { readonly status: 'refused'; readonly code: string; readonly message: string }
);

/** An update that leaves the topic subscribed. */
export type Subscribed = Extract<TopicUpdate, { status: 'live' | 'recovered' | 'resync' }>;

/** Reads `p.topics`; throws `INVALID_MESSAGE` for what is no list of named topics. */
export function parseUpdates(value: unknown): TopicUpdate[] {
  return parseList(value, (nested) => (nested === undefined ? [] : parseList(nested, () => [])));
}

function parseList(value: unknown, parseNested: (nested: unknown) => TopicUpdate[]): TopicUpdate[] {
  if (!Array.isArray(value)) throw malformed('subscription_update');
  return value.map((item: unknown) => {
    const entry = asRecord(item);
    return parseUpdate(entry, parseNested(entry['topics']));
  });
}

function parseUpdate(entry: Readonly<Record<string, unknown>>, topics: readonly TopicUpdate[]): TopicUpdate {
  const topic = readText(entry['tp']);
  if (topic === undefined) throw malformed('subscription_update');
  const position = parsePosition(entry);
  const status = readText(entry['status']);
  if (status === 'unsubscribed') return { topic, topics, status };
  if (status === 'refused') {
    return { topic, topics, status, code: readText(entry['code']) ?? 'UNKNOWN', message: readText(entry['message']) ?? '' };
  }
  const snapshot = entry['snapshot'] === true;
  if (status === 'live' && position !== null) return { topic, topics, status, position, snapshot };
  if (status === 'recovered' && position !== null) return { topic, topics, status, position, recovered: count(entry['recovered'], 0), snapshot };
  return { topic, topics, status: 'resync', position, reason: readText(entry['reason']) ?? status ?? 'unknown', snapshot };
}

function parsePosition(entry: Readonly<Record<string, unknown>>): Position | null {
  const epoch = readText(entry['e']);
  const seq = entry['seq'];
  return epoch !== undefined && typeof seq === 'number' && Number.isSafeInteger(seq) && seq >= 0 ? { epoch, seq } : null;
}
