// A message of the outbox as the application sees it.
import { WSEError } from './errors';
import type { OutboxRow } from './outbox-store';

/**
 * `queued` not sent yet; `sent` at least once, the outcome is not known yet; `acknowledged` handled, and gone from the outbox;
 * `failed` it will not be sent again, `error` says why.
 */
export type OutboxStatus = 'queued' | 'sent' | 'acknowledged' | 'failed';

/** One message at one moment; a new object for each change. */
export class OutboxMessage {
  readonly #row: OutboxRow;
  readonly status: OutboxStatus;
  /** What the handler returned, once it is acknowledged. */
  readonly reply: unknown;
  /** Why it failed; null otherwise. */
  readonly error: WSEError | null;
  /** An earlier page wrote it, or this client before it was closed: no promise of its reply is left. */
  readonly isEarlier: boolean;

  constructor(row: OutboxRow, status: OutboxStatus, isEarlier: boolean, reply?: unknown) {
    this.#row = row;
    this.status = status;
    this.isEarlier = isEarlier;
    this.reply = reply;
    this.error = row.failure === undefined ? null : new WSEError(row.failure.code, row.failure.message);
  }

  get id(): string {
    return this.#row.id;
  }

  get type(): string {
    return this.#row.type;
  }

  /** A copy of what was to be sent. */
  get payload(): unknown {
    const payload: unknown = JSON.parse(this.#row.payload);
    return payload;
  }

  /** When it was written, in milliseconds since 1970. */
  get at(): number {
    return this.#row.at;
  }
}

/** How many messages there are of each status. */
export interface OutboxCounts {
  readonly queued: number;
  readonly sent: number;
  readonly failed: number;
}

/** The messages of a client that are kept until the server has handled them. */
export interface ClientOutbox {
  /** Failed ones, then the others in the order in which they are sent; the same array until something changes. */
  readonly messages: readonly OutboxMessage[];
  readonly counts: OutboxCounts;
  /** Messages that other users of this browser have left, which only they send and see; known once connected. */
  readonly ofOthers: number;
  /** Whether messages outlive the page; null before that is known. */
  readonly isDurable: boolean | null;
  /** Hears each message at each change of its status, and null where only `ofOthers` or `isDurable` changed; returns what ends it. */
  onChange(listener: (message: OutboxMessage | null) => void): () => void;
  /** Takes a message out that was not sent yet, or has failed; false where there is none such. Its promise rejects with `CANCELLED`. */
  cancel(id: string): boolean;
  /** Sends a failed message anew, as the last one; rejects with `NOT_FAILED` where there is none such. */
  retry(id: string): Promise<unknown>;
}
