// Brings what came out of order into order, within bounds of count, bytes and time; then it asks for recovery ([P-34]).

/** The bounds of one client's buffers. */
export interface ReorderLimits {
  /** Most entries that one topic holds. */
  readonly items: number;
  /** Most bytes that all topics together hold. */
  readonly bytes: number;
  /** How long what is missing may take before it is asked for, in milliseconds; 0: at once. */
  readonly waitMs: number;
}

/** So many times what is missing after one position is asked for; then it cannot be read, and is passed over. */
const RECOVERIES = 3;

/** What all buffers of a client have seen so far. */
export interface ReorderCounts {
  /** Entries that had to wait. */
  held: number;
  /** Entries that came a second time or too late, or that told of what had come. */
  old: number;
  /** Entries for which there was no room. */
  dropped: number;
  /** Times that recovery was asked for. */
  recoveries: number;
}

/** What the buffers of one client share. */
export class ReorderPool {
  readonly limits: ReorderLimits;
  readonly counts: ReorderCounts = { held: 0, old: 0, dropped: 0, recoveries: 0 };
  /** Bytes held by all of them. */
  bytes = 0;

  constructor(limits: ReorderLimits) {
    this.limits = limits;
  }
}

/**
 * What became of an entry: `ready` it and those that waited for it were handed over; `held`; `old` had before, or waiting
 * already; `recover` ask for everything after the position, said once until something is handed over; `dropped` no room, and
 * recovery was asked for.
 */
export type Pushed = 'ready' | 'held' | 'old' | 'recover' | 'dropped';

/** Takes what is next, and the position that it comes after. */
type Ready<T> = (item: T, after: number) => void;

interface Held<T> {
  readonly seq: number;
  readonly previous: number;
  readonly size: number;
  readonly item: T;
}

/**
 * Entries of one log, handed over in ascending `seq`, each once. An entry is the next when its `previous` has been handed
 * over. Before `start` and after `stop` the position is not known, and whatever comes is held.
 */
export class ReorderBuffer<T> {
  readonly #pool: ReorderPool;
  #position: number | null = null;
  /** In ascending `seq`. */
  #held: Held<T>[] = [];
  /** The highest that came or was told of: up to it, what is not held is missing. */
  #top = 0;
  #missingSince: number | null = null;
  #asked = false;
  /** How often recovery was asked for from `#triedAt` on. */
  #tries = 0;
  #triedAt: number | null = null;
  /** What was missing has been passed over, and nobody has been told. */
  hasPassed = false;

  constructor(pool: ReorderPool) {
    this.#pool = pool;
  }

  /** The highest `seq` handed over or passed; null while it is not known. */
  get position(): number | null {
    return this.#position;
  }

  /** Everything up to `position` was had in another way, or cannot be had; what follows it without a hole goes to `ready`. */
  start(now: number, position: number, ready: Ready<T>): void {
    this.#handOver(now, position, ready);
  }

  /** From here on the position is not known: whatever comes is held until `start`. */
  stop(): void {
    this.#position = null;
    this.#missingSince = null;
  }

  /** Forgets all that is held and what was seen, as after construction: another log begins. */
  clear(): void {
    this.stop();
    for (const { size } of this.#held) this.#pool.bytes -= size;
    this.#held = [];
    this.#top = 0;
    this.#asked = false;
  }

  /** An entry of `size` bytes came, which follows `previous`. */
  push(now: number, entry: Held<T>, ready: Ready<T>): Pushed {
    const { seq, previous } = entry;
    const position = this.#position;
    if ((position !== null && seq <= position) || this.#held.some((held) => held.seq === seq)) {
      this.#pool.counts.old += 1;
      return 'old';
    }
    this.#top = Math.max(this.#top, seq);
    if (position === null || previous > position) return this.#wait(now, this.#hold(entry) ? 'held' : 'dropped');
    ready(entry.item, position);
    this.#handOver(now, seq, ready);
    return 'ready';
  }

  /** The log is at `seq` and nothing for us came after `previous`: moves the position on, or finds that something is missing. */
  note(now: number, seq: number, previous: number, ready: Ready<T>): Pushed {
    const position = this.#position;
    if (position === null || seq <= position) return 'old';
    if (previous > position) {
      this.#top = Math.max(this.#top, previous);
      return this.#wait(now, 'held');
    }
    this.#handOver(now, seq, ready);
    return 'ready';
  }

  /** Whether recovery must be asked for because what is missing has taken too long; said once, as by `push`. */
  handleTimeout(now: number): boolean {
    return this.#isDue(now) && this.#ask();
  }

  /** When what is missing has taken too long; null if nothing is, or it was asked for. */
  pollTimeout(): number | null {
    return this.#missingSince === null || this.#asked ? null : this.#missingSince + this.#pool.limits.waitMs;
  }

  #wait(now: number, outcome: 'held' | 'dropped'): Pushed {
    if (this.#position !== null) this.#missingSince ??= now;
    return (outcome === 'dropped' || this.#isDue(now)) && this.#ask() ? 'recover' : outcome;
  }

  #hold(entry: Held<T>): boolean {
    const { limits, bytes, counts } = this.#pool;
    if (this.#held.length >= limits.items || bytes + entry.size > limits.bytes) {
      counts.dropped += 1;
      return false;
    }
    const later = this.#held.findIndex(({ seq }) => seq > entry.seq);
    this.#held.splice(later < 0 ? this.#held.length : later, 0, entry);
    this.#pool.bytes += entry.size;
    counts.held += 1;
    return true;
  }

  /** Everything up to `from` is done: hands over the run that begins there; the time of what is missing after it begins now. */
  #handOver(now: number, from: number, ready: Ready<T>): void {
    let position = from;
    for (let first = this.#held[0]; first !== undefined && first.previous <= position; first = this.#held[0]) {
      this.#held.shift();
      this.#pool.bytes -= first.size;
      if (first.seq <= position) this.#pool.counts.old += 1;
      else {
        ready(first.item, position);
        position = first.seq;
      }
    }
    this.#position = position;
    this.#asked = false;
    this.#missingSince = position < this.#top ? now : null;
  }

  #isDue(now: number): boolean {
    const due = this.pollTimeout();
    return due !== null && due <= now;
  }

  #ask(): boolean {
    if (this.#asked) return false;
    this.#asked = true;
    this.#tries = this.#triedAt === this.#position ? this.#tries + 1 : 1;
    this.#triedAt = this.#position;
    this.#pool.counts.recoveries += 1;
    if (this.#tries > RECOVERIES) this.#passOver();
    return true;
  }

  /** The next recovery begins after what is missing; what waited for it comes with it. */
  #passOver(): void {
    this.#position = this.#held[0]?.previous ?? this.#top;
    this.hasPassed = true;
  }
}
