// The declared set of topics: reference counts with linger, what this connection has been asked for, what is handed on; pure.
import { Answers, type News } from './answers';
import type { Asked } from './client-messages';
import { Entry, type TopicState } from './entry';
import type { WSEError } from './errors';
import type { Filter } from './filter-key';
import type { BeaconMessage, EventMessage, SkipMessage } from './messages';
import { patternOf } from './pattern';
import type { ReorderPool } from './reorder';
import { TopicBook } from './topic-book';
import type { StreamItem } from './topic-stream';
import { SnapshotRequests } from './snapshots';
import type { Position, TopicUpdate } from './topic-update';

/** One message to send. */
export interface SubscriptionRequest extends Asked {
  readonly cid: string;
  readonly action: 'subscribe' | 'unsubscribe';
}

/** Settings of the set. */
export interface SubscriptionsConfig {
  /** How long an entry stays after its last holder let it go, in milliseconds. */
  readonly lingerMs: number;
  /** Most topics that all patterns together stand for. */
  readonly patternTopics: number;
}

/** Stands for the correlation id of `client_hello`, whose answer bears none. */
const HELLO = '';

/** All subscriptions of one client. */
export class Subscriptions {
  readonly #lingerMs: number;
  readonly #book: TopicBook;
  /** What this connection still has and nobody wants any more. */
  readonly #dropped = new Set<string>();
  /** What is being let go, with the request that says so: what still comes of it is nobody's. */
  readonly #leaving = new Map<string, string>();
  readonly #snapshots = new SnapshotRequests();
  /** What the `client_hello` of a second connection asked for. */
  #planned = newAsked();
  #connected = false;
  #hasGap = false;

  constructor(config: SubscriptionsConfig, pool: ReorderPool) {
    this.#lingerMs = config.lingerMs;
    this.#book = new TopicBook(pool, config.patternTopics);
  }

  /** Declared topics and patterns. */
  get entries(): ReadonlyMap<string, Entry> {
    return this.#book.entries;
  }

  /** Whether `poll` would ask for something missing. */
  get hasGap(): boolean {
    return this.#hasGap;
  }

  /** State of one topic or pattern; undefined when it is not declared. */
  state(topic: string): TopicState | undefined {
    return this.#book.entries.get(topic)?.state;
  }

  /** Adds a holder. */
  retain(topic: string, filter: Filter | undefined): void {
    const entry = this.#book.entries.get(topic) ?? new Entry(topic);
    this.#dropped.delete(topic);
    entry.refs += 1;
    entry.filters.add(filter);
    entry.lingerUntil = null;
    this.#book.entries.set(topic, entry);
  }

  /** Takes a holder away; without any left the topic goes after the linger. */
  release(topic: string, filter: Filter | undefined, now: number): void {
    const entry = this.#book.entries.get(topic);
    if (entry === undefined || entry.refs === 0) return;
    // As long as the linger keeps it, it stays as it was.
    if (entry.refs === 1 && !entry.asked) entry.filter = this.#book.wanted(topic, entry);
    entry.refs -= 1;
    entry.filters.remove(filter);
    if (entry.refs === 0) entry.lingerUntil = now + this.#lingerMs;
  }

