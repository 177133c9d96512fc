// The client: one connection, its topics, its requests and its listeners, put together.
import { encodeClientHello } from './client-messages';
import type { Clock } from './clock';
import { Connection, type ConnectionMessage } from './connection';
import { DEFAULTS } from './defaults.gen';
import { Emitter } from './emitter';
import type { TopicState } from './entry';
import { WSEError } from './errors';
import { INITIAL_STATE, metaOf, type ClientState, type EventHandler, type EventMeta, type Notices } from './events';
import type { HoldOptions, TopicHold } from './hold';
import type { ConnectionStatus } from './machine';
import type { ServerMessage } from './messages';
import { resolveOptions, type ClientOptions, type ResolvedOptions, type Token } from './options';
import type { ClientOutbox } from './outbox-message';
import type { Presence } from './presence';
import { PresenceDriver } from './presence-driver';
import type { ReorderCounts } from './reorder';
import type { Roles } from './roles';
import { Sender, type SendOptions } from './sender';
import { isSnapshotFailure } from './snapshots';
import type { StreamItem } from './topic-stream';
import { Topics } from './topics';
import { VERSION } from './version';

/** A live connection to a WSE server. Made by `createClient`; nothing happens before `connect`. */
export class WSEClient {
  readonly #options: ResolvedOptions;
  readonly #roles: Roles;
  readonly #connection: Connection;
  readonly #topics: Topics;
  readonly #sender: Sender;
  readonly #events: Emitter<[unknown, EventMeta]>;
  readonly #notices: Emitter<[unknown]>;
  readonly #own: TopicHold;
  readonly #presence: PresenceDriver;
  #state = INITIAL_STATE;
  #token: Token | undefined;
  #wanted = false;
  /** Who is connected is known before the server says it: the first frame may name positions. */
  #isSameToken = true;
  #knownUser: string | null | undefined;
  #isHidden = false;
  /** The token was null meanwhile: what was shown is forgotten. */
  #isCleared = false;
  /** The connection has moved, and the socket that it left is still read. */
  #isMoving = false;

