// What the server itself sends this client: messages to its user and to its session, across connections ([P-65], [P-66]).
import type { BeaconMessage, EventMessage, SkipMessage } from './messages';
import type { ReorderPool } from './reorder';
import { presenceTopic } from './roster';
import { Streams } from './streams';
import type { StreamItem } from './topic-stream';
import type { Position, TopicUpdate } from './topic-update';

/** What `client_hello` says of it. */
export interface DirectHello {
  /** Resumes the session; empty: a new one is asked for. */
  readonly session: string;
  /** How long ago the server was last heard, in milliseconds; undefined before the first time. */
  readonly awayMs: number | undefined;
  readonly positions: ReadonlyMap<string, Position>;
}

/** How messages to this user or this session go on after a connection was made. */
export interface DirectNotice {
  /** Whom they are for. */
  readonly to: 'user' | 'session';
  /** `live` nothing was missed; `recovered` what was missed follows; `resync` messages are lost. */
  readonly status: 'live' | 'recovered' | 'resync';
  /** Why it is `resync`: `epoch`, `history`, `fork`, `unreadable`; null otherwise. */
  readonly reason: string | null;
  /** Of `recovered`: how many messages follow that were missed; 0 otherwise. */
  readonly recovered: number;
}

/** What came of a message. */
export interface Handled {
  readonly items: readonly StreamItem[];
  /** Something is missing: ask for everything after the position, on this connection. */
  readonly isGap: boolean;
}

const PREFIX = '@';

/** Whether a name is the server's own and nobody subscribes to it; a topic's presence is subscribed. */
export function isDirect(topic: string): boolean {
  return topic.startsWith(PREFIX) && presenceTopic(topic) === undefined;
}

/** The streams of the server's own names. */
export class DirectStreams {
  readonly #streams: Streams;
  readonly #names = new Set<string>();
  /** Asked for again on this connection, not answered yet. */
  readonly #asked = new Set<string>();
  #session = '';

  constructor(pool: ReorderPool) {
    this.#streams = new Streams(pool);
  }

  /** A new connection opens. The server takes only what belongs to the user that it then finds. */
  handleOpen(awayMs: number | undefined): DirectHello {
    const positions = [...this.#names].flatMap((name) => this.#position(name));
    return { session: this.#session, awayMs, positions: new Map(positions) };
  }

  /** `server_ready` came. What is of another user is forgotten, and a session that this is not. */
  handleReady(session: string | null, isSameUser: boolean): void {
    const isSameSession = isSameUser && session === this.#session;
    this.#session = session ?? '';
    for (const name of this.#names) if (!isSameUser || (!isSameSession && !name.startsWith('@user:'))) this.#forget(name);
  }

  /** The connection is gone; positions stay. */
  handleClose(now: number): void {
    this.#asked.clear();
    this.#streams.dropAll(now);
  }

  /** The server said how it goes on; undefined where there is nothing to tell. */
  handleUpdate(now: number, update: TopicUpdate): DirectNotice | undefined {
    const { topic } = update;
    this.#asked.delete(topic);
    if (update.status === 'refused') this.#forget(topic);
    if (update.status === 'refused' || update.status === 'unsubscribed') return undefined;
    this.#names.add(topic);
    const outcome = this.#streams.follow(topic).handleUpdate(now, update);
    this.#streams.noteChange(topic);
    return { to: topic.startsWith('@user:') ? 'user' : 'session', ...outcome };
  }

  /** A message came; one of a name that the server has not spoken of is nobody's. */
  handle(now: number, topic: string, message: EventMessage | SkipMessage | BeaconMessage): Handled {
    const items: StreamItem[] = [];
    const isGap = this.#streams.find(topic)?.handle(now, message, (item) => items.push(item)) === true;
    this.#streams.noteChange(topic);
    return { items, isGap: isGap && this.#ask(topic) };
  }

  /** When `handleTimeout` is due; null: nothing is missing. */
  pollTimeout(): number | null {
    return this.#streams.pollTimeout();
  }

  /** Names whose missing messages must be asked for now. */
  handleTimeout(now: number): readonly string[] {
    return this.#streams.handleTimeout(now).filter((topic) => this.#ask(topic));
  }

  /** Where to go on from, for a request. */
  position(topic: string): ReadonlyMap<string, Position> {
    return new Map(this.#position(topic));
  }

  #position(topic: string): readonly (readonly [string, Position])[] {
    const position = this.#streams.find(topic)?.resumePosition ?? null;
    return position === null ? [] : [[topic, position]];
  }

  #ask(topic: string): boolean {
    const isNew = !this.#asked.has(topic);
    this.#asked.add(topic);
    return isNew;
  }

  #forget(topic: string): void {
    this.#names.delete(topic);
    this.#asked.delete(topic);
    this.#streams.forget(topic);
  }
}
