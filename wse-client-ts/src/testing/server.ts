// A server in memory that speaks the protocol over a fake transport, and counts what arrives.
import type { Format } from '../core/agreement';
import { DEFAULTS } from '../core/defaults.gen';
import type { Envelope } from '../core/envelope';
import { WSEError } from '../core/errors';
import { compileFilter } from '../core/filter';
import type { Filter } from '../core/filter-key';
import { isPattern, patternOf } from '../core/pattern';
import { presenceTopic } from '../core/roster';
import type { Transport } from '../core/transport';
import { FakeConnection } from './connection';
import { Namespace } from './namespace';
import { Outcomes, type Answer } from './outcomes';
import { FakePresence } from './presence';
import { Subscriber } from './subscriber';
import { TopicLog, type Resumed, type WirePosition } from './topic-log';

/** How the server treats new sockets: `accept`, `refuse` (1006 at once), `hang` (never opens), `mute` (opens, says nothing). */
export type FakeServerMode = 'accept' | 'refuse' | 'hang' | 'mute';

/** A refusal after `client_hello`: an error, then its close. */
export interface FakeRefusal {
  readonly code: string;
  readonly close: number;
  readonly message?: string;
}

/** The fake transport and the server behind it. */
export class FakeServer {
  /** Every socket ever opened, in order. */
  readonly connections: FakeConnection[] = [];
  mode: FakeServerMode = 'accept';
  /** Answers `client_hello` with this error and close. */
  refusal: FakeRefusal | null = null;
  /** Formats that it speaks. */
  formats: readonly Format[] = ['json', 'msgpack'];
  /** Whether it compresses for clients that want it. */
  compression = true;
  /** Whether it sends batches to clients that want them. */
  batch = true;
  /** Whether pings get their pongs. */
  answersPings = true;
  user: string | null = null;
  /** What resumes the session, for clients that ask for one; null: they get none. */
  session: string | null = null;
  /** The producers' epoch: another one where outcomes were lost; null: the server keeps none. */
  producers: string | null = 'p1';
  /** How long it says that it keeps outcomes. */
  outcomesMs: number = DEFAULTS.outcomeAgeMs;
  /** What it knows of messages that clients keep. */
  readonly outcomes = new Outcomes();
  heartbeatMs: number = DEFAULTS.heartbeatMs;
  retryMs: number = DEFAULTS.restartRetryMs;
  messageBytes: number = DEFAULTS.messageBytes;
  /** Topics of patterns on one connection. */
  patternTopics: number = DEFAULTS.patternTopics;
  /** Topics answered `refused` with this code, and to those who enter with an error of it. */
  readonly refusedTopics = new Map<string, string>();
  readonly #subscribers = new Map<FakeConnection, Subscriber>();
  readonly #handlers = new Map<string, (payload: unknown) => unknown>();
  readonly #logs = new Map<string, TopicLog>();
  readonly #namespaces = new Map<string, Namespace>();
  readonly #presences = new Map<string, FakePresence>();

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

  /** The log of a topic, which is born by the first call. */
  log(topic: string): TopicLog {
    const log = this.#logs.get(topic) ?? new TopicLog(topic);
    if (!this.#logs.has(topic)) {
      this.#logs.set(topic, log);
      this.#handleBirth(log);
    }
    return log;
  }

  /** What a pattern stands for. */
  namespace(pattern: string): Namespace {
    const namespace = this.#namespaces.get(pattern) ?? new Namespace(pattern);
    this.#namespaces.set(pattern, namespace);
    return namespace;
  }

  /** Who is in a topic: let others come and go, or look who is there. */
  presence(topic: string): FakePresence {
    const presence = this.#presences.get(topic) ?? new FakePresence(topic, this);
    this.#presences.set(topic, presence);
    return presence;
  }