  /** A new connection opens: its `client_hello` asks for everything, or only for what has no position yet. */
  handleOpen(mayResume: boolean): Asked {
    const asked = newAsked();
    for (const [topic, entry] of this.#book.entries) {
      if (mayResume || [...this.#book.positions(topic, entry)].length === 0) this.#ask(asked, HELLO, topic, entry);
    }
    return asked;
  }

  /** `server_ready` came: `poll` may send. */
  handleReady(): void {
    this.#connected = true;
  }

  /** A second connection opens: what its `client_hello` asks for. Nothing changes before it is ready. */
  planMove(): Asked {
    this.#planned = newAsked();
    for (const [topic, entry] of this.#book.entries) {
      note(this.#planned, topic, this.#book.positions(topic, entry), this.#book.wanted(topic, entry));
    }
    return this.#planned;
  }

  /** The second connection is ready: it has, or is about to answer, what its hello asked for, and nothing else. */
  handleMove(): void {
    const { topics, positions, filters } = this.#planned;
    this.#leaving.clear();
    this.#dropped.clear();
    this.#snapshots.handleMove();
    for (const entry of this.#book.entries.values()) entry.handleMove();
    for (const topic of topics) {
      const entry = this.#book.entries.get(topic);
      if (entry === undefined) this.#dropped.add(topic);
      // Asked for from the top, before there was a place: what that brings would leave a hole after the place.
      else if (!positions.has(topic) && this.#book.position(topic, entry)) entry.recovering = true;
      else this.#expect(HELLO, topic, entry, { wanted: filters.get(topic), filter: filters.get(topic), resuming: true });
    }
  }

  /** Whether the answer to `client_hello` has not come for some topic. */
  get awaitsHello(): boolean {
    return [...this.#book.entries.values()].some(({ due }) => due === HELLO);
  }

  /** Whether a message counts that came on the connection that was left: until the new one has answered for its topic. */
  takesOld(topic: string | undefined): boolean {
    return topic !== undefined && this.#book.carrier(topic)?.due === HELLO;
  }

  /** The connection is gone: nothing is asked for any more; positions stay. */
  handleClose(now: number): void {
    this.#connected = false;
    this.#dropped.clear();
    this.#leaving.clear();
    this.#snapshots.handleClose();
    this.#book.streams.dropAll(now);
    for (const entry of this.#book.entries.values()) entry.handleClose();
  }

  /** Another user is at the keyboard: the old one's places mean nothing. */
  forgetPositions(): void {
    this.#book.forgetPositions();
    // What the first frame asked to resume is let go and asked for from the top.
    for (const entry of this.#book.entries.values()) if (entry.resuming) entry.recover();
  }

  /** What to send so that the connection has what is wanted; nothing when it has. */
  poll(newId: () => string): readonly SubscriptionRequest[] {
    if (!this.#connected) return [];
    this.#hasGap = false;
    if (this.#dropped.size > 0) for (const entry of this.#book.entries.values()) entry.handleRoom();
    const stale = [...this.#book.entries].filter(([topic, entry]) => entry.isStale(this.#book.wanted(topic, entry)));
    const recovering = stale.filter(([, entry]) => entry.recovering).map(([topic]) => topic);
    const requests: SubscriptionRequest[] = [];
    if (recovering.length + this.#dropped.size > 0) requests.push(this.#leave(newId(), recovering));
    if (stale.length === 0) return requests;
    const asked = newAsked();
    const cid = newId();
    for (const [topic, entry] of stale) this.#ask(asked, cid, topic, entry);
    return [...requests, { ...asked, cid, action: 'subscribe' }];
  }

  /** The state of these is wanted anew; `pollSnapshots` has what to ask for. */
  requestSnapshots(names: readonly string[]): void {
    this.#snapshots.add(names);
  }

  /** Topics whose state is to be asked for now. */
  pollSnapshots(): readonly string[] {
    return this.#connected ? this.#snapshots.poll(this.#book.entries) : [];
  }

  /** The state of a topic will not come. */
  handleSnapshotFailure(topic: string, error: WSEError): void {
    this.#snapshots.handleAnswer(topic);
    this.#book.streams.find(topic)?.handleSnapshotFailure();
    this.#book.entries.get(topic)?.handleSnapshotFailure(error);
  }

  /** When `handleTimeout` is due; null: never. */
  pollTimeout(): number | null {
    let due: number | null = null;
    for (const { dueAt } of this.#book.entries.values()) if (dueAt !== null && (due === null || dueAt < due)) due = dueAt;
    return due;
  }

  /** Lets lingering topics go and takes refused ones up again; `poll` has the messages. */
  handleTimeout(now: number): void {
    for (const [topic, entry] of this.#book.entries) {
      entry.handleTimeout(now);
      if (entry.lingerUntil === null || entry.lingerUntil > now) continue;
      this.#book.remove(topic, entry);
      if (entry.had || entry.due !== null) this.#dropped.add(topic);
    }
  }

  /** When `handleGapTimeout` is due; null: nothing is missing. */
  pollGapTimeout(): number | null {
    return this.#book.streams.pollTimeout();
  }

  /** What is missing did not come in time; `poll` has the messages. */
  handleGapTimeout(now: number): void {
    for (const topic of this.#book.streams.handleTimeout(now)) this.#recover(topic);
  }

  /** The server spoke of topics: it answered the request `cid`, or `client_hello`, or speaks by itself. */
  handleUpdates(cid: string | undefined, updates: readonly TopicUpdate[], now: number): News {
    const answers = new Answers(this.#book, now);
    for (const update of updates) {
      if (update.status === 'unsubscribed' && this.#leaving.get(update.topic) === cid) this.#leaving.delete(update.topic);
      const entry = this.#book.entries.get(update.topic);
      if (entry === undefined) continue;
      const isAnswer = entry.due !== null && entry.due === (cid ?? HELLO);
      if (isAnswer || entry.due === null) answers.handle(entry, update, isAnswer);
    }
    return answers.news;
  }

  /** The request `cid` failed as a whole; false if there was none. */
  handleError(cid: string, error: WSEError, now: number): boolean {
    const entries = [...this.#book.entries.values()].filter(({ due }) => due === cid);
    for (const entry of entries) entry.refuse(error, now);
    return entries.length > 0;
  }

  /**
   * What to hand on now that a message has come, in order. Topics that nobody declared (`@user:`, `?topics=`) pass as they
   * come. Something missing is asked for by `poll`, or by `handleGapTimeout` when it is due.
   */
  handleMessage(message: EventMessage | SkipMessage | BeaconMessage, now: number): readonly StreamItem[] {
    const { topic, position } = message;
    if (topic === undefined || position === undefined) return handOn(message);
    const carrier = this.#book.carrier(topic);
    if (carrier === undefined) return this.#isLeaving(topic) ? [] : handOn(message);
    if (carrier.due !== null && carrier.replacing) return [];
    if (message.kind === 'event' && message.category === 'S') return this.#handleSnapshot(message, topic, position, now);
    const ready: StreamItem[] = [];
    const stream = this.#book.streams.find(topic);
    // Of more topics than the limit some are left out, which was told; asking again would bring no others.
    if (stream === undefined && carrier.state.reason === 'births') return [];
    const isLost = stream?.handle(now, message, (item) => ready.push(item)) ?? true;
    this.#book.streams.noteChange(topic);
    if (isLost) this.#recover(topic);
    return ready;
  }

  #handleSnapshot(message: EventMessage, topic: string, position: Position, now: number): readonly StreamItem[] {
    if (this.#book.streams.find(topic)?.handleSnapshot(now, position) !== true) return [];
    this.#book.streams.noteChange(topic);
    this.#snapshots.handleAnswer(topic);
    this.#book.entries.get(topic)?.handleSnapshot();
    return [message];
  }

  #leave(cid: string, recovering: readonly string[]): SubscriptionRequest {
    const topics = [...this.#dropped, ...recovering];
    for (const topic of this.#dropped) this.#leaving.set(topic, cid);
    this.#dropped.clear();
    return { ...newAsked(), cid, action: 'unsubscribe', topics };
  }

  #ask(asked: MutableAsked, cid: string, topic: string, entry: Entry): void {
    const wanted = this.#book.wanted(topic, entry);
    const filter = entry.next(wanted);
    const positions = [...this.#book.positions(topic, entry)];
    this.#expect(cid, topic, entry, { wanted, filter, resuming: positions.length > 0 });
    note(asked, topic, positions, filter);
  }

  /** The entry is asked for by the request `cid`. */
  #expect(cid: string, topic: string, entry: Entry, request: Pick<Entry, 'filter' | 'resuming'> & { wanted: Filter | undefined }): void {
    const { wanted, filter, resuming } = request;
    // What flows now, or may before the answer: the entry's own stream, or its pattern's.
    const covering = entry.had || entry.pattern !== null ? undefined : this.#book.covering(topic);
    const replacing = (entry.moved && entry.recovering) || entry.flowsOther(filter) || covering?.flowsOther(filter) === true;
    entry.ask(cid, wanted, filter, { resuming, replacing });
    if (entry.pattern === null) this.#book.streams.follow(topic);
  }

  #recover(topic: string): void {
    const carrier = this.#book.carrier(topic);
    if (carrier?.due !== null) return;
    carrier.recover();
    this.#hasGap = true;
  }

  #isLeaving(topic: string): boolean {
    const names = [topic, patternOf(topic) ?? topic];
    return names.some((name) => this.#leaving.has(name) || this.#dropped.has(name));
  }
}

interface MutableAsked extends Asked {
  readonly topics: string[];
  readonly positions: Map<string, Position>;
  readonly filters: Map<string, Filter>;
}

/** Adds one to what a request asks for. */
function note(asked: MutableAsked, topic: string, positions: Iterable<readonly [string, Position]>, filter: Filter | undefined): void {
  asked.topics.push(topic);
  for (const [name, position] of positions) asked.positions.set(name, position);
  if (filter !== undefined) asked.filters.set(topic, filter);
}

function newAsked(): MutableAsked {
  return { topics: [], positions: new Map(), filters: new Map() };
}

function handOn(message: EventMessage | SkipMessage | BeaconMessage): readonly StreamItem[] {
  return message.kind === 'beacon' ? [] : [message];
}
