// One socket as the fake server sees it: what came, what it speaks, what it has subscribed.
import { PLAIN, type Agreement } from '../core/agreement';
import { encodeEnvelope, type Envelope } from '../core/envelope';
import { decodeFrame, encodeFrame } from '../core/frames';
import type { SocketEvents } from '../core/transport';

/** One socket as the server sees it. */
export class FakeConnection {
  readonly url: string;
  readonly protocols: readonly string[];
  /** Every frame that came from the client, in order, decoded. */
  readonly received: Envelope[] = [];
  /** The same as they came: text, or bytes of a tagged frame. */
  readonly frames: (string | Uint8Array<ArrayBuffer>)[] = [];
  /** Topics and patterns that this connection has. */
  readonly topics = new Set<string>();
  /** What both sides speak; changes after `server_hello`. */
  agreed: Agreement = PLAIN;
  /** Neither side has closed it. */
  isOpen = true;
  /** Frames go nowhere in either direction, and nobody is told: a half-open connection. */
  isDead = false;
  /** Close code that the client gave; undefined while it has not closed. */
  clientCloseCode: number | undefined;
  readonly #events: SocketEvents;

  constructor(url: string, protocols: readonly string[], events: SocketEvents) {
    this.url = url;
    this.protocols = protocols;
    this.#events = events;
  }

  /** Frames of one type that came from the client. */
  of(type: string): Envelope[] {
    return this.received.filter(({ t }) => t === type);
  }

  /** Tells the client that the socket is open. */
  open(): void {
    if (this.isOpen) this.#events.onOpen();
  }

  /** A frame came from the client; returns its envelope. */
  receive(frame: string | Uint8Array<ArrayBuffer>): Envelope {
    const data = typeof frame === 'string' ? frame : frame.slice().buffer;
    const { envelope } = decodeFrame(data, this.agreed);
    this.frames.push(frame);
    this.received.push(envelope);
    return envelope;
  }

  /** Sends an envelope to the client in the form that was negotiated. */
  send(envelope: Omit<Envelope, 'v'>): void {
    const frame = encodeFrame(encodeEnvelope(envelope), this.agreed);
    this.sendRaw(typeof frame === 'string' ? frame : frame.slice().buffer);
  }

  /** Sends any text, or bytes, to the client. */
  sendRaw(data: string | ArrayBuffer): void {
    if (this.isOpen && !this.isDead) this.#events.onMessage(data);
  }

  /** Closes from the server's side; 1006 is a connection that broke. */
  close(code: number, reason = ''): void {
    if (!this.isOpen) return;
    this.isOpen = false;
    this.#events.onClose(code, reason);
  }
}
