// What the application sends: checked, kept where that is wanted, sent in its order, and answered.
import { checkReadable, encodePayload, encodeRequest, tooLarge } from './client-messages';
import { DEFAULTS } from './defaults.gen';
import { fitsBytes } from './envelope';
import { WSEError } from './errors';
import type { ServerMessage } from './messages';
import type { ResolvedOptions, Token } from './options';
import { Outbox } from './outbox';
import type { ClientOutbox, OutboxMessage } from './outbox-message';
import { passing, Requests } from './requests';
import type { Roles } from './roles';

/** Options of one message. */
export interface SendOptions {
  /**
   * Whether it is kept until the server has handled it, over lost connections and reloads, and handled once. What is not kept
   * rejects with `OUTCOME_UNKNOWN` where its connection is lost before the reply. @default `keep` of the client
   */
  readonly keep?: boolean | undefined;
  /**
   * How long to wait for the reply, in milliseconds; a message that is kept stays in the outbox after it.
   * @default requestTimeoutMs of the client; of a kept message as long as the outbox keeps it
   */
  readonly timeout?: number | undefined;
}

/** What a sender needs of its client. */
export interface SenderEvents {
  /** Sends a frame on the ready connection. */
  onSend(text: string): void;
  onOutbox(message: OutboxMessage | null): void;
  /** A fault that no promise tells. */
  onFault(error: WSEError): void;
  /** Hears the outbox. */
  listen(listener: (message: OutboxMessage | null) => void): () => void;
}

/** Messages from the application to the server's handlers. */
export class Sender {
  readonly #options: ResolvedOptions;
  readonly #roles: Roles;
  readonly #events: SenderEvents;
  readonly #requests = new Requests();
  readonly #outbox: Outbox;
  /** The part of the requests that is not kept. */
  #passing = 0;
  #messageBytes: number = DEFAULTS.messageBytes;
  /** Frames may be sent. */
  #isOpen = false;
  #isFlushing = false;
  #isDue = false;
  readonly outbox: ClientOutbox;

  constructor(options: ResolvedOptions, roles: Roles, events: SenderEvents) {
    this.#options = options;
    this.#roles = roles;
    this.#events = events;
    const outbox = new Outbox(options.outbox, roles, {
      onReady: () => this.#flush(),
      onAdd: (id, message) => this.#requests.add(id, message),
      onAdopt: (messages) => this.#requests.addFirst(messages),
      onGone: (id) => void this.#requests.take(id),
      onChange: (message) => events.onOutbox(message),
      onFault: (error) => events.onFault(error),
    });
    this.#outbox = outbox;
    this.outbox = {
      get messages() {
        return outbox.messages;
      },
      get counts() {
        return outbox.counts;
      },
      get ofOthers() {
        return outbox.ofOthers;
      },
      get isDurable() {
        return outbox.isDurable;
      },
      onChange: (listener) => events.listen(listener),
      cancel: (id) => outbox.cancel(id),
      retry: (id) => this.#retry(id),
    };
    outbox.handleToken(known(options.token), false);
  }

  /** Messages that have no answer yet. */
  get size(): number {
    return this.#requests.size;
  }

  /** Whether one is on its way, and has no answer. */
  get hasSent(): boolean {
    return this.#requests.hasSent;
  }

