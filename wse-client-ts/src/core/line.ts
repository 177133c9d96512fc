// One socket, from the way to its address to its end: what both sides speak on it, and why it ended; holds no rule of reconnecting.
import { agree, PLAIN, type Agreement } from './agreement';
import { encodeBeat } from './client-messages';
import { CLOSE_CODES } from './codes.gen';
import { resolveEndpoint, type Endpoint } from './endpoints';
import { closeOf, WSEError } from './errors';
import { decodeFrame, encodeFrame } from './frames';
import { isFatalClose } from './machine';
import { parseServerMessage, type HelloMessage, type ServerMessage } from './messages';
import type { Token } from './options';
import type { Roles } from './roles';
import type { Socket } from './transport';

/** The subprotocol that says: `client_hello` comes first ([P-3]). */
export const SUBPROTOCOL = 'wse.v2';

/** What a line hands to its owner; it deals with the rest itself. */
export type LineMessage = Exclude<ServerMessage, { kind: 'hello' | 'ping' | 'batch' | 'unknown' }>;

/** What a line reports; nothing once it was closed. */
export interface LineEvents {
  /** The socket is open; returns the first frame. */
  onOpen(token: string | undefined): string;
  /** A frame came, whatever it says. */
  onFrame(): void;
  onMessage(message: LineMessage): void;
  /** A frame that cannot be read; `isFatal`: the server sends more than is taken. */
  onFault(error: WSEError, isFatal: boolean): void;
  /** It ended by itself, or could not begin. */
  onClose(code: number, error: WSEError): void;
}

/** One attempt, and the connection that it may become. */
export class Line {
  readonly #roles: Roles;
  readonly #offers: Agreement;
  readonly #events: LineEvents;
  #socket: Socket | null = null;
  #agreed = PLAIN;
  #isOver = false;
  /** The server's error that came last, if no other frame came after it: it may explain a close. */
  #serverError: WSEError | null = null;
  /** What was negotiated; null before. */
  hello: HelloMessage | null = null;

  constructor(roles: Roles, offers: Agreement, events: LineEvents) {
    this.#roles = roles;
    this.#offers = offers;
    this.#events = events;
  }

  /** Opens it once where and as whom is known. */
  async open(endpoint: () => Promise<Endpoint>, credential: Token | undefined): Promise<void> {
    try {
      const where = await endpoint();
      const url = typeof where === 'function' ? await where() : where;
      const token = typeof credential === 'function' ? await credential() : credential;
      if (this.#isOver) return;
      if (token === null) throw WSEError.client('NO_TOKEN');
      this.#connect(resolveEndpoint(url, this.#roles.environment.origin), token);
    } catch (cause) {
      const error = cause instanceof WSEError ? cause : WSEError.client('CONNECTION_LOST', `The attempt failed: ${String(cause)}.`, cause);
      this.#end(CLOSE_CODES.ABNORMAL.code, error);
    }
  }

  /** Sends a JSON envelope, in the form that was negotiated. */
  send(text: string): void {
    this.#socket?.send(encodeFrame(text, this.#agreed));
  }

  /** Detaches first: a half-open socket may take minutes to report its close. */
  close(code: number): void {
    this.#isOver = true;
    const socket = this.#socket;
    this.#socket = null;
    socket?.close(code);
  }

  #connect(url: string, token: string | undefined): void {
    this.#socket = this.#roles.transport.open(url, [SUBPROTOCOL], {
      onOpen: () => {
        if (!this.#isOver) this.send(this.#events.onOpen(token));
      },
      onMessage: (data) => {
        if (!this.#isOver) this.#handleFrame(data);
      },
      onClose: (code, reason) => this.#end(code, this.#explain(code, reason, url)),
    });
  }

  #end(code: number, error: WSEError): void {
    if (this.#isOver) return;
    this.#isOver = true;
    this.#socket = null;
    this.#events.onClose(code, error);
  }

  #explain(code: number, reason: string, url: string): WSEError {
    const isFatal = isFatalClose(code);
    const error = this.#serverError;
    // What went wrong with some message is not why the network broke.
    if (error !== null && (isFatal || closeOf(error.code) === code)) return error;
    return WSEError.client(isFatal ? 'CONNECTION_REFUSED' : 'CONNECTION_LOST', `${url} closed with ${code}${reason === '' ? '' : ` ${reason}`}.`);
  }

  #handleFrame(data: string | ArrayBuffer): void {
    this.#events.onFrame();
    try {
      this.#handleMessage(parseServerMessage(decodeFrame(data, this.#agreed)));
    } catch (thrown) {
      const error = thrown instanceof WSEError ? thrown : new WSEError('INTERNAL', String(thrown), { cause: thrown });
      this.#events.onFault(error, error.code === 'INFLATE_LIMIT' || error.code === 'MESSAGE_TOO_LARGE');
    }
  }

  #handleMessage(message: ServerMessage): void {
    this.#serverError = message.kind === 'error' ? message.error : null;
    switch (message.kind) {
      case 'hello':
        this.hello = message;
        this.#agreed = agree(this.#offers, message);
        return;
      case 'batch':
        this.#handleBatch(message.messages);
        return;
      case 'ping':
        this.send(encodeBeat('pong', message.payload));
        return;
      case 'unknown':
        return;
      default:
        this.#events.onMessage(message);
    }
  }

  /** One after the other, as if each had come in a frame of its own: one of them may end this line. */
  #handleBatch(messages: readonly LineMessage[]): void {
    if (!this.#agreed.batch) throw new WSEError('UNEXPECTED_MESSAGE', 'The server sent a batch, which was not negotiated.');
    for (const message of messages) if (!this.#isOver) this.#events.onMessage(message);
  }
}
