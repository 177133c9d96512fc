// Drives the subscriptions: sends what they ask for, keeps their timer, and tells what they say.
import { encodeSnapshotRequest, encodeSubscription, type Asked } from './client-messages';
import { Deadline } from './deadline';
import { DirectStreams, isDirect, type DirectHello, type DirectNotice } from './direct';
import { PENDING, type TopicState } from './entry';
import type { WSEError } from './errors';
import type { ResyncNotice } from './events';
import { viewOf } from './filter-key';
import { createHold, type TopicHold } from './hold';
import type { BeaconMessage, EventMessage, SkipMessage } from './messages';
import type { ResolvedOptions } from './options';
import { patternOf } from './pattern';
import { ReorderPool, type ReorderCounts } from './reorder';
import type { Roles } from './roles';
import { Subscriptions } from './subscriptions';
import type { StreamItem } from './topic-stream';
import type { TopicUpdate } from './topic-update';

/** What the topics report. */
export interface TopicEvents {
  /** Sends a frame on the ready connection. */
  onSend(text: string): void;
  /** A message to hand on. */
  onItem(item: StreamItem): void;
  onResync(notice: ResyncNotice): void;
  /** Messages to the user or the session go on. */
  onDirect(notice: DirectNotice): void;
  onRefusal(error: WSEError): void;
  /** The state of some subscription changed. */
  onChange(): void;
}

/** The topics of one client. */
export class Topics {
  readonly #roles: Roles;
  readonly #events: TopicEvents;
  readonly #pool: ReorderPool;
  readonly #subscriptions: Subscriptions;
  readonly #direct: DirectStreams;
  readonly #timer: Deadline;
  readonly #gapTimer: Deadline;
  #flushPlanned = false;

  constructor(options: ResolvedOptions, roles: Roles, events: TopicEvents) {
    this.#roles = roles;
    this.#events = events;
    const { reorderMessages: items, reorderBytes: bytes, reorderWaitMs: waitMs } = options;
    this.#pool = new ReorderPool({ items, bytes, waitMs });
    this.#subscriptions = new Subscriptions(options, this.#pool);
    this.#direct = new DirectStreams(this.#pool);
    this.#timer = new Deadline(roles.clock, () => this.#handleTimer());
    this.#gapTimer = new Deadline(roles.clock, () => this.#handleGapTimer());
  }

