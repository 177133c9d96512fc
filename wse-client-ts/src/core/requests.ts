// Messages that wait to be sent or answered, in the order in which they were made: one table by correlation id.
import type { Clock } from './clock';
import { WSEError } from './errors';

const UNKNOWN = 'The connection dropped after the message was sent and before its reply; ask for the state, then send again if needed.';

/** One message, as the table sees it. */
export interface Outgoing {
  /** Whether it goes out again on the next connection when this one ends without its answer. */
  readonly isRepeated: boolean;
  /** Whether it may be sent now; begins what it still needs for that. */
  prepare(): boolean;
  /** The frame to send; it counts as sent from here on. */
  take(): string;
  handleReply(payload: unknown): void;
  handleError(error: WSEError): void;
}

/** Outstanding messages of one client. */
export class Requests {
  #waiting = new Map<string, { readonly message: Outgoing; sent: boolean }>();

  get size(): number {
    return this.#waiting.size;
  }

  /** Whether one was sent and has no answer. */
  get hasSent(): boolean {
    for (const { sent } of this.#waiting.values()) if (sent) return true;
    return false;
  }

  /** Takes a message in, behind all others. */
  add(cid: string, message: Outgoing): void {
    this.#waiting.set(cid, { message, sent: false });
  }

  /** Takes messages in before all others, in their order. */
  addFirst(messages: Iterable<readonly [string, Outgoing]>): void {
    const first = [...messages].map(([cid, message]) => [cid, { message, sent: false }] as const);
    this.#waiting = new Map([...first, ...this.#waiting]);
  }

  /** Frames to send now by their ids, oldest first; none passes one that cannot be sent yet. */
  *poll(): Iterable<readonly [string, string]> {
    let isBlocked = false;
    for (const [cid, pending] of this.#waiting) {
      if (pending.sent) continue;
      isBlocked = !pending.message.prepare() || isBlocked;
      if (isBlocked) continue;
      pending.sent = true;
      yield [cid, pending.message.take()];
    }
  }

  /** A reply came; returns whether a message waited for it. */
  handleReply(cid: string, payload: unknown): boolean {
    const message = this.take(cid);
    message?.handleReply(payload);
    return message !== undefined;
  }

  /** An error came for a message; returns whether one waited for it. */
  handleError(cid: string, error: WSEError): boolean {
    const message = this.take(cid);
    message?.handleError(error);
    return message !== undefined;
  }

  /** The connection dropped: what was sent goes out again where it can, and has an unknown outcome otherwise. */
  handleDrop(): void {
    for (const [cid, pending] of this.#waiting) {
      if (!pending.sent) continue;
      if (pending.message.isRepeated) pending.sent = false;
      else this.handleError(cid, new WSEError('OUTCOME_UNKNOWN', UNKNOWN, { fault: 'network' }));
    }
  }

  /** What is not repeated will not be sent any more: it fails with `error`. */
  rejectAll(error: WSEError): void {
    for (const [cid, { message }] of this.#waiting) if (!message.isRepeated) this.handleError(cid, error);
  }

  /** Takes a message out. */
  take(cid: string): Outgoing | undefined {
    const pending = this.#waiting.get(cid);
    this.#waiting.delete(cid);
    return pending?.message;
  }
}

/** A message that lives no longer than its connection and its time. */
export function passing(frame: string, timeoutMs: number, clock: Clock, onTimeout: () => void): { readonly message: Outgoing; readonly reply: Promise<unknown> } {
  const { promise, resolve, reject } = withResolvers();
  const cancel = clock.setTimer(onTimeout, timeoutMs);
  const message: Outgoing = {
    isRepeated: false,
    prepare: () => true,
    take: () => frame,
    handleReply(payload) {
      cancel();
      resolve(payload);
    },
    handleError(error) {
      cancel();
      reject(error);
    },
  };
  return { message, reply: promise };
}

/** A promise and what settles it. */
export interface Resolvers {
  readonly promise: Promise<unknown>;
  readonly resolve: (value: unknown) => void;
  readonly reject: (error: WSEError) => void;
}

/** As `Promise.withResolvers`, which is too young for the browsers that this runs in. */
export function withResolvers(): Resolvers {
  let resolve: Resolvers['resolve'] = () => undefined;
  let reject: Resolvers['reject'] = () => undefined;
  const promise = new Promise<unknown>((done, fail) => {
    resolve = done;
    reject = fail;
  });
  return { promise, resolve, reject };
}
