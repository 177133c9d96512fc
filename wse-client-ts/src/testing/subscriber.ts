// What one connection of the fake server has subscribed, and how a topic's messages get to it.
import type { Envelope } from '../core/envelope';
import type { Filter } from '../core/filter-key';
import { patternOf } from '../core/pattern';
import type { FakeConnection } from './connection';
import type { Namespace } from './namespace';
import type { Resumed, TopicLog, WirePosition } from './topic-log';

interface Subscription {
  readonly filter: Filter | undefined;
  readonly passes: (payload: unknown) => boolean;
  /** Of a pattern: the topics that this connection gets through it. */
  readonly members: Set<string>;
}

/** Compiles a filter; throws where it is none. */
export type Compile = (filter: Filter | undefined) => (payload: unknown) => boolean;

/** One connection's subscriptions. */
export class Subscriber {
  readonly connection: FakeConnection;
  readonly #compile: Compile;
  readonly #subscriptions = new Map<string, Subscription>();
  /** The last position of each topic that was answered, or sent to this connection. */
  readonly #passed = new Map<string, number>();

  constructor(connection: FakeConnection, compile: Compile) {
    this.connection = connection;
    this.#compile = compile;
  }

  /** Subscribes a topic, from the position that comes with it; one that it has stays as it is without one ([P-25]). */
  subscribe(log: TopicLog, filter: Filter | undefined, position: WirePosition | undefined): Resumed {
    const subscription = { filter, passes: this.#compile(filter), members: new Set<string>() };
    this.#add(log.topic, subscription);
    return this.#resume(log, subscription, position);
  }

  /** Subscribes a pattern, and through it every topic there is. */
  subscribePattern(namespace: Namespace, filter: Filter | undefined, positions: Readonly<Record<string, WirePosition>>): Resumed {
    const subscription = { filter, passes: this.#compile(filter), members: new Set<string>() };
    this.#add(namespace.pattern, subscription);
    const own = positions[namespace.pattern];
    const resumed = namespace.logs.map((log) => {
      subscription.members.add(log.topic);
      const born = namespace.isBornSince(log, own) ? { e: log.epoch, seq: 0 } : undefined;
      return this.#resume(log, this.#carrier(log.topic) ?? subscription, positions[log.topic] ?? born);
    });
    const topics = resumed.map(({ answer }) => answer);
    return { answer: { ...namespace.status(own), topics }, replay: resumed.flatMap(({ replay }) => replay) };
  }

  /** Lets a topic or pattern go. */
  unsubscribe(name: string): void {
    this.#subscriptions.delete(name);
    this.connection.topics.delete(name);
  }

  /** A topic was born: word of it goes out before its first message, or word that it is left out. */
  handleBirth(namespace: Namespace, log: TopicLog, limit: number): void {
    const subscription = this.#subscriptions.get(namespace.pattern);
    if (subscription === undefined) return;
    const at = { tp: namespace.pattern, ...namespace.position };
    if (subscription.members.size >= limit) {
      this.#update([{ ...at, status: 'resync', reason: 'births' }]);
      return;
    }
    subscription.members.add(log.topic);
    const { answer, replay } = this.#resume(log, subscription, undefined);
    this.#update([{ ...at, status: 'live', topics: [answer] }]);
    for (const envelope of replay) this.connection.send(envelope);
  }

  /** Sends what passes of a topic's messages, in one frame where that was negotiated ([P-37]). */
  deliver(topic: string, messages: readonly Envelope[]): void {
    const carrier = this.#carrier(topic);
    if (carrier === undefined) return;
    const passing = messages.filter(({ p }) => carrier.passes(p)).map((message) => this.#mark(topic, carrier, message));
    if (passing.length > 1 && this.connection.agreed.batch) this.connection.send({ t: 'batch', c: 'WSE', p: passing });
    else for (const message of passing) this.connection.send(message);
  }

  /** Sends a topic's state, or why there is none ([P-59]). */
  snapshot(log: TopicLog): void {
    const carrier = this.#carrier(log.topic);
    if (carrier !== undefined) this.connection.send(log.snapshot(log.top, carrier.filter === undefined ? null : carrier.passes));
  }

  /** Says where a topic's log stands ([P-38]). */
  beacon({ topic, epoch, top }: TopicLog): void {
    if (this.#carrier(topic) === undefined) return;
    this.connection.send({ t: 'beacon', c: 'WSE', tp: topic, e: epoch, seq: top, ps: this.#passed.get(topic) ?? 0 });
  }

  /** Says that messages will not come ([P-43]). */
  skip({ topic, epoch }: TopicLog, from: number, to: number, reason: string): void {
    const carrier = this.#carrier(topic);
    if (carrier === undefined) return;
    const previous = carrier.filter === undefined ? {} : { ps: this.#passed.get(topic) ?? 0 };
    this.connection.send({ t: 'skip', c: 'WSE', tp: topic, e: epoch, ...previous, p: { from, to, reason } });
    this.#passed.set(topic, to);
  }

  #add(name: string, subscription: Subscription): void {
    this.#subscriptions.set(name, subscription);
    this.connection.topics.add(name);
  }

  /** A topic's own subscription holds before that of its pattern ([P-39]). */
  #carrier(topic: string): Subscription | undefined {
    const covering = this.#subscriptions.get(patternOf(topic) ?? topic);
    return this.#subscriptions.get(topic) ?? (covering?.members.has(topic) === true ? covering : undefined);
  }

  #resume(log: TopicLog, { passes, filter }: Subscription, position: WirePosition | undefined): Resumed {
    const { answer, replay } = log.resume(position, passes);
    const seq = answer['seq'] as number;
    this.#passed.set(log.topic, seq);
    const marked = replay.map((message) => this.#mark(log.topic, { filter }, message));
    const needsState = log.state !== null && (position === undefined || answer['status'] === 'resync');
    if (!needsState) return { answer, replay: marked };
    return { answer: { ...answer, snapshot: true }, replay: [log.snapshot(seq, filter === undefined ? null : passes), ...marked] };
  }

  /** Under a filter a message names the one before it that passed. */
  #mark(topic: string, { filter }: Pick<Subscription, 'filter'>, message: Envelope): Envelope {
    const previous = this.#passed.get(topic) ?? 0;
    this.#passed.set(topic, message.seq ?? previous);
    return filter === undefined ? message : { ...message, ps: previous };
  }

  #update(topics: readonly Record<string, unknown>[]): void {
    this.connection.send({ t: 'subscription_update', c: 'WSE', p: { topics } });
  }
}
