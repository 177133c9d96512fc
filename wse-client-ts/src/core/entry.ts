// What a client knows of one topic or pattern that its holders want.
import type { WSEError } from './errors';
import { filterKey, type Filter } from './filter-key';
import { HeldFilters } from './held-filters';
import { isPattern, PatternTopics } from './pattern';

/**
 * `pending` not answered yet; `live` from the top on; `recovered` all missed messages were replayed; `resync` some are
 * lost, load the state anew; `refused` see `error`.
 */
export type TopicStatus = 'pending' | 'live' | 'recovered' | 'resync' | 'refused';

/** What is known of one subscription. */
export interface TopicState {
  readonly status: TopicStatus;
  /** Why it was refused, or why its snapshot did not come; null otherwise. */
  readonly error: WSEError | null;
  /** Why it is `resync`: `epoch`, `history`, `fork`, `unreadable`, of a pattern also `births`; null otherwise. */
  readonly reason: string | null;
}

/** Nothing is missing. */
const LIVE: TopicState = { status: 'live', error: null, reason: null };

/** There are messages. */
const SETTLED: readonly TopicStatus[] = ['live', 'recovered', 'resync'];

/** Not answered yet. */
export const PENDING: TopicState = { status: 'pending', error: null, reason: null };

/** A refusal that may pass by itself is asked again after this long. */
const RETRY_REFUSED_MS = 5_000;

/** One topic or pattern, across connections. */
export class Entry {
  refs = 0;
  /** When an entry without references is let go. */
  lingerUntil: number | null = null;
  /** When a refused entry is asked for again. */
  retryAt: number | null = null;
  state: TopicState = PENDING;
  readonly filters = new HeldFilters();
  /** The topics that it stands for; null for a topic. */
  readonly pattern: PatternTopics | null;
  /** Asked for on this connection. */
  asked = false;
  /** Filter that was asked for last. */
  filter: Filter | undefined;
  /** What the answer was, while the topic's state that it promised has not come; null otherwise. */
  promised: TopicState | null = null;
  /** The server has the topic's state. */
  hasSnapshot = false;
  /** The server has, or had, it on this connection: it must be told when nobody wants it. */
  had = false;
  /** Being asked for again because of a gap: the next request lets it go first. */
  recovering = false;
  /** The connection moved, and the new one has not answered. */
  moved = false;
  /** The request whose answer tells the present; what else is answered is of the past. Null: none is under way. */
  due: string | null = null;
  /** That request names a position. */
  resuming = false;
  /** That request begins another stream than the one that flows: what still comes of the old one will come again. */
  replacing = false;

  constructor(topic: string) {
    this.pattern = isPattern(topic) ? new PatternTopics() : null;
  }

  /** When something is to be done about it by itself; null: never. */
  get dueAt(): number | null {
    const { lingerUntil, retryAt } = this;
    return lingerUntil !== null && retryAt !== null ? Math.min(lingerUntil, retryAt) : (lingerUntil ?? retryAt);
  }

  /** Whether another filter is wanted than the one asked for. */
  wantsOther(filter: Filter | undefined): boolean {
    return filterKey(filter) !== filterKey(this.filter);
  }

  /** It is asked for by the request `cid`. */
  ask(cid: string, filter: Filter | undefined, { resuming, replacing }: { readonly resuming: boolean; readonly replacing: boolean }): void {
    this.asked = true;
    this.due = cid;
    this.filter = filter;
    this.resuming = resuming;
    this.replacing = replacing;
    this.retryAt = null;
    if (this.state.status === 'refused') this.state = PENDING;
  }

  /** The connection moved: what this one was asked for and has not answered is nothing any more; what flows goes on. */
  handleMove(): void {
    this.moved = true;
    this.asked = false;
    this.due = null;
    this.recovering = false;
  }

  /** The server has it; `promises` the topic's state, without which the application has nothing yet. */
  settle(state: TopicState, promises: boolean): void {
    // A move is not to be seen where nothing was lost.
    const unchanged = this.moved && state.status !== 'resync' && SETTLED.includes(this.state.status);
    this.#answered(promises ? PENDING : unchanged ? this.state : state);
    this.promised = promises ? state : null;
    this.hasSnapshot ||= promises;
    this.had = true;
  }

  /** The topic's state came: whatever was lost before does not matter any more. */
  handleSnapshot(): void {
    this.hasSnapshot = true;
    if (this.due !== null) return;
    this.promised = null;
    this.state = LIVE;
  }

  /** The topic's state will not come; its messages do. */
  handleSnapshotFailure(error: WSEError): void {
    if (this.due !== null || !this.had) return;
    this.state = { ...(this.promised ?? this.state), error };
    this.promised = null;
  }

  /** The server does not give it. */
  refuse(error: WSEError, now: number): void {
    this.#answered({ status: 'refused', error, reason: null });
    const passing = error.fault === 'network' || error.fault === 'server';
    this.retryAt = passing ? now + RETRY_REFUSED_MS : null;
  }

  /** Something is missing: what is subscribed with the same filter stays as it is ([P-25]), so it is let go and asked for again. */
  recover(): void {
    this.asked = false;
    this.recovering = true;
    this.state = PENDING;
  }

  /** A refusal that may have passed is asked again. */
  handleTimeout(now: number): void {
    if (this.retryAt === null || this.retryAt > now) return;
    this.retryAt = null;
    this.asked = false;
  }

  /** Something else was let go: what was too many may fit now. */
  handleRoom(): void {
    if (this.state.error?.code.startsWith('TOO_MANY_') === true) this.asked = false;
  }

  /** The connection is gone. */
  handleClose(): void {
    this.#answered(PENDING);
    this.asked = false;
    this.had = false;
    this.retryAt = null;
  }

  #answered(state: TopicState): void {
    this.state = state;
    this.promised = null;
    this.moved = false;
    this.due = null;
    this.recovering = false;
    this.resuming = false;
    this.replacing = false;
  }
}
