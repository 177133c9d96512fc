// The client: one connection, its subscriptions, its requests and its listeners, put together.
import type { Clock } from './clock';
import { Connection } from './connection';
import { Deadline } from './deadline';
import { DEFAULTS } from './defaults.gen';
import { Emitter } from './emitter';
import { fitsBytes, type Category, type Priority } from './envelope';
import { WSEError } from './errors';
import type { ConnectionHealth } from './health';
import { createHold, type TopicHold } from './hold';
import type { ConnectionStatus } from './machine';
import { encodeClientHello, encodeRequest, encodeSubscription, type EventMessage, type Position, type ServerMessage } from './messages';
import { resolveOptions, type ClientOptions, type ResolvedOptions, type Token } from './options';
import { Requests } from './requests';
import type { Roles } from './roles';
import { Subscriptions, type TopicState } from './subscriptions';
import { VERSION } from './version';

/** The connection as the application sees it; a new object for every change. */
export interface ClientState {
  readonly status: ConnectionStatus;
  /** Whether `server_ready` has come on the present connection. */
  readonly isConnected: boolean;
  readonly connectionHealth: ConnectionHealth;
  /** What keeps the client from being connected; null while it is, or while nothing has failed yet. */
  readonly error: WSEError | null;
  /** The last error reported, whatever came after it. */
  readonly lastError: WSEError | null;
  /** Smoothed round trip in milliseconds; null before the first pong. */
  readonly rttMs: number | null;
  /** User id that the server gave; null when anonymous. */
  readonly user: string | null;
  /** The server's id of the connection; null while there is none. */
  readonly connection: string | null;
}

/** Nothing tried yet; also what a server-side render shows. */
export const INITIAL_STATE: ClientState = {
  status: 'idle',
  isConnected: false,
  connectionHealth: 'offline',
  error: null,
  lastError: null,
  rttMs: null,
  user: null,
  connection: null,
};

/** What comes with an event's payload. */
export interface EventMeta {
  readonly type: string;
  readonly category: Category;
  readonly topic: string | undefined;
  readonly id: string | undefined;
  /** Position in the topic's log; undefined for a message of no topic. */
  readonly seq: number | undefined;
  readonly epoch: string | undefined;
  /** Time of publish, ISO 8601 in UTC. */
  readonly ts: string | undefined;
  readonly key: string | undefined;
}

/** Receives events. */
export type EventHandler<T = unknown> = (payload: T, meta: EventMeta) => void;

/** What the client tells about itself. */
export interface Notices {
  /** Status, health or error changed. */
  status: ClientState;
  /** An error that no caller receives. */
  error: WSEError;
  /** Messages of a topic are lost: load its state anew. */
  resync: { readonly topic: string; readonly reason: string };
  /** The state of some subscription changed. */
  topics: null;
  /** Another user is connected than before. */
  user: string | null;
}

/** Options of one message. */
export interface SendOptions {
  /** How long to wait for the reply, in milliseconds. @default requestTimeoutMs of the client */
  readonly timeout?: number | undefined;
  /** @default 5, NORMAL */
  readonly priority?: Priority | undefined;
}

/** A live connection to a WSE server. Made by `createClient`; nothing happens before `connect`. */
export class WSEClient {
  readonly #options: ResolvedOptions;
  readonly #roles: Roles;
  readonly #connection: Connection;
  readonly #subscriptions: Subscriptions;
  readonly #requests: Requests;
  readonly #events: Emitter<[unknown, EventMeta]>;
  readonly #notices: Emitter<[unknown]>;
  readonly #subscriptionTimer: Deadline;
  /** Topics of the subscription messages that have no answer yet, by correlation id. */
  readonly #asked = new Map<string, readonly string[]>();
  readonly #own: TopicHold;
  #state = INITIAL_STATE;
  #token: Token | undefined;
  #wanted = false;
  #flushPlanned = false;
  #messageBytes: number = DEFAULTS.messageBytes;
  #knownUser: string | null | undefined;

  constructor(options: ClientOptions, roles: Roles) {
    this.#options = resolveOptions(options);
    this.#roles = roles;
    this.#token = this.#options.token;
    const report = (error: unknown): void => roles.environment.report('wse-client: a listener threw', error);
    this.#events = new Emitter(report);
    this.#notices = new Emitter(report);
    this.#subscriptions = new Subscriptions(this.#options.lingerMs);
    this.#requests = new Requests({ capacity: this.#options.pendingRequests }, roles.clock);
    this.#subscriptionTimer = new Deadline(roles.clock, () => this.#handleSubscriptionTimer());
    this.#connection = new Connection(this.#options, roles, {
      onOpen: (token) => encodeClientHello({ token, topics: this.#subscriptions.handleOpen(), client: `wse-client/${VERSION}` }),
      onReady: (ready, hello) => this.#handleReady(ready, hello?.messageBytes),
      onMessage: (message) => this.#handleMessage(message),
      onChange: (status, error) => this.#handleChange(status, error),
      onFault: (error) => this.#fault(error),
    });
    this.#own = this.hold();
    this.#own.set(options.topics ?? []);
  }