  constructor(options: ClientOptions, roles: Roles) {
    this.#options = resolveOptions(options);
    this.#roles = roles;
    this.#token = this.#options.token;
    const report = (error: unknown): void => roles.environment.report('wse-client: a listener threw', error);
    this.#events = new Emitter(report);
    this.#notices = new Emitter(report);
    this.#sender = new Sender(this.#options, roles, {
      onSend: (text) => this.#connection.send(text),
      onOutbox: (message) => this.#notify('outbox', message),
      onFault: (error) => this.#fault(error),
      listen: (listener) => this.onNotice('outbox', listener),
    });
    this.#topics = new Topics(this.#options, roles, {
      onSend: (text) => this.#connection.send(text),
      onItem: (item) => this.#handleItem(item),
      onResync: (notice) => {
        if (!this.#presence.handleResync(notice)) this.#notify('resync', notice);
      },
      onDirect: (notice) => this.#notify('direct', notice),
      onRefusal: (error) => this.#fault(error),
      onChange: () => this.#handleTopics(),
    });
    this.#presence = new PresenceDriver(this.#options.lingerMs, roles, {
      hold: () => this.#topics.hold(),
      subscription: (name) => this.#topics.state(name),
      onStateWanted: (name) => this.#topics.requestSnapshots([name]),
      onSend: (text) => this.#connection.send(text),
      onChange: (topic) => this.#notify('presence', { topic }),
    });
    this.#connection = new Connection({ ...this.#options, token: this.#heard(this.#token) }, roles, {
      onOpen: (token, isMove) => this.#hello(token, isMove),
      onReady: (ready, hello) => void this.#handleReady(ready, hello?.messageBytes),
      onMoved: (ready, hello) => this.#handleMoved(ready, hello?.messageBytes),
      onMoveOver: () => this.#handleMoveOver(),
      onMessage: (message, isOld) => this.#handleMessage(message, isOld),
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

  /** Whether another token was set, and the server has not said whose it is: what came before is not to be shown. */
  get isHidden(): boolean {
    return this.#isHidden;
  }

  /** Declared topics and their states. */
  get topics(): ReadonlyMap<string, TopicState> {
    return this.#topics.states;
  }

  /** Whether somebody holds the topic, or did a moment ago. */
  hasTopic(topic: string): boolean {
    return this.#topics.has(topic);
  }

  /** The states of what holders see, by `viewKey`: each topic, and each topic with a filter that somebody holds. */
  get views(): ReadonlyMap<string, TopicState> {
    return this.#topics.views;
  }

  /** The views that a message belongs to: its topic's and its pattern's, and of their filters those that it passes. */
  viewsOf(topic: string, payload: unknown): readonly string[] {
    return this.#topics.viewsOf(topic, payload);
  }

  /** What each of these views shows of a topic's snapshot: of a list of rows those that pass its filter. */
  statesOf(topic: string, state: unknown): ReadonlyMap<string, unknown> {
    return this.#topics.statesOf(topic, state);
  }

  /** Whether the server is known to have a snapshot of the topic, or of what the pattern stands for. */
  hasSnapshot(topic: string): boolean {
    return this.#topics.hasSnapshot(topic);
  }

  /** Asks for the snapshot of subscribed topics, or of all that a pattern stands for, again; it comes as every snapshot does, or as an error. */
  resnapshot(topics: string | readonly string[]): void {
    this.#topics.requestSnapshots(typeof topics === 'string' ? [topics] : topics);
  }

  /** Who is in a topic, and this client in it. */
  get presence(): Presence {
    return this.#presence;
  }

  /** Messages that wait for a reply or for the connection, kept or not. */
  get pending(): number {
    return this.#sender.size;
  }

  /** The messages that are kept until the server has handled them. */
  get outbox(): ClientOutbox {
    return this.#sender.outbox;
  }

  /** What came out of order, had to wait, or was asked for again, since the client was made. */
  get reorderCounts(): Readonly<ReorderCounts> {
    return this.#topics.counts;
  }

  /** Opens the connection and keeps it; does nothing while it is open, waits while the token is null. */
  connect(): void {
    this.#wanted = true;
    this.#sender.start();
    this.#connection.start();
  }

  /** Closes for good; waiting messages are rejected with `CLOSED`, and those that are kept stay in the outbox. */
  close(): void {
    this.#wanted = false;
    this.#connection.stop();
  }

  /**
   * Connects anew with another token; null closes the socket and waits. What was shown is hidden until the server says that the user is the
   * same, and forgotten where it is not or the token is null. Messages that are not kept and not sent yet are rejected with `TOKEN_CHANGED`.
   */
  setToken(token: Token | undefined): void {
    if (token === this.#token) return;
    const hadToken = this.#token !== null;
    this.#token = token;
    this.#isSameToken = false;
    this.#connection.setToken(this.#heard(token), this.#wanted);
    this.#sender.changeToken(token, hadToken);
    this.#hide(token === null);
  }

  /** Subscribes for this client as a whole; returns what takes it back. Asking twice counts once, with the later filter. */
  subscribe(topics: string | readonly string[], options?: HoldOptions): () => void {
    const list = typeof topics === 'string' ? [topics] : topics;
    this.#own.add(list, options);
    return () => this.#own.remove(list);
  }

  /** Takes `subscribe` back; a topic that someone else holds stays. */
  unsubscribe(topics: string | readonly string[]): void {
    this.#own.remove(typeof topics === 'string' ? [topics] : topics);
  }

  /** A separate holder of topics, such as one component. */
  hold(): TopicHold {
    return this.#topics.hold();
  }

  /**
   * Sends a message to the server's handler for `type`; resolves with the handler's reply, rejects with a WSEError.
   * It is kept until the server has handled it, unless `keep` is false.
   */
  async sendMessage<Reply = unknown>(type: string, payload?: unknown, options: SendOptions = {}): Promise<Reply> {
    if (this.#state.status === 'closed') throw this.#state.error ?? WSEError.client('CLOSED');
    return (await this.#sender.send(type, payload, options)) as Reply;
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

  /** The token, and a word to the outbox of what a function gives: it tells users apart before the server does. */
  #heard(token: Token | undefined): Token | undefined {
    if (typeof token !== 'function') return token;
    return async () => {
      const given = await token();
      if (token === this.#token) this.#sender.handleToken(given);
      return given;
    };
  }

  #hide(isGone: boolean): void {
    this.#isHidden = true;
    this.#isCleared ||= isGone;
    this.#presence.handleToken(isGone);
    this.#update({ user: null });
    if (isGone) this.#notify('user', null);
    this.#notify('hidden', true);
  }

  #notify<Name extends keyof Notices>(name: Name, notice: Notices[Name]): void {
    this.#notices.emit(name, notice);
  }

  #hello(token: string | undefined, isMove: boolean): string {
    const { asked, direct } = this.#topics.handleOpen(this.#isSameToken, this.#connection.silentMs, isMove);
    return encodeClientHello({ token, offers: this.#options, client: `wse-client/${VERSION}`, direct, ...asked });
  }

  /** Returns whether the user is the one from before. */
  #handleReady(ready: Extract<ServerMessage, { kind: 'ready' }>, messageBytes: number | undefined): boolean {
    const isSameUser = this.#knownUser === undefined || this.#knownUser === ready.user;
    const [wasHidden, wasCleared] = [this.#isHidden, this.#isCleared];
    this.#isHidden = this.#isCleared = false;
    if (!isSameUser || wasCleared) this.#notify('user', ready.user);
    this.#knownUser = ready.user;
    this.#isSameToken = true;
    this.#update({ user: ready.user, connection: ready.connection });
    this.#topics.handleReady(isSameUser, ready.session, wasCleared);
    const bytes = messageBytes ?? DEFAULTS.messageBytes;
    this.#presence.handleReady(ready.user, isSameUser, this.#isMoving, bytes);
    this.#sender.handleReady(ready, bytes, this.#isMoving);
    if (wasHidden) this.#notify('hidden', false);
    return isSameUser;
  }

  #handleMoved(ready: Extract<ServerMessage, { kind: 'ready' }>, messageBytes: number | undefined): void {
    this.#isMoving = true;
    this.#topics.handleMove();
    // What another user sent or was sent is not waited for.
    if (this.#handleReady(ready, messageBytes)) this.#settleMove();
    else this.#connection.finishMove();
  }

  /** What the socket that was left could still say is said: it may go. */
  #settleMove(): void {
    if (this.#isMoving && !this.#sender.hasSent && !this.#topics.awaitsMove) this.#connection.finishMove();
  }

  #handleMoveOver(): void {
    this.#isMoving = false;
    this.#sender.handleMoveOver();
  }

  #handleMessage(message: ConnectionMessage, isOld: boolean): void {
    switch (message.kind) {
      case 'event':
      case 'skip':
      case 'beacon':
        this.#topics.handleMessage(message, isOld);
        return;
      case 'reply':
        if (!this.#sender.handleReply(message.cid, message.payload)) this.#presence.handleReply(message.cid, message.payload);
        break;
      case 'subscriptions':
        if (!isOld) this.#topics.handleUpdates(message.cid, message.topics);
        break;
      case 'error':
        this.#handleError(message.cid, message.error, isOld);
    }
    this.#settleMove();
  }

  #handleTopics(): void {
    this.#presence.handleSubscriptions();
    this.#notify('topics', null);
  }

  #handleItem(item: StreamItem): void {
    if (this.#presence.handleItem(item)) return;
    if (item.kind === 'skip') {
      this.#notify('skip', { topic: item.topic, from: item.from, to: item.position.seq, reason: item.reason });
      return;
    }
    const { type, payload, topic, position } = item;
    const meta = metaOf(item);
    if (item.category === 'S') {
      if (topic !== undefined && position !== undefined) this.#notify('snapshot', { topic, state: payload, ...position });
      this.#events.emit('*', payload, meta);
      return;
    }
    // '*' is no event type: a message of that name must not reach the listeners of everything twice.
    if (type !== '*') this.#events.emit(type, payload, meta);
    this.#events.emit('*', payload, meta);
  }

  #handleError(cid: string | undefined, error: WSEError, isOld: boolean): void {
    if (cid !== undefined && this.#sender.handleError(cid, error)) return;
    // What the connection that was left has to say of its places does not matter any more.
    if (cid === undefined ? !isOld : !this.#topics.handleError(cid, error)) this.#presence.handleError(cid, error);
    if (error.topic !== undefined && isSnapshotFailure(error.code)) {
      this.#topics.handleSnapshotFailure(error.topic, error);
      this.#presence.handleStateFailure(error.topic);
    }
    this.#fault(error);
  }

  #handleChange(status: ConnectionStatus, error: WSEError | null): void {
    const before = this.#state.status;
    const gone = status === 'waiting' || status === 'closed' || status === 'idle';
    if (gone && status !== before) {
      this.#isMoving = false;
      this.#topics.handleClose();
      this.#presence.handleClose();
      this.#sender.handleClose();
    }
    if (status === 'closed' && status !== before) this.#sender.stop(error ?? WSEError.client('CLOSED'));
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
