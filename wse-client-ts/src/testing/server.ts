// A server in memory that speaks the protocol over a fake transport, and counts what arrives.
import { DEFAULTS } from '../core/defaults.gen';
import { decodeEnvelope, encodeEnvelope, type Envelope } from '../core/envelope';
import type { SocketEvents, Transport } from '../core/transport';
import { TopicLog } from './topic-log';

/** How the server treats new sockets: `accept`, `refuse` (1006 at once), `hang` (never opens), `mute` (opens, says nothing). */
export type FakeServerMode = 'accept' | 'refuse' | 'hang' | 'mute';

/** A refusal after `client_hello`: an error, then its close. */
export interface FakeRefusal {
  readonly code: string;
  readonly close: number;
  readonly message?: string;
}

/** One socket as the server sees it. */
export class FakeConnection {
  readonly url: string;
  readonly protocols: readonly string[];
  /** Every frame that came from the client, in order. */
  readonly received: Envelope[] = [];
  /** Topics that this connection has. */
  readonly topics = new Set<string>();
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

  /** Sends an envelope to the client. */
  send(envelope: Omit<Envelope, 'v'>): void {
    this.sendText(encodeEnvelope(envelope));
  }

  /** Sends any text, or bytes, to the client. */
  sendText(data: string | ArrayBuffer): void {
    if (this.isOpen && !this.isDead) this.#events.onMessage(data);
  }

  /** Closes from the server's side; 1006 is a connection that broke. */
  close(code: number, reason = ''): void {
    if (!this.isOpen) return;
    this.isOpen = false;
    this.#events.onClose(code, reason);
  }
}

/** The fake transport and the server behind it. */
export class FakeServer {
  /** Every socket ever opened, in order. */
  readonly connections: FakeConnection[] = [];
  mode: FakeServerMode = 'accept';
  /** Answers `client_hello` with this error and close. */
  refusal: FakeRefusal | null = null;
  /** Whether pings get their pongs. */
  answersPings = true;
  user: string | null = null;
  heartbeatMs: number = DEFAULTS.heartbeatMs;
  retryMs: number = DEFAULTS.restartRetryMs;
  messageBytes: number = DEFAULTS.messageBytes;
  /** Topics answered `refused` with this code. */
  readonly refusedTopics = new Map<string, string>();
  readonly #handlers = new Map<string, (payload: unknown) => unknown>();
  readonly #logs = new Map<string, TopicLog>();

  /** Sockets that are open now. */
  get open(): FakeConnection[] {
    return this.connections.filter(({ isOpen }) => isOpen);
  }

  /** The socket opened last. */
  get last(): FakeConnection {
    const last = this.connections.at(-1);
    if (last === undefined) throw new Error('no socket was opened');
    return last;
  }

  /** Answers messages of `type`; a handler that throws is `HANDLER_FAILED`, without one it is `NO_HANDLER`, `undefined` answers nothing. */
  on(type: string, handler: (payload: unknown) => unknown): void {
    this.#handlers.set(type, handler);
  }

  /** The log of a topic. */
  log(topic: string): TopicLog {
    const log = this.#logs.get(topic) ?? new TopicLog(topic);
    this.#logs.set(topic, log);
    return log;
  }

  /** Publishes to every subscriber; returns the envelope. */
  publish(topic: string, payload: unknown, type = topic): Envelope {
    const envelope = this.log(topic).append(type, payload);
    for (const connection of this.open) if (connection.topics.has(topic)) connection.send(envelope);
    return envelope;
  }

  /** Closes every open socket. */
  drop(code = 1006): void {
    for (const connection of this.open) connection.close(code);
  }