  /** The clock that the client lives by. */
  get clock(): Clock {
    return this.#roles.clock;
  }

  /** The connection now. */
  get state(): ClientState {
    return this.#state;
  }

  /** Declared topics and their states. */
  get topics(): ReadonlyMap<string, TopicState> {
    return new Map(this.#subscriptions.states());
  }

  /** Whether somebody holds the topic, or did a moment ago. */
  hasTopic(topic: string): boolean {
    return this.#subscriptions.state(topic) !== undefined;
  }

  /** Messages that wait for a reply or for the connection. */
  get pending(): number {
    return this.#requests.size;
  }

  /** Opens the connection and keeps it; does nothing while it is open, waits while the token is null. */
  connect(): void {
    this.#wanted = true;
    this.#connection.start();
  }

  /** Closes for good; waiting messages are rejected with `CLOSED`. */
  close(): void {
    this.#wanted = false;
    this.#connection.stop();
  }

  /** Connects anew with another token; null closes the socket and waits. Messages not sent yet are rejected with `TOKEN_CHANGED`. */
  setToken(token: Token | undefined): void {
    if (token === this.#token) return;
    const hadToken = this.#token !== null;
    this.#token = token;
    this.#connection.setToken(token, this.#wanted);
    if (hadToken) this.#requests.rejectAll(WSEError.client('TOKEN_CHANGED'));
  }

  /** Subscribes for this client as a whole; returns what takes it back. Asking twice counts once. */
  subscribe(topics: string | readonly string[]): () => void {
    const list = typeof topics === 'string' ? [topics] : topics;
    this.#own.add(list);
    return () => this.#own.remove(list);
  }

  /** Takes `subscribe` back; a topic that someone else holds stays. */
  unsubscribe(topics: string | readonly string[]): void {
    this.#own.remove(typeof topics === 'string' ? [topics] : topics);
  }

  /** A separate holder of topics, such as one component. */
  hold(): TopicHold {
    return createHold(
      (topic) => {
        this.#subscriptions.retain(topic);
        this.#planFlush();
      },
      (topic) => {
        this.#subscriptions.release(topic, this.#roles.clock.now());
        this.#planFlush();
      },
    );
  }

  /** Sends a message to the server's handler for `type`; resolves with the handler's reply, rejects with a WSEError. */
  async sendMessage<Reply = unknown>(type: string, payload?: unknown, options: SendOptions = {}): Promise<Reply> {
    const cid = this.#roles.environment.uuid();
    const text = this.#encode(type, payload, cid, options.priority);
    const reply = this.#requests.add(cid, text, options.timeout ?? this.#options.requestTimeoutMs);
    if (this.#state.isConnected) this.#sendRequests();
    return (await reply) as Reply;
  }

  /** The same function as `sendMessage`. */
  send<Reply = unknown>(type: string, payload?: unknown, options: SendOptions = {}): Promise<Reply> {
    return this.sendMessage<Reply>(type, payload, options);
  }

  /** Hears the events of one type, or all with `'*'`; returns what ends it. */
  on<T = unknown>(type: string, handler: EventHandler<T>): () => void {
    return this.#events.on(type, (payload, meta) => handler(payload as T, meta));
  }

  /** Hears what the client tells about itself; returns what ends it. */
  onNotice<Name extends keyof Notices>(name: Name, handler: (notice: Notices[Name]) => void): () => void {
    return this.#notices.on(name, (notice) => handler(notice as Notices[Name]));
  }

  #encode(type: string, payload: unknown, cid: string, priority: Priority | undefined): string {
    if (this.#state.status === 'closed') throw this.#state.error ?? WSEError.client('CLOSED');
    if (!fitsBytes(type, 256)) throw new WSEError('INVALID_MESSAGE', 'A message type has 1 to 256 bytes.', { fault: 'application' });
    const text = encodeRequest(type, payload, cid, priority);
    if (!fitsBytes(text, this.#messageBytes)) {
      throw new WSEError('MESSAGE_TOO_LARGE', `The server takes ${this.#messageBytes} bytes; send less at a time.`, { fault: 'application' });
    }
    return text;
  }

  #notify<Name extends keyof Notices>(name: Name, notice: Notices[Name]): void {
    this.#notices.emit(name, notice);
  }

  #handleReady(ready: Extract<ServerMessage, { kind: 'ready' }>, messageBytes: number | undefined): void {
    this.#messageBytes = messageBytes ?? DEFAULTS.messageBytes;
    if (this.#knownUser !== undefined && this.#knownUser !== ready.user) {
      this.#subscriptions.forgetPositions();
      this.#notify('user', ready.user);
    }
    this.#knownUser = ready.user;
    this.#subscriptions.handleReady();
    this.#update({ user: ready.user, connection: ready.connection });
    this.#flushSubscriptions();
    this.#sendRequests();
  }

  #handleMessage(message: Extract<ServerMessage, { kind: 'event' | 'reply' | 'error' | 'subscriptions' }>): void {
    switch (message.kind) {
      case 'event':
        this.#handleEvent(message);
        return;
      case 'reply':
        this.#requests.handleReply(message.cid, message.payload);
        return;
      case 'subscriptions':
        this.#handleUpdates(message);
        return;
      case 'error':
        this.#handleError(message.cid, message.error);
    }
  }

  #handleEvent(message: EventMessage): void {
    const deliver = this.#subscriptions.admit(message);
    if (!deliver) {
      this.#planFlush();
      return;
    }
    const { type, category, topic, id, position, ts, key, payload } = message;
    const meta: EventMeta = { type, category, topic, id, seq: position?.seq, epoch: position?.epoch, ts, key };
    // '*' is no event type: a message of that name must not reach the listeners of everything twice.
    if (type !== '*') this.#events.emit(type, payload, meta);
    this.#events.emit('*', payload, meta);
  }

