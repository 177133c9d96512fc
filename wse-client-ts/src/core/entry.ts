// What a client knows of one topic or pattern that its holders want.
import type { WSEError } from './errors';
import { filterKey, type Filter } from './filter-key';
import { HeldFilters } from './held-filters';
import { isPattern, PatternTopics } from './pattern';

/**
 * `pending` not answered yet; `live` from the top on; `recovered` all missed messages were replayed; `resync` some are
 * lost, load the state anew; `refused` see `error`. A change that was refused leaves what there was, with an `error`.
 */
export type TopicStatus = 'pending' | 'live' | 'recovered' | 'resync' | 'refused';

/** What is known of one subscription. */
export interface TopicState {
  readonly status: TopicStatus;
  /** Why it or its last change was refused, or why its snapshot did not come; null otherwise. */
  readonly error: WSEError | null;
  /** Why it is `resync`: `epoch`, `history`, `fork`, `unreadable`, of a pattern also `births`; null otherwise. */
  readonly reason: string | null;
  /** Of `recovered`: how many missed messages the server replays, of a pattern those of its topics together; 0 otherwise. */
  readonly recovered: number;
}

/** Nothing is missing. */
const LIVE: TopicState = { status: 'live', error: null, reason: null, recovered: 0 };

/** There are messages. */
const SETTLED: readonly TopicStatus[] = ['live', 'recovered', 'resync'];

/** Not answered yet. */
export const PENDING: TopicState = { ...LIVE, status: 'pending' };

/** A refusal that may pass by itself is asked again after this long. */
const RETRY_REFUSED_MS = 5_000;

/** One topic or pattern, across connections. */
export class Entry {
  refs = 0;
  /** When an entry without references is let go. */
  lingerUntil: number | null = null;
  /** When a refused entry is asked for again. */
  retryAt: number | null = null;
  /** A topic of the pattern was refused for the time being. */
  isPartial = false;
  state: TopicState = PENDING;
  readonly filters = new HeldFilters();
  /** The topics that it stands for; null for a topic. */
  readonly pattern: PatternTopics | null;
  /** Asked for on this connection. */
  asked = false;
  /** Filter that was wanted when it was asked for last. */
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
  /** The filter that it names, and the one of what the server has. */
  #sent: Filter | undefined;
  #served: Filter | undefined;
  /** Why the filter that was wanted last is not that one. */
  #refusal: WSEError | null = null;
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

  /** Whether another filter is wanted than when it was asked for. */
  #wantsOther(filter: Filter | undefined): boolean {
    return filterKey(filter) !== filterKey(this.filter);
  }

  /** Whether it has to be asked for, where `wanted` is. */
  isStale(wanted: Filter | undefined): boolean {
    this.#keep(wanted);
    return !this.asked || this.#wantsOther(wanted);
  }

  /** The change of its filter was refused, and nobody wants it any more: what there is is what is wanted. */
  #keep(wanted: Filter | undefined): void {
    const isBack = this.#standing !== null && filterKey(wanted) === filterKey(this.#served);
    if (!isBack || !this.had || this.due !== null || this.recovering) return;
    this.asked = true;
    this.filter = wanted;
    this.retryAt = null;
    this.state = { ...this.state, error: null };
  }

  /** Whether what flows, or what is asked for and may flow before another request is answered, has another filter. */
  flowsOther(filter: Filter | undefined): boolean {
    const key = filterKey(filter);
    return (this.had && filterKey(this.#served) !== key) || (this.due !== null && filterKey(this.#sent) !== key);
  }

  /** The filter to ask for. Where only something is missing, one that was refused is not tried again: what there is was let go for it. */
  next(wanted: Filter | undefined): Filter | undefined {
    return this.recovering && this.had && !this.#wantsOther(wanted) ? this.#served : wanted;
  }

  /** It is asked for by the request `cid` with `filter`, where `wanted` is. */
  ask(cid: string, wanted: Filter | undefined, filter: Filter | undefined, stream: Pick<Entry, 'resuming' | 'replacing'>): void {
    this.asked = true;
    this.due = cid;
    this.filter = wanted;
    this.#sent = filter;
    this.resuming = stream.resuming;
    this.replacing = stream.replacing;
    this.retryAt = null;
    this.isPartial = false;
    // It is let go first.
    if (this.recovering) this.had = false;
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
    if (this.due !== null) this.#served = this.#sent;
    const told = { ...state, error: this.#standing };
    // A move is not to be seen where nothing was lost.
    const unchanged = this.moved && state.status !== 'resync' && SETTLED.includes(this.state.status);
    this.#answered(promises ? PENDING : unchanged ? { ...this.state, error: told.error } : told);
    this.promised = promises ? told : null;
    this.hasSnapshot ||= promises;
    this.had = true;
  }

  /** The topic's state came: whatever was lost before does not matter any more. */
  handleSnapshot(): void {
    this.hasSnapshot = true;
    if (this.due !== null) return;
    this.promised = null;
    this.state = { ...LIVE, error: this.#standing };
  }

  /** The topic's state will not come; its messages do. */
  handleSnapshotFailure(error: WSEError): void {
    if (this.due !== null || !this.had) return;
    this.state = { ...(this.promised ?? this.state), error };
    this.promised = null;
  }

  /** The server does not give it; what it gave before stays as it was ([P-24]). */
  refuse(error: WSEError, now: number): void {
    const { promised } = this;
    // Where the connection moved to, there was nothing before.
    this.had &&= !this.moved;
    this.#answered(this.had ? { ...this.state, error } : { ...PENDING, status: 'refused', error });
    if (this.had) this.promised = promised;
    this.#refusal = error;
    const passing = error.fault === 'network' || error.fault === 'server';
    this.retryAt = passing ? now + RETRY_REFUSED_MS : null;
  }

  /** A topic of the pattern is not to be had for the time being: the pattern is let go and asked for again, from the places that it has now. */
  handlePartial(now: number): void {
    this.isPartial = true;
    this.retryAt = now + RETRY_REFUSED_MS;
  }

  /** Something is missing: it is let go and asked for again, from its position. */
  recover(): void {
    this.asked = false;
    this.recovering = true;
    this.state = PENDING;
  }

  /** A refusal that may have passed is asked again. */
  handleTimeout(now: number): void {
    if (this.retryAt === null || this.retryAt > now) return;
    this.retryAt = null;
    if (this.isPartial) this.recover();
    else this.asked = false;
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
    this.isPartial = false;
  }

  /** Why what the server has is not what was wanted, if it is not. */
  get #standing(): WSEError | null {
    return filterKey(this.#served) === filterKey(this.filter) ? null : this.#refusal;
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