  /** The time for which a lost connection's members are still there is over. */
  endGrace(): void {
    for (const presence of this.#presences.values()) presence.drop(({ isOpen }) => !isOpen);
  }

  /** Publishes to every subscriber; returns the envelope. */
  publish(topic: string, payload: unknown, type = topic): Envelope {
    const envelope = this.log(topic).append(type, payload);
    this.#deliver(topic, [envelope]);
    return envelope;
  }

  /** Publishes several messages in one turn: one frame for clients that read batches; returns the envelopes. */
  publishAll(topic: string, payloads: readonly unknown[], type = topic): readonly Envelope[] {
    const log = this.log(topic);
    const envelopes = payloads.map((payload) => log.append(type, payload));
    this.#deliver(topic, envelopes);
    return envelopes;
  }

  /** Says to every subscriber where the topic's log stands, as the real server does on quiet or filtered streams. */
  beacon(topic: string): void {
    const log = this.log(topic);
    for (const subscriber of this.#openSubscribers()) subscriber.beacon(log);
  }

  /** The next `count` messages of the topic will not come, on purpose. */
  skip(topic: string, count: number, reason: 'latest' | 'drop_low' | 'ttl'): void {
    const log = this.log(topic);
    const from = log.top + 1;
    log.skip(count);
    for (const subscriber of this.#openSubscribers()) subscriber.skip(log, from, log.top, reason);
  }

  /** Tells the sockets that are open to move, as a server that ends does; they are served as before until `drop(1012)`. */
  move(inMs = 0, forMs = 8_000): void {
    for (const connection of this.open) connection.send({ t: 'move', c: 'WSE', p: { in_ms: inMs, for_ms: forMs } });
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
        send: (frame) => this.#receive(connection, frame),
        close: (code = 1000) => {
          connection.clientCloseCode ??= code;
          connection.close(code);
          if (code === 1000) for (const presence of this.#presences.values()) presence.drop((one) => one === connection);
        },
      };
    },
  };

  #openSubscribers(): Subscriber[] {
    return this.open.map((connection) => this.#subscriber(connection));
  }

  #subscriber(connection: FakeConnection): Subscriber {
    const subscriber = this.#subscribers.get(connection) ?? new Subscriber(connection, passesOf);
    this.#subscribers.set(connection, subscriber);
    return subscriber;
  }

  #deliver(topic: string, envelopes: readonly Envelope[]): void {
    for (const subscriber of this.#openSubscribers()) subscriber.deliver(topic, envelopes);
  }

  #handleBirth(log: TopicLog): void {
    const pattern = patternOf(log.topic);
    if (pattern === undefined) return;
    const namespace = this.namespace(pattern);
    namespace.add(log);
    for (const subscriber of this.#openSubscribers()) subscriber.handleBirth(namespace, log, this.patternTopics);
  }

  /** Frames travel through a microtask, so that neither side is called from within its own call. */
  #receive(connection: FakeConnection, frame: string | Uint8Array<ArrayBuffer>): void {
    if (!connection.isOpen || connection.isDead) return;
    const envelope = connection.receive(frame);
    if (this.mode !== 'mute') void Promise.resolve().then(() => this.#handle(connection, envelope));
  }

  #handle(connection: FakeConnection, envelope: Envelope): void {
    const { t, c, p, cid } = envelope;
    if (c !== 'WSE') this.#handleRequest(connection, envelope);
    else if (t === 'client_hello') this.#handleHello(connection, p as Hello);
    else if (t === 'subscription') this.#handleSubscription(connection, p as Subscription, cid);
    else if (t === 'snapshot_request') for (const topic of (p as Subscription).topics) this.#subscriber(connection).snapshot(this.log(topic));
    else if (t === 'presence') this.#handlePresence(connection, p as Entering, cid);
    else if (t === 'ping' && this.answersPings) connection.send({ t: 'pong', c: 'WSE', p });
  }

