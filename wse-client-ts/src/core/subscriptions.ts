// The declared set of topics: reference counts with linger, what this connection has been asked for, statuses; pure.
import { WSEError } from './errors';
import type { EventMessage, Position, TopicUpdate } from './messages';
import { TopicPosition } from './positions';

/**
 * `pending` not answered yet; `live` from the top on; `recovered` all missed messages were replayed; `resync` some are
 * lost, load the state anew; `refused` see `error`.
 */
export type TopicStatus = 'pending' | 'live' | 'recovered' | 'resync' | 'refused';

/** What is known of one subscription. */
export interface TopicState {
  readonly status: TopicStatus;
  /** Why it was refused; null otherwise. */
  readonly error: WSEError | null;
  /** Why it is `resync`: `epoch`, `history`, `fork`; null otherwise. */
  readonly reason: string | null;
}

/** Messages to send now: topics to let go, then topics to ask for, with the positions known. */
export interface SubscriptionDiff {
  readonly unsubscribe: readonly string[];
  readonly subscribe: readonly string[];
  readonly positions: ReadonlyMap<string, Position>;
}

/** A refusal that may pass by itself is asked again after this long. */
const RETRY_REFUSED_MS = 5_000;

const PENDING: TopicState = { status: 'pending', error: null, reason: null };

interface Entry {
  refs: number;
  /** When an entry without references is let go. */
  lingerUntil: number | null;
  /** When a refused entry is asked for again. */
  retryAt: number | null;
  /** Asked for on this connection. */
  asked: boolean;
  /** Being asked for again because of a gap: the next request lets it go first. */
  recovering: boolean;
  /** Answers on their way; only the last one tells the present. */
  answersDue: number;
  state: TopicState;
  readonly position: TopicPosition;
}

/** All subscriptions of one client. */
export class Subscriptions {
  readonly #lingerMs: number;
  readonly #entries = new Map<string, Entry>();
  /** Topics that this connection still has and that nobody wants any more. */
  readonly #dropped = new Set<string>();
  #connected = false;

  constructor(lingerMs: number) {
    this.#lingerMs = lingerMs;
  }