  /** Declared topics and their states. */
  get states(): ReadonlyMap<string, TopicState> {
    return new Map([...this.#subscriptions.entries].map(([topic, { state }]) => [topic, state]));
  }

  /** How one subscription stands; undefined when it is not declared. */
  state(topic: string): TopicState | undefined {
    return this.#subscriptions.state(topic);
  }

  /** The states of what holders see: each topic, and each topic with a filter that somebody holds. */
  get views(): ReadonlyMap<string, TopicState> {
    const views = new Map<string, TopicState>();
    for (const [topic, { state, filters }] of this.#subscriptions.entries) {
      views.set(topic, state);
      for (const [key, { error }] of filters.held) {
        views.set(viewOf(topic, key), error === null ? state : { ...PENDING, status: 'refused', error: state.error ?? error });
      }
    }
    return views;
  }

  /** The views that a message of `topic` belongs to, its pattern's included. */
  viewsOf(topic: string, payload: unknown): readonly string[] {
    const names = [topic, patternOf(topic)].filter((name) => name !== undefined && this.has(name)) as string[];
    return names.flatMap((name) => {
      const passed = this.#subscriptions.entries.get(name)?.filters.passedBy(payload) ?? [];
      return [name, ...passed.map((key) => viewOf(name, key))];
    });
  }

  /** What each view of a topic and its pattern shows of the topic's state. */
  statesOf(topic: string, state: unknown): ReadonlyMap<string, unknown> {
    const names = [topic, patternOf(topic)].filter((name) => name !== undefined && this.has(name)) as string[];
    return new Map(
      names.flatMap((name) => {
        const held = this.#subscriptions.entries.get(name)?.filters.statesOf(state) ?? [];
        return [[name, state], ...held.map(([key, rows]) => [viewOf(name, key), rows])] as [string, unknown][];
      }),
    );
  }

  /** Whether the server is known to have the topic's state. */
  hasSnapshot(topic: string): boolean {
    return this.#subscriptions.entries.get(topic)?.hasSnapshot === true;
  }

  /** Asks for the state of topics, or of what patterns stand for, once they are subscribed. */
  requestSnapshots(names: readonly string[]): void {
    this.#subscriptions.requestSnapshots(names);
    this.#planFlush();
  }

  /** The state of a topic will not come. */
  handleSnapshotFailure(topic: string, error: WSEError): void {
    this.#subscriptions.handleSnapshotFailure(topic, error);
    this.#handleChange();
  }

  /** Whether somebody holds the topic, or did a moment ago. */
  has(topic: string): boolean {
    return this.#subscriptions.state(topic) !== undefined;
  }

  /** What came out of order so far. */
  get counts(): Readonly<ReorderCounts> {
    return { ...this.#pool.counts };
  }

  /** A separate holder of topics. */
  hold(): TopicHold {
    return createHold(
      (topic, filter) => {
        this.#subscriptions.retain(topic, filter);
        this.#planFlush();
      },
      (topic, filter) => {
        this.#subscriptions.release(topic, filter, this.#now());
        this.#planFlush();
      },
    );
  }

  /** A connection opens, the second one where `isMove`; returns what its `client_hello` asks for, and what it says of the server's own names. */
  handleOpen(mayResume: boolean, awayMs: number | undefined, isMove: boolean): { readonly asked: Asked; readonly direct: DirectHello } {
    const asked = isMove ? this.#subscriptions.planMove() : this.#subscriptions.handleOpen(mayResume);
    return { asked, direct: this.#direct.handleOpen(awayMs) };
  }

  /** The second connection is ready, and the one to speak to. */
  handleMove(): void {
    this.#subscriptions.handleMove();
  }

  /** Whether it has not answered yet for what its `client_hello` asked. */
  get awaitsMove(): boolean {
    return this.#subscriptions.awaitsHello;
  }

  /** `server_ready` came; `isCleared`: what had been shown is forgotten, whoever the user is. */
  handleReady(isSameUser: boolean, session: string | null, isCleared: boolean): void {
    this.#direct.handleReady(session, isSameUser);
    if (!isSameUser) this.#subscriptions.forgetPositions();
    // Whoever resumes gets no state by itself.
    else if (isCleared) this.#subscriptions.requestSnapshots([...this.#subscriptions.entries.keys()].filter((name) => this.hasSnapshot(name)));
    this.#subscriptions.handleReady();
    this.#flush();
  }

  /** The connection is gone. */
  handleClose(): void {
    this.#subscriptions.handleClose(this.#now());
    this.#direct.handleClose(this.#now());
    this.#handleChange();
  }

  /** A message came; `isOld`: on the connection that was left. */
  handleMessage(message: EventMessage | SkipMessage | BeaconMessage, isOld: boolean): void {
    if (message.topic !== undefined && isDirect(message.topic)) {
      if (!isOld) this.#handleDirect(message.topic, message);
      return;
    }
    if (isOld && !this.#subscriptions.takesOld(message.topic)) return;
    for (const item of this.#subscriptions.handleMessage(message, this.#now())) this.#events.onItem(item);
    this.#armGapTimer();
    if (this.#subscriptions.hasGap) this.#planFlush();
    if (message.kind === 'event' && message.category === 'S') this.#events.onChange();
  }

  /** The server spoke of topics. */
  handleUpdates(cid: string | undefined, updates: readonly TopicUpdate[]): void {
    const isOwn = ({ topic }: TopicUpdate): boolean => isDirect(topic) && !this.#subscriptions.entries.has(topic);
    for (const update of updates.filter(isOwn)) this.#handleDirectUpdate(update);
    const { resyncs, refusals } = this.#subscriptions.handleUpdates(cid, updates.filter((update) => !isOwn(update)), this.#now());
    for (const notice of resyncs) this.#events.onResync(notice);
    for (const error of refusals) this.#events.onRefusal(error);
    this.#sendSnapshotRequest();
    this.#handleChange();
  }

  /** The request `cid` failed as a whole; false if there was none. */
  handleError(cid: string, error: WSEError): boolean {
    const isOurs = this.#subscriptions.handleError(cid, error, this.#now());
    if (isOurs) this.#handleChange();
    return isOurs;
  }

  #now(): number {
    return this.#roles.clock.now();
  }

  #handleTimer(): void {
    this.#subscriptions.handleTimeout(this.#now());
    this.#flush();
  }

  #handleGapTimer(): void {
    this.#subscriptions.handleGapTimeout(this.#now());
    for (const topic of this.#direct.handleTimeout(this.#now())) this.#recoverDirect(topic);
    this.#flush();
  }

  #handleDirectUpdate(update: TopicUpdate): void {
    const notice = this.#direct.handleUpdate(this.#now(), update);
    if (notice === undefined) return;
    if (notice.reason !== null) this.#events.onResync({ topic: update.topic, reason: notice.reason });
    this.#events.onDirect(notice);
  }

  #handleDirect(topic: string, message: EventMessage | SkipMessage | BeaconMessage): void {
    const { items, isGap } = this.#direct.handle(this.#now(), topic, message);
    for (const item of items) this.#events.onItem(item);
    if (isGap) this.#recoverDirect(topic);
    this.#armGapTimer();
  }

  #recoverDirect(topic: string): void {
    const asked = { topics: [topic], positions: this.#direct.position(topic), filters: new Map() };
    this.#events.onSend(encodeSubscription('subscribe', asked, this.#roles.environment.uuid()));
  }

  #armGapTimer(): void {
    const dues = [this.#subscriptions.pollGapTimeout(), this.#direct.pollTimeout()].filter((due) => due !== null);
    this.#gapTimer.arm(dues.length === 0 ? null : Math.min(...dues));
  }

  /** Changes made in one turn go out as one message. */
  #planFlush(): void {
    if (this.#flushPlanned) return;
    this.#flushPlanned = true;
    void Promise.resolve().then(() => {
      this.#flushPlanned = false;
      this.#flush();
    });
  }

  #flush(): void {
    for (const { cid, action, ...asked } of this.#subscriptions.poll(() => this.#roles.environment.uuid())) {
      this.#events.onSend(encodeSubscription(action, asked, cid));
    }
    this.#sendSnapshotRequest();
    this.#handleChange();
  }

  #sendSnapshotRequest(): void {
    const topics = this.#subscriptions.pollSnapshots();
    if (topics.length > 0) this.#events.onSend(encodeSnapshotRequest(topics));
  }

  #handleChange(): void {
    this.#timer.arm(this.#subscriptions.pollTimeout());
    this.#armGapTimer();
    this.#events.onChange();
  }
}