  #handleHello(connection: FakeConnection, hello: Hello): void {
    const format = (hello.formats ?? ['json']).find((name) => this.formats.includes(name));
    const refusal = this.refusal ?? (format === undefined ? { code: 'UNSUPPORTED_FORMAT', close: 4406 } : null);
    if (refusal !== null || format === undefined) {
      const { code, close, message = 'refused by the test' } = refusal ?? { code: 'INTERNAL', close: 1011 };
      connection.send({ t: 'error', c: 'WSE', p: { code, message } });
      connection.close(close);
      return;
    }
    const compression = this.compression && hello.compression?.includes('zlib') === true;
    const agreed = { format, compression, batch: this.batch && hello.batch === true };
    this.#welcome(connection, { ...agreed, compression: compression ? 'zlib' : null });
    connection.agreed = agreed;
    const kept = this.producers === null ? {} : { producers: this.producers, outcomes_ms: this.outcomesMs };
    const session = this.session === null ? {} : { session: this.session };
    connection.send({ t: 'server_ready', c: 'WSE', p: { connection: this.#id(connection), user: this.user, retry_ms: this.retryMs, ...kept, ...session } });
    const { topics = [] } = hello;
    if (topics.length > 0) this.#handleSubscription(connection, { ...hello, action: 'subscribe', topics }, undefined);
  }

  #welcome(connection: FakeConnection, agreed: Record<string, unknown>): void {
    const { subscriptions, patterns, idleTimeoutMs } = DEFAULTS;
    const limits = { heartbeat_ms: this.heartbeatMs, idle_timeout_ms: idleTimeoutMs, message_bytes: this.messageBytes, subscriptions, patterns };
    connection.send({ t: 'server_hello', c: 'WSE', p: { version: 2, ...agreed, connection: this.#id(connection), server: 'fake', ...limits } });
  }

  #id(connection: FakeConnection): string {
    return `connection-${this.connections.indexOf(connection) + 1}`;
  }

  #handleSubscription(connection: FakeConnection, subscription: Subscription, cid: string | undefined): void {
    const resumed = subscription.topics.map((name) => this.#change(this.#subscriber(connection), subscription, name));
    const topics = resumed.map(({ answer }) => answer);
    connection.send({ t: 'subscription_update', c: 'WSE', ...(cid === undefined ? {} : { cid }), p: { topics } });
    for (const { replay } of resumed) for (const envelope of replay) connection.send(envelope);
  }

  #change(subscriber: Subscriber, { action, positions = {}, filters = {} }: Subscription, name: string): Resumed {
    const refused = (code: string, message: string): Resumed => ({ answer: { tp: name, status: 'refused', code, message }, replay: [] });
    const code = this.refusedTopics.get(name) ?? this.refusedTopics.get(presenceTopic(name) ?? name);
    if (code !== undefined) return refused(code, 'refused by the test');
    if (action === 'unsubscribe') {
      subscriber.unsubscribe(name);
      return { answer: { tp: name, status: 'unsubscribed' }, replay: [] };
    }
    if (isPattern(name) && this.namespace(name).logs.length > this.patternTopics) return refused('TOO_MANY_TOPICS', 'too many topics');
    const watched = presenceTopic(name);
    if (watched !== undefined) this.presence(watched);
    try {
      if (!isPattern(name)) return subscriber.subscribe(this.log(name), filters[name], positions[name]);
      return subscriber.subscribePattern(this.namespace(name), filters[name], positions);
    } catch (error) {
      return error instanceof WSEError ? refused(error.code, error.message) : refused('INTERNAL', String(error));
    }
  }

  #handlePresence(connection: FakeConnection, { action, topic, data = null, key }: Entering, cid: string | undefined): void {
    const reference = cid === undefined ? {} : { cid };
    const code = this.refusedTopics.get(topic) ?? (this.user === null && key === undefined && action !== 'leave' ? 'INVALID_MESSAGE' : undefined);
    if (code !== undefined) {
      connection.send({ t: 'error', c: 'WSE', ...reference, p: { code, message: 'refused by the test', topic } });
      return;
    }
    const id = this.user === null ? `key-${key ?? ''}` : `user-${this.user}`;
    this.presence(topic).handle(connection, action, id, data, this.user);
    if (cid !== undefined) connection.send({ t: 'reply', c: 'WSE', cid, p: { id } });
  }

  #handleRequest(connection: FakeConnection, envelope: Envelope): void {
    const { cid, pid } = envelope;
    const isKept = pid !== undefined && this.producers !== null;
    const known = isKept ? this.outcomes.begin(envelope, this.user, this.producers ?? '') : 'new';
    const answer = known === 'unknown' ? failure('OUTCOME_UNKNOWN', 'it was sent before') : known === 'new' ? this.#call(envelope) : known;
    if (answer === null) return;
    if (isKept && known === 'new') this.outcomes.done(envelope, this.user, answer);
    if (answer.t === 'error' || cid !== undefined) connection.send({ ...answer, c: 'WSE', ...(cid === undefined ? {} : { cid }) });
  }

  /** What the handler answers; null: nothing, as one that is still at it. */
  #call({ t, p }: Envelope): Answer | null {
    const handler = this.#handlers.get(t);
    if (handler === undefined) return failure('NO_HANDLER', `There is no handler for ${t}.`);
    try {
      const reply = handler(p);
      return reply === undefined ? null : { t: 'reply', p: reply };
    } catch (error) {
      return failure('HANDLER_FAILED', String(error));
    }
  }
}

function failure(code: string, message: string): Answer {
  return { t: 'error', p: { code, message } };
}

interface Wanted {
  readonly positions?: Readonly<Record<string, WirePosition>>;
  readonly filters?: Readonly<Record<string, Filter>>;
}

interface Hello extends Wanted {
  readonly formats?: readonly Format[];
  readonly compression?: readonly string[];
  readonly batch?: boolean;
  readonly topics?: readonly string[];
}

interface Subscription extends Wanted {
  readonly action: 'subscribe' | 'unsubscribe';
  readonly topics: readonly string[];
}

interface Entering {
  readonly action: string;
  readonly topic: string;
  readonly data?: unknown;
  readonly key?: string;
}

function passesOf(filter: Filter | undefined): (payload: unknown) => boolean {
  return filter === undefined ? () => true : compileFilter(filter).matches;
}