  /** What a client opens its sockets with. */
  readonly transport: Transport = {
    open: (url, protocols, events) => {
      const connection = new FakeConnection(url, protocols, events);
      this.connections.push(connection);
      void Promise.resolve().then(() => {
        if (this.mode === 'refuse') connection.close(1006);
        else if (this.mode !== 'hang') connection.open();
      });
      return {
        send: (text) => this.#receive(connection, text),
        close: (code = 1000) => {
          connection.clientCloseCode ??= code;
          connection.close(code);
        },
      };
    },
  };

  /** Frames travel through a microtask, so that neither side is called from within its own call. */
  #receive(connection: FakeConnection, text: string): void {
    if (!connection.isOpen || connection.isDead) return;
    const envelope = decodeEnvelope(text);
    connection.received.push(envelope);
    if (this.mode !== 'mute') void Promise.resolve().then(() => this.#handle(connection, envelope));
  }

  #handle(connection: FakeConnection, envelope: Envelope): void {
    const { t, c, p, cid } = envelope;
    if (c !== 'WSE') this.#handleRequest(connection, envelope);
    else if (t === 'client_hello') this.#handleHello(connection, p as { topics?: string[] });
    else if (t === 'subscription') this.#handleSubscription(connection, p as Subscription, cid);
    else if (t === 'ping' && this.answersPings) connection.send({ t: 'pong', c: 'WSE', p });
  }

  #handleHello(connection: FakeConnection, hello: { topics?: string[] }): void {
    if (this.refusal !== null) {
      const { code, close, message = 'refused by the test' } = this.refusal;
      connection.send({ t: 'error', c: 'WSE', p: { code, message } });
      connection.close(close);
      return;
    }
    const id = `connection-${this.connections.length}`;
    const limits = { heartbeat_ms: this.heartbeatMs, idle_timeout_ms: DEFAULTS.idleTimeoutMs, message_bytes: this.messageBytes };
    const subscriptions = DEFAULTS.subscriptions;
    connection.send({ t: 'server_hello', c: 'WSE', p: { version: 2, format: 'json', connection: id, server: 'fake', ...limits, subscriptions } });
    connection.send({ t: 'server_ready', c: 'WSE', p: { connection: id, user: this.user, retry_ms: this.retryMs } });
    if (hello.topics !== undefined) this.#handleSubscription(connection, { action: 'subscribe', topics: hello.topics }, undefined);
  }

  #handleSubscription(connection: FakeConnection, { action, topics, positions = {} }: Subscription, cid: string | undefined): void {
    const replays: Envelope[] = [];
    const answers = topics.map((topic) => {
      const code = this.refusedTopics.get(topic);
      if (code !== undefined) return { tp: topic, status: 'refused', code, message: 'refused by the test' };
      if (action === 'unsubscribe') {
        connection.topics.delete(topic);
        return { tp: topic, status: 'unsubscribed' };
      }
      const position = connection.topics.has(topic) ? undefined : positions[topic];
      connection.topics.add(topic);
      const { answer, replay } = this.log(topic).resume(position);
      replays.push(...replay);
      return answer;
    });
    connection.send({ t: 'subscription_update', c: 'WSE', ...(cid === undefined ? {} : { cid }), p: { topics: answers } });
    for (const envelope of replays) connection.send(envelope);
  }

  #handleRequest(connection: FakeConnection, { t, p, cid }: Envelope): void {
    const reference = cid === undefined ? {} : { cid };
    const fail = (code: string, message: string): void => connection.send({ t: 'error', c: 'WSE', ...reference, p: { code, message } });
    const handler = this.#handlers.get(t);
    if (handler === undefined) {
      fail('NO_HANDLER', `There is no handler for ${t}.`);
      return;
    }
    try {
      const reply = handler(p);
      if (cid !== undefined && reply !== undefined) connection.send({ t: 'reply', c: 'WSE', cid, p: reply });
    } catch (error) {
      fail('HANDLER_FAILED', String(error));
    }
  }
}

interface Subscription {
  readonly action: 'subscribe' | 'unsubscribe';
  readonly topics: string[];
  readonly positions?: Record<string, { e: string; seq: number }>;
}
