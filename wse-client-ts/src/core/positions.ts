// Tracks one topic's place in its log: which messages are new, which repeat, and where one is missing ([P-33], [P-34]).
import type { Position, TopicUpdate } from './messages';

/** What to do with a message: hand it on, ignore it as known, or recover because something is missing. */
export type Verdict = 'deliver' | 'drop' | 'gap';

/** What an answer of the server means for the application. */
export type Outcome =
  | { readonly status: 'live' }
  | { readonly status: 'recovered'; readonly recovered: number }
  | { readonly status: 'resync'; readonly reason: string };

/** A topic's position, across connections. */
export class TopicPosition {
  #position: Position | null = null;

  /** Highest position examined; null before the first answer. */
  get current(): Position | null {
    return this.#position;
  }

  /** Forgets the place: the next subscription starts from the top. */
  reset(): void {
    this.#position = null;
  }

  /** A message of the topic came; the position moves on when it is delivered. */
  examine(message: Position): Verdict {
    const own = this.#position;
    if (own === null || message.epoch !== own.epoch) return 'gap';
    if (message.seq <= own.seq) return 'drop';
    if (message.seq > own.seq + 1) return 'gap';
    this.#position = message;
    return 'deliver';
  }

  /** The server answered a subscription. */
  handleUpdate(update: Extract<TopicUpdate, { status: 'live' | 'recovered' | 'resync' }>): Outcome {
    const own = this.#position;
    if (update.status === 'resync') {
      this.#position = update.position;
      return { status: 'resync', reason: update.reason };
    }
    if (update.status === 'recovered') {
      // Across a fail-over the log goes on in another epoch; within one, what was examined meanwhile stays examined.
      if (own === null || own.epoch !== update.position.epoch || own.seq < update.position.seq) this.#position = update.position;
      return { status: 'recovered', recovered: update.recovered };
    }
    if (own === null) {
      this.#position = update.position;
      return { status: 'live' };
    }
    if (own.epoch === update.position.epoch && own.seq >= update.position.seq) return { status: 'live' };
    // Live beyond what we asked from: the messages between will not come, and loss is never silent.
    this.#position = update.position;
    return { status: 'resync', reason: 'history' };
  }
}
