// Messages that wait for their reply: a bounded queue while there is no connection, then a table by correlation id.
import type { Cancel, Clock } from './clock';
import { WSEError } from './errors';

const UNKNOWN = 'The connection dropped after the message was sent and before its reply; ask for the state, then send again if needed.';

/** Settings of the table. */
export interface RequestsConfig {
  /** Most messages that may wait, sent or not. */
  readonly capacity: number;
}

interface Pending {
  readonly text: string;
  sent: boolean;
  readonly resolve: (reply: unknown) => void;
  readonly reject: (error: WSEError) => void;
  readonly cancelTimer: Cancel;
}

/** Outstanding requests of one client, in the order in which they were made. */
export class Requests {
  readonly #config: RequestsConfig;
  readonly #clock: Clock;
  readonly #pending = new Map<string, Pending>();

  constructor(config: RequestsConfig, clock: Clock) {
    this.#config = config;
    this.#clock = clock;
  }

  get size(): number {
    return this.#pending.size;
  }

  /** Whether one was sent and has no answer. */
  get hasSent(): boolean {
    for (const { sent } of this.#pending.values()) if (sent) return true;
    return false;
  }

  /** Takes a request in; the promise ends with the reply, an error of the server, or the timeout. */
  add(cid: string, text: string, timeoutMs: number): Promise<unknown> {
    if (this.#pending.size >= this.#config.capacity) {
      return Promise.reject(WSEError.client('QUEUE_FULL', `${this.#config.capacity} messages are waiting.`));
    }
    return new Promise((resolve, reject) => {
      const cancelTimer = this.#clock.setTimer(() => {
        this.handleError(cid, WSEError.client('TIMEOUT', `No reply within ${timeoutMs} ms.`));
      }, timeoutMs);
      this.#pending.set(cid, { text, sent: false, resolve, reject, cancelTimer });
    });
  }

  /** Texts to send now by their ids, oldest first; they count as sent from here on. */
  *poll(): Iterable<readonly [string, string]> {
    for (const [cid, pending] of this.#pending) {
      if (pending.sent) continue;
      pending.sent = true;
      yield [cid, pending.text];
    }
  }

  /** A reply came; returns whether a request waited for it. */
  handleReply(cid: string, payload: unknown): boolean {
    const pending = this.#take(cid);
    pending?.resolve(payload);
    return pending !== undefined;
  }

  /** An error came for a request; returns whether one waited for it. */
  handleError(cid: string, error: WSEError): boolean {
    const pending = this.#take(cid);
    pending?.reject(error);
    return pending !== undefined;
  }

  /** The connection dropped: what was sent has an unknown outcome, the rest goes out on the next connection. */
  handleDrop(): void {
    for (const [cid, { sent }] of this.#pending) if (sent) this.handleError(cid, new WSEError('OUTCOME_UNKNOWN', UNKNOWN, { fault: 'network' }));
  }

  /** Nothing will be sent any more: all fail with `error`. */
  rejectAll(error: WSEError): void {
    for (const cid of [...this.#pending.keys()]) this.handleError(cid, error);
  }

  #take(cid: string): Pending | undefined {
    const pending = this.#pending.get(cid);
    this.#pending.delete(cid);
    pending?.cancelTimer();
    return pending;
  }
}
