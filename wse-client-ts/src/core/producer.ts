// One numbering of kept messages ([P-51]): which numbers are under way, how far outcomes are known, and who may touch the rows.
import type { OutboxRow, OutboxStore } from './outbox-store';

/** A producer that this client writes, or has taken over from a page that is gone. */
export class Producer {
  readonly id: string;
  #last = 0;
  /** Numbers without an outcome, or with a row that says that they have none; ascending. */
  readonly #open = new Set<number>();
  /** Numbers whose rows are kept, failed ones too. */
  readonly #kept = new Set<number>();
  #claim: Promise<(() => void) | null> | null = null;

  constructor(id: string) {
    this.id = id;
  }

  /** Whether no row of it is left, nor any on its way. */
  get isEmpty(): boolean {
    return this.#open.size + this.#kept.size === 0;
  }

  /** Up to this number outcomes are known, and will not be asked for again, not by a later page either ([P-54]). */
  get seen(): number {
    const [first] = this.#open;
    return (first ?? this.#last + 1) - 1;
  }

  /** Whether the store has a row of this number. */
  isKept(n: number): boolean {
    return this.#kept.has(n);
  }

  /** The number of a new message. */
  next(): number {
    this.#last += 1;
    this.#open.add(this.#last);
    return this.#last;
  }

  /** Goes on with what an earlier page wrote. */
  adopt(rows: readonly OutboxRow[]): this {
    for (const { n, failure } of rows) {
      this.#kept.add(n);
      if (failure === undefined) this.#open.add(n);
    }
    return this;
  }

  /** A row was written, or removed. */
  handleWritten(n: number, isRemoval: boolean, hasFailed: boolean): void {
    if (isRemoval || hasFailed) this.#open.delete(n);
    if (isRemoval) this.#kept.delete(n);
    else this.#kept.add(n);
  }

  /** A row may be there no more, whatever became of its message. */
  handleGone(n: number): void {
    this.#kept.delete(n);
  }

  /** A row was not written, or not removed. Where there is none of this number, no later page will ask for its outcome. */
  handleUnwritten(n: number, isRemoval: boolean, hasFailed: boolean): void {
    if ((isRemoval || hasFailed) && !this.#kept.has(n)) this.#open.delete(n);
  }

  /** Keeps other tabs away from its rows, again where its claim has run out; returns whether it does. */
  async claim(store: OutboxStore): Promise<boolean> {
    if (store.holds?.(this.id) === false) this.#claim = null;
    this.#claim ??= store.claim(this.id);
    const claim = await this.#claim;
    if (claim === null) this.#claim = null;
    return claim !== null;
  }

  /** Whoever wants the rows may have them. */
  release(): void {
    void this.#claim?.then((release) => release?.()).catch(() => undefined);
    this.#claim = null;
  }
}
