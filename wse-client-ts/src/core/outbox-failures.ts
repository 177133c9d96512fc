// Failed messages that wait for the application to send them anew or to forget them; bounded.
import type { OutboxMessage } from './outbox-message';
import type { OutboxRow } from './outbox-store';

/** Above it the oldest is forgotten. */
export const FAILED_KEPT = 100;

interface Failure {
  readonly row: OutboxRow;
  readonly message: OutboxMessage;
  readonly bytes: number;
}

/** The failed messages of one client. */
export class Failures {
  readonly #maxBytes: number;
  readonly #kept = new Map<string, Failure>();
  #bytes = 0;

  constructor(maxBytes: number) {
    this.#maxBytes = maxBytes;
  }

  get size(): number {
    return this.#kept.size;
  }

  /** Oldest first. */
  get messages(): readonly OutboxMessage[] {
    return [...this.#kept.values()].map(({ message }) => message);
  }

  /** Takes one in; returns the rows that had to give way. */
  add(row: OutboxRow, message: OutboxMessage, bytes: number): readonly OutboxRow[] {
    this.take(row.id);
    this.#kept.set(row.id, { row, message, bytes });
    this.#bytes += bytes;
    const left: OutboxRow[] = [];
    for (const [id, oldest] of this.#kept) {
      if (this.#kept.size <= FAILED_KEPT && this.#bytes <= this.#maxBytes) break;
      this.take(id);
      left.push(oldest.row);
    }
    return left;
  }

  find(id: string): OutboxRow | undefined {
    return this.#kept.get(id)?.row;
  }

  take(id: string): OutboxRow | undefined {
    const failure = this.#kept.get(id);
    if (failure !== undefined) this.#bytes -= failure.bytes;
    this.#kept.delete(id);
    return failure?.row;
  }

  hasOf(producer: string): boolean {
    for (const { row } of this.#kept.values()) if (row.producer === producer) return true;
    return false;
  }

  /** Others' are not this page's to see; their rows stay in the store. */
  keepOnly(isOurs: (row: OutboxRow) => boolean): void {
    for (const [id, { row }] of this.#kept) if (!isOurs(row)) this.take(id);
  }

  clear(): void {
    this.#kept.clear();
    this.#bytes = 0;
  }
}
