// Puts rows into the outbox's store and takes them out: one step at a time, with all that came up meanwhile in the next.
import type { OutboxRow } from './outbox-store';

/** A row, and whether it is to be kept or to be gone. */
export interface Write {
  readonly row: OutboxRow;
  readonly isRemoval: boolean;
}

/** Does one step. */
export type Step = (puts: readonly OutboxRow[], removals: readonly OutboxRow[]) => Promise<void>;

/** Writes in the order asked for; of one row only what was asked for last. */
export class OutboxWriter {
  readonly #step: Step;
  readonly #onWritten: (writes: readonly Write[], error: unknown) => void;
  /** By producer and number: at most one write for each row that there is. */
  readonly #wanted = new Map<string, Write>();
  #running: Promise<void> | null = null;

  /** `onWritten` hears of each step's writes when they are done, or (with an error) not done. */
  constructor(step: Step, onWritten: (writes: readonly Write[], error: unknown) => void) {
    this.#step = step;
    this.#onWritten = onWritten;
  }

  put(row: OutboxRow): void {
    this.#want({ row, isRemoval: false });
  }

  remove(row: OutboxRow): void {
    this.#want({ row, isRemoval: true });
  }

  /** Resolves when nothing is left to write. */
  async idle(): Promise<void> {
    await this.#running;
  }

  #want(write: Write): void {
    this.#wanted.set(`${write.row.producer} ${write.row.n}`, write);
    this.#running ??= this.#run();
  }

  async #run(): Promise<void> {
    // What is asked for in the same turn belongs to the same step.
    await Promise.resolve();
    while (this.#wanted.size > 0) {
      const writes = [...this.#wanted.values()];
      this.#wanted.clear();
      const rows = (isRemoval: boolean): OutboxRow[] => writes.filter((write) => write.isRemoval === isRemoval).map(({ row }) => row);
      let error: unknown = null;
      try {
        await this.#step(rows(false), rows(true));
      } catch (cause) {
        error = cause;
      }
      this.#onWritten(writes, error);
    }
    this.#running = null;
  }
}