  #handleUpdates(message: Extract<ServerMessage, { kind: 'subscriptions' }>): void {
    if (message.cid !== undefined) this.#asked.delete(message.cid);
    const now = this.#roles.clock.now();
    for (const update of message.topics) {
      const lost = this.#subscriptions.handleUpdate(update, now);
      const state = this.#subscriptions.state(update.topic);
      if (lost) this.#notify('resync', { topic: update.topic, reason: state?.reason ?? 'unknown' });
      if (update.status === 'refused' && state?.error) this.#fault(state.error);
    }
    this.#handleTopics();
  }

  #handleError(cid: string | undefined, error: WSEError): void {
    if (cid !== undefined && this.#requests.handleError(cid, error)) return;
    const topics = cid === undefined ? undefined : this.#asked.get(cid);
    if (cid !== undefined && topics !== undefined) {
      this.#asked.delete(cid);
      this.#subscriptions.handleError(topics, error, this.#roles.clock.now());
      this.#handleTopics();
    }
    this.#fault(error);
  }

  #handleChange(status: ConnectionStatus, error: WSEError | null): void {
    const before = this.#state.status;
    const gone = status === 'waiting' || status === 'closed' || status === 'idle';
    if (gone && status !== before) {
      this.#asked.clear();
      this.#subscriptions.handleClose();
      this.#requests.handleDrop();
      this.#handleTopics();
    }
    if (status === 'closed' && status !== before) this.#requests.rejectAll(error ?? WSEError.client('CLOSED'));
    const ready = status === 'ready';
    const { health } = this.#connection;
    this.#update({
      status,
      isConnected: ready,
      connectionHealth: health.judge(ready),
      rttMs: health.rttMs,
      // Closed by the user is no error; what was wrong before does not matter any more.
      error: ready || (status === 'closed' && before !== 'closed') ? error : (error ?? this.#state.error),
      connection: gone ? null : this.#state.connection,
    });
    if (error !== null) this.#fault(error);
  }

  #handleTopics(): void {
    this.#subscriptionTimer.arm(this.#subscriptions.pollTimeout());
    this.#notify('topics', null);
  }

  #handleSubscriptionTimer(): void {
    this.#subscriptions.handleTimeout(this.#roles.clock.now());
    this.#flushSubscriptions();
  }

  /** Changes made in one turn go out as one message. */
  #planFlush(): void {
    if (this.#flushPlanned) return;
    this.#flushPlanned = true;
    void Promise.resolve().then(() => {
      this.#flushPlanned = false;
      this.#flushSubscriptions();
    });
  }

  #flushSubscriptions(): void {
    const { unsubscribe, subscribe, positions } = this.#subscriptions.poll();
    if (unsubscribe.length > 0) this.#ask('unsubscribe', unsubscribe, new Map());
    if (subscribe.length > 0) this.#ask('subscribe', subscribe, positions);
    this.#handleTopics();
  }

  #ask(action: 'subscribe' | 'unsubscribe', topics: readonly string[], positions: ReadonlyMap<string, Position>): void {
    const cid = this.#roles.environment.uuid();
    if (action === 'subscribe') this.#asked.set(cid, topics);
    this.#connection.send(encodeSubscription(action, topics, positions, cid));
  }

  #sendRequests(): void {
    for (const text of this.#requests.poll()) this.#connection.send(text);
  }

  #fault(error: WSEError): void {
    this.#update({ lastError: error });
    this.#notify('error', error);
    try {
      this.#options.onError?.(error);
    } catch (thrown) {
      this.#roles.environment.report('wse-client: onError threw', thrown);
    }
  }

  #update(change: Partial<ClientState>): void {
    const next = { ...this.#state, ...change };
    const keys = Object.keys(next) as (keyof ClientState)[];
    if (keys.every((key) => Object.is(next[key], this.#state[key]))) return;
    this.#state = next;
    this.#notify('status', next);
  }
}
