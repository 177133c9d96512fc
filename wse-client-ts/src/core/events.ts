// What a client tells its listeners: the connection's state, events, and notices of its own.
import type { Category } from './envelope';
import type { DirectNotice } from './direct';
import type { WSEError } from './errors';
import type { ConnectionHealth } from './health';
import type { ConnectionStatus } from './machine';
import type { EventMessage } from './messages';
import type { OutboxMessage } from './outbox-message';

/** The connection as the application sees it; a new object for every change. */
export interface ClientState {
  readonly status: ConnectionStatus;
  /** Whether `server_ready` has come on the present connection. */
  readonly isConnected: boolean;
  readonly connectionHealth: ConnectionHealth;
  /** What keeps the client from being connected; null while it is, or while nothing has failed yet. */
  readonly error: WSEError | null;
  /** The last error reported, whatever came after it. */
  readonly lastError: WSEError | null;
  /** Smoothed round trip in milliseconds; null before the first pong. */
  readonly rttMs: number | null;
  /** User id that the server gave; null when anonymous, and while it is not known whose another token is. */
  readonly user: string | null;
  /** The server's id of the connection; null while there is none. */
  readonly connection: string | null;
}

/** Nothing tried yet; also what a server-side render shows. */
export const INITIAL_STATE: ClientState = {
  status: 'idle',
  isConnected: false,
  connectionHealth: 'offline',
  error: null,
  lastError: null,
  rttMs: null,
  user: null,
  connection: null,
};

/** What comes with an event's payload. */
export interface EventMeta {
  readonly type: string;
  readonly category: Category;
  readonly topic: string | undefined;
  readonly id: string | undefined;
  /** Position in the topic's log; undefined for a message of no topic. */
  readonly seq: number | undefined;
  readonly epoch: string | undefined;
  /** Time of publish, ISO 8601 in UTC. */
  readonly ts: string | undefined;
  readonly key: string | undefined;
}

/** What comes with the payload of `message`. */
export function metaOf({ type, category, topic, id, position, ts, key }: EventMessage): EventMeta {
  return { type, category, topic, id, seq: position?.seq, epoch: position?.epoch, ts, key };
}

/** Receives events. */
export type EventHandler<T = unknown> = (payload: T, meta: EventMeta) => void;

/** Messages of a topic are lost: load its state anew. */
export interface ResyncNotice {
  /** A topic, or a pattern of which topics are missing. */
  readonly topic: string;
  /** `epoch`, `history`, `fork`; `unreadable`: a message could not be read however often it came; of a pattern also `births`. */
  readonly reason: string;
  /** The server sends the state by itself: a `snapshot` follows. Absent where it has none. */
  readonly snapshot?: true;
}

/** The state of a topic came, at least as new as its position; it replaces what was known of the topic. */
export interface SnapshotNotice {
  readonly topic: string;
  readonly state: unknown;
  readonly seq: number;
  readonly epoch: string;
}

/** Messages of a topic will not come, on purpose. */
export interface SkipNotice {
  readonly topic: string;
  /** Position of the first and of the last of them. */
  readonly from: number;
  readonly to: number;
  /** `latest`: a newer one of the same key took their place; `drop_low`: this client was slow; `ttl`: they had expired. */
  readonly reason: string;
}

/** Who is in a topic, their data, or how this client stands there changed: `client.presence.state` has it. */
export interface PresenceNotice {
  readonly topic: string;
}

/** What the client tells about itself. */
export interface Notices {
  /** Status, health or error changed. */
  status: ClientState;
  /** An error that no caller receives. */
  error: WSEError;
  resync: ResyncNotice;
  /** After each connection: how messages to this user, and to this session, go on. */
  direct: DirectNotice;
  skip: SkipNotice;
  snapshot: SnapshotNotice;
  presence: PresenceNotice;
  /** A message of the outbox, at each change of its status; null where only `ofOthers` or `isDurable` of the outbox changed. */
  outbox: OutboxMessage | null;
  /** The state of some subscription changed. */
  topics: null;
  /** Another user is connected than before, or after the token was null; null where it became null too. What was known is the former one's. */
  user: string | null;
  /** What is known is hidden, because another token was set, or is not any more: the server has said who the user is. */
  hidden: boolean;
}