  /** Sends as soon as what came before it is sent. */
  async send(type: string, payload: unknown, { keep = this.#options.keep, timeout }: SendOptions): Promise<unknown> {
    if (!fitsBytes(type, 256)) throw new WSEError('INVALID_MESSAGE', 'A message type has 1 to 256 bytes.', { fault: 'application' });
    const json = encodePayload(payload);
    const cid = this.#roles.environment.uuid();
    const frame = encodeRequest(type, json, cid);
    checkReadable(frame);
    return keep ? this.#keep(cid, type, json, timeout) : this.#pass(cid, frame, timeout ?? this.#options.requestTimeoutMs);
  }

  /** Looks after the outbox from here on. */
  start(): void {
    this.#outbox.start();
  }

  /** What the token function gave. */
  handleToken(token: string | null): void {
    this.#outbox.handleToken(token ?? '', false);
  }

  /** Another token: what was written as the user before, and is not kept, is not sent. */
  changeToken(token: Token | undefined, hadToken: boolean): void {
    // What waited for its first token was written by whoever that one is of.
    this.#outbox.handleToken(known(token), hadToken);
    if (hadToken) this.#requests.rejectAll(WSEError.client('TOKEN_CHANGED'));
  }

  /** `server_ready` came. */
  handleReady({ user, producers, outcomesMs }: Extract<ServerMessage, { kind: 'ready' }>, messageBytes: number, isMoving: boolean): void {
    this.#messageBytes = messageBytes;
    this.#isOpen = !isMoving;
    this.#outbox.handleReady({ user, epoch: producers, outcomesMs });
    this.#flush();
  }

  /** The connection that the client has moved away from is over: what waited for its answers may go. */
  handleMoveOver(): void {
    this.#requests.handleDrop();
    this.#isOpen = true;
    this.#flush();
  }

  /** The connection is gone. */
  handleClose(): void {
    this.#isOpen = false;
    this.#outbox.handleClose();
    this.#requests.handleDrop();
  }

  /** Nothing is sent any more; kept rows stay. */
  stop(error: WSEError): void {
    this.#outbox.stop(error);
    this.#requests.rejectAll(error);
  }

  /** Returns whether a message waited for it. */
  handleReply(cid: string, payload: unknown): boolean {
    return this.#requests.handleReply(cid, payload);
  }

  /** Returns whether a message waited for it. */
  handleError(cid: string, error: WSEError): boolean {
    return this.#requests.handleError(cid, error);
  }

  #keep(cid: string, type: string, json: string, timeout: number | undefined): Promise<unknown> {
    const reply = this.#outbox.add(cid, type, json);
    if (timeout === undefined) return reply;
    return new Promise((resolve, reject) => {
      const cancel = this.#roles.clock.setTimer(() => reject(WSEError.client('TIMEOUT', `No reply within ${timeout} ms; the message stays in the outbox.`)), timeout);
      reply.finally(cancel).then(resolve, reject);
    });
  }

  #pass(cid: string, frame: string, timeoutMs: number): Promise<unknown> {
    const { pendingRequests } = this.#options;
    if (this.#passing >= pendingRequests) throw WSEError.client('QUEUE_FULL', `${pendingRequests} messages are waiting.`);
    const onTimeout = (): void => void this.#requests.handleError(cid, WSEError.client('TIMEOUT', `No reply within ${timeoutMs} ms.`));
    const { message, reply } = passing(frame, timeoutMs, this.#roles.clock, onTimeout);
    this.#requests.add(cid, message);
    this.#passing += 1;
    this.#flush();
    return reply.finally(() => (this.#passing -= 1));
  }

  async #retry(id: string): Promise<unknown> {
    const failed = this.#outbox.failed(id);
    if (failed === undefined) throw WSEError.client('NOT_FAILED');
    const { type, payload } = failed;
    const reply = this.#keep(this.#roles.environment.uuid(), type, payload, undefined);
    this.#outbox.cancel(id);
    return reply;
  }

  #flush(): void {
    this.#isDue = true;
    // A listener that hears of one being sent may send another, which goes out after it.
    if (this.#isFlushing) return;
    this.#isFlushing = true;
    try {
      while (this.#flushOnce()) continue;
    } finally {
      this.#isFlushing = false;
    }
  }

  /** Returns whether there was anything to look at. */
  #flushOnce(): boolean {
    if (!this.#isDue || !this.#isOpen) return false;
    this.#isDue = false;
    for (const [cid, text] of this.#requests.poll()) {
      if (fitsBytes(text, this.#messageBytes)) this.#events.onSend(text);
      else this.#requests.handleError(cid, tooLarge(this.#messageBytes));
    }
    return true;
  }
}

/** A token as the outbox knows it: none is anonymous, and one that is still to come is not known. */
function known(token: Token | undefined): string | undefined {
  return typeof token === 'function' || token === null ? undefined : (token ?? '');
}
