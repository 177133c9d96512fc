// One topic's stream across connections: its position, what is new, what repeats, and where something is missing ([P-33], [P-34]).
import type { BeaconMessage, EventMessage, SkipMessage } from './messages';
import { ReorderBuffer, type ReorderPool } from './reorder';
import type { Position, Subscribed } from './topic-update';

/** What is handed on, in order. */
export type StreamItem = EventMessage | SkipMessage;

/** What an answer of the server means for the application. */
export type Outcome =
  | { readonly status: 'live' | 'recovered'; readonly reason: null; /** Messages that follow because they were missed. */ readonly recovered: number }
  | { readonly status: 'resync'; readonly reason: string; readonly recovered: 0 };

/** Follows one topic. */
export class TopicStream {
  readonly #pool: ReorderPool;
  readonly #buffer: ReorderBuffer<StreamItem>;
  #epoch: string | null = null;
  /** The topic's state was promised and has not come: without it the place means nothing. */
  #awaitsSnapshot = false;

  constructor(pool: ReorderPool) {
    this.#pool = pool;
    this.#buffer = new ReorderBuffer(pool);
  }

  /** Highest position examined; null before the first answer. */
  get position(): Position | null {
    const seq = this.#buffer.position;
    return this.#epoch === null || seq === null ? null : { epoch: this.#epoch, seq };
  }

  /** The position to resume from; null: ask from the top. */
  get resumePosition(): Position | null {
    return this.#awaitsSnapshot ? null : this.position;
  }

  /** When `handleTimeout` is due; null: nothing is missing, or it was asked for. */
  pollTimeout(): number | null {
    return this.#buffer.pollTimeout();
  }

  /** Whether what is missing must be asked for now; said once. */
  handleTimeout(now: number): boolean {
    return this.#buffer.handleTimeout(now);
  }

  /** The topic's state came ([P-57]); false where it is of a place that is past, and to be ignored. */
  handleSnapshot(now: number, position: Position): boolean {
    const own = this.position;
    if (own === null || own.epoch !== position.epoch || position.seq < own.seq) return false;
    this.#restart(now, position);
    return true;
  }

  /** The topic's state will not come; what follows the place does. */
  handleSnapshotFailure(): void {
    this.#awaitsSnapshot = false;
  }

  /** Forgets the place: the next subscription starts from the top. */
  reset(): void {
    this.#awaitsSnapshot = false;
    this.#epoch = null;
    this.#buffer.hasPassed = false;
    this.#buffer.clear();
  }

  /** Lets go of what waits, because it will come again or belongs to another stream; the place stays. */
  drop(now: number): void {
    const { position } = this.#buffer;
    this.#buffer.clear();
    if (position !== null) this.#buffer.start(now, position, () => undefined);
  }

  /** A message of the topic came; what is next goes to `ready`. Returns whether what is missing must be asked for now. */
  handle(now: number, message: StreamItem | BeaconMessage, ready: (item: StreamItem) => void): boolean {
    const { position } = message;
    // A log that its first message makes begins where the time before it ended ([P-65]).
    if (this.#buffer.position === 0 && position?.epoch.startsWith(`${this.#epoch}.`) === true) this.#epoch = position.epoch;
    if (position === undefined || position.epoch !== this.#epoch) return true;
    const { seq } = position;
    const handOn = (item: StreamItem, after: number): void => ready(this.#rest(item, after));
    if (message.kind === 'beacon') return this.#buffer.note(now, seq, message.previous, handOn) === 'recover';
    const entry = { seq, previous: message.previous ?? seq - 1, size: message.size, item: message };
    return this.#buffer.push(now, entry, handOn) === 'recover';
  }

  /** The server answered a subscription: everything after the position that it names follows anew. */
  handleUpdate(now: number, update: Subscribed): Outcome {
    const { hasPassed } = this.#buffer;
    this.#buffer.hasPassed = false;
    const outcome = this.#follow(now, update);
    return hasPassed && outcome.status !== 'resync' ? lost('unreadable') : outcome;
  }

  #follow(now: number, update: Subscribed): Outcome {
    const own = this.position;
    if (update.status === 'resync') {
      this.#restart(now, update.position);
      this.#awaitsSnapshot = update.snapshot;
      return lost(update.reason);
    }
    const { position, status } = update;
    const outcome: Outcome = { status, reason: null, recovered: update.status === 'recovered' ? update.recovered : 0 };
    if (update.snapshot) {
      this.#restart(now, position);
      this.#awaitsSnapshot = true;
      return outcome;
    }
    if (own?.epoch === position.epoch && own.seq >= position.seq) {
      // What was examined meanwhile stays examined; what is missing, and what waited for it, follows or never passes.
      this.drop(now);
      return outcome;
    }
    this.#restart(now, position);
    // Live beyond what we asked from: the messages between will not come, and loss is never silent.
    return own === null || status === 'recovered' ? outcome : lost('history');
  }

  /** A skip may begin before what another connection brought: what was had is not left out ([P-43]). */
  #rest(item: StreamItem, after: number): StreamItem {
    if (item.kind !== 'skip' || item.from > after) return item;
    this.#pool.counts.old += 1;
    return { ...item, from: after + 1 };
  }

  /** Everything after `position` follows anew, so nothing needs to wait. */
  #restart(now: number, position: Position | null): void {
    this.reset();
    if (position === null) return;
    this.#epoch = position.epoch;
    this.#buffer.start(now, position.seq, () => undefined);
  }
}

function lost(reason: string): Outcome {
  return { status: 'resync', reason, recovered: 0 };
}