  /** Declared topics and their states. */
  *states(): Iterable<readonly [string, TopicState]> {
    for (const [topic, entry] of this.#entries) yield [topic, entry.state];
  }

  /** State of one topic; undefined when it is not declared. */
  state(topic: string): TopicState | undefined {
    return this.#entries.get(topic)?.state;
  }

  /** Adds a reference. */
  retain(topic: string): void {
    const entry = this.#entries.get(topic) ?? newEntry();
    this.#dropped.delete(topic);
    entry.refs += 1;
    entry.lingerUntil = null;
    this.#entries.set(topic, entry);
  }

  /** Takes a reference back; without any left the topic goes after the linger. */
  release(topic: string, now: number): void {
    const entry = this.#entries.get(topic);
    if (entry === undefined || entry.refs === 0) return;
    entry.refs -= 1;
    if (entry.refs === 0) entry.lingerUntil = now + this.#lingerMs;
  }

  /** A new connection opens: the topics that have no position may ride in its `client_hello`. */
  handleOpen(): readonly string[] {
    const fresh: string[] = [];
    for (const [topic, entry] of this.#entries) {
      if (entry.position.current !== null) continue;
      entry.asked = true;
      entry.answersDue = 1;
      fresh.push(topic);
    }
    return fresh;
  }

  /** `server_ready` came: `poll` may send. */
  handleReady(): void {
    this.#connected = true;
  }

  /** The connection is gone: nothing is asked for any more; positions stay. */
  handleClose(): void {
    this.#connected = false;
    this.#dropped.clear();
    for (const entry of this.#entries.values()) {
      Object.assign(entry, { asked: false, recovering: false, answersDue: 0, retryAt: null, state: PENDING });
    }
  }

  /** Another user is at the keyboard: the old one's places mean nothing. */
  forgetPositions(): void {
    for (const entry of this.#entries.values()) entry.position.reset();
  }

  /** The difference between what is wanted and what this connection has been asked for; empty when there is none. */
  poll(): SubscriptionDiff {
    if (!this.#connected) return { unsubscribe: [], subscribe: [], positions: new Map() };
    const unsubscribe = [...this.#dropped];
    this.#dropped.clear();
    const subscribe: string[] = [];
    const positions = new Map<string, Position>();
    for (const [topic, entry] of this.#entries) {
      if (entry.asked) continue;
      if (entry.recovering) {
        unsubscribe.push(topic);
        entry.answersDue += 1;
      }
      entry.asked = true;
      entry.answersDue += 1;
      subscribe.push(topic);
      if (entry.position.current !== null) positions.set(topic, entry.position.current);
    }
    return { unsubscribe, subscribe, positions };
  }

  /** When `handleTimeout` is due; null: never. */
  pollTimeout(): number | null {
    let due: number | null = null;
    for (const { lingerUntil, retryAt } of this.#entries.values()) {
      for (const at of [lingerUntil, retryAt]) if (at !== null && (due === null || at < due)) due = at;
    }
    return due;
  }

  /** Lets lingering topics go and takes refused ones up again; `poll` has the messages. */
  handleTimeout(now: number): void {
    for (const [topic, entry] of this.#entries) {
      if (entry.retryAt !== null && entry.retryAt <= now) {
        entry.retryAt = null;
        entry.asked = false;
      }
      if (entry.lingerUntil === null || entry.lingerUntil > now) continue;
      this.#entries.delete(topic);
      if (entry.asked && entry.state.status !== 'refused') this.#dropped.add(topic);
    }
  }

  /** An answer came for one topic; returns whether the application must load its state anew. */
  handleUpdate(update: TopicUpdate, now: number): boolean {
    const entry = this.#entries.get(update.topic);
    if (entry === undefined) return false;
    if (entry.answersDue > 0) entry.answersDue -= 1;
    if (update.status === 'unsubscribed') return false;
    if (update.status === 'refused') {
      const error = new WSEError(update.code, update.message, { topic: update.topic });
      this.#refuse(entry, error, now);
      return false;
    }
    entry.recovering = entry.answersDue > 0 && entry.recovering;
    const outcome = entry.position.handleUpdate(update);
    entry.state = { status: outcome.status, error: null, reason: outcome.status === 'resync' ? outcome.reason : null };
    return outcome.status === 'resync';
  }

  /** A whole request failed. */
  handleError(topics: readonly string[], error: WSEError, now: number): void {
    for (const topic of topics) {
      const entry = this.#entries.get(topic);
      if (entry === undefined) continue;
      if (entry.answersDue > 0) entry.answersDue -= 1;
      this.#refuse(entry, error, now);
    }
  }

  /** Whether to hand a message to the application. Topics that nobody declared (`@user:`, `?topics=`) pass as they come. */
  admit(message: EventMessage): boolean {
    const { topic, position } = message;
    const entry = topic === undefined ? undefined : this.#entries.get(topic);
    if (topic === undefined || position === undefined) return true;
    if (entry === undefined) return !this.#dropped.has(topic);
    const verdict = entry.position.examine(position);
    if (verdict === 'gap' && entry.answersDue === 0) this.#recover(entry);
    return verdict === 'deliver';
  }

  /** A subscribe of a live topic changes nothing ([P-25]), so a gap is mended by letting it go and asking again. */
  #recover(entry: Entry): void {
    entry.recovering = true;
    entry.asked = false;
    entry.state = PENDING;
  }

  #refuse(entry: Entry, error: WSEError, now: number): void {
    entry.recovering = false;
    entry.state = { status: 'refused', error, reason: null };
    const passing = error.fault === 'network' || error.fault === 'server';
    entry.retryAt = passing ? now + RETRY_REFUSED_MS : null;
  }
}

function newEntry(): Entry {
  return { refs: 0, lingerUntil: null, retryAt: null, asked: false, recovering: false, answersDue: 0, state: PENDING, position: new TopicPosition() };
}
