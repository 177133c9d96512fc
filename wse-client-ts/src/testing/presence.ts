// Who is in the topics of the fake server: members over their connections, and what watchers are told ([P-60] to [P-64]).
import type { Envelope } from '../core/envelope';
import { presenceName, type Member } from '../core/roster';
import type { FakeConnection } from './connection';
import type { TopicLog } from './topic-log';

/** What the presence of a topic needs of its server. */
export interface PresenceLogs {
  log(topic: string): TopicLog;
  publish(topic: string, payload: unknown, type: string): Envelope;
}

/** Somebody whom the test itself lets in. */
const TEST = Symbol('the test');

interface Present {
  readonly user: string | null;
  /** Data by connection, newest last. */
  readonly data: Map<FakeConnection | typeof TEST, unknown>;
}

/** The presence of one topic. */
export class FakePresence {
  readonly #topic: string;
  readonly #logs: PresenceLogs;
  readonly #present = new Map<string, Present>();

  constructor(topic: string, logs: PresenceLogs) {
    this.#topic = topic;
    this.#logs = logs;
    for (const countOnly of [false, true]) {
      const log = logs.log(presenceName(topic, countOnly));
      log.state = () => ({ ...(countOnly ? {} : { members: this.members }), count: this.members.length, e: log.epoch, seq: log.top });
    }
  }

  /** Who is there, in the order in which they came. */
  get members(): readonly Member[] {
    return [...this.#present].map(([id, { user, data }]) => ({ id, user, data: [...data.values()].at(-1) ?? null }));
  }

  /** Somebody comes, or has other data from now on. */
  enter(id: string, data: unknown = null, user: string | null = null): void {
    this.#set(id, TEST, data, user);
  }

  /** Somebody whom `enter` let in goes. */
  leave(id: string): void {
    this.#remove(id, TEST);
  }

  /** What a client's message does. */
  handle(connection: FakeConnection, action: string, id: string, data: unknown, user: string | null): void {
    if (action === 'leave') this.drop((one) => one === connection);
    else this.#set(id, connection, data, user);
  }

  /** The connections for which `isGone` holds have left. */
  drop(isGone: (connection: FakeConnection) => boolean): void {
    for (const [id, { data }] of this.#present) {
      for (const holder of data.keys()) if (holder !== TEST && isGone(holder)) this.#remove(id, holder);
    }
  }

  #set(id: string, holder: FakeConnection | typeof TEST, data: unknown, user: string | null): void {
    const isNew = !this.#present.has(id);
    const present = this.#present.get(id) ?? { user, data: new Map() };
    present.data.delete(holder);
    present.data.set(holder, data);
    this.#present.set(id, present);
    this.#tell([{ id, user: present.user, data }], [], isNew);
  }

  #remove(id: string, holder: FakeConnection | typeof TEST): void {
    const present = this.#present.get(id);
    if (present?.data.delete(holder) !== true) return;
    if (present.data.size > 0) {
      this.#tell([{ id, user: present.user, data: [...present.data.values()].at(-1) }], [], false);
      return;
    }
    this.#present.delete(id);
    this.#tell([], [id], true);
  }

  #tell(set: readonly Member[], gone: readonly string[], isCount: boolean): void {
    const count = this.#present.size;
    this.#logs.publish(presenceName(this.#topic, false), { set, gone, count }, 'presence');
    if (isCount) this.#logs.publish(presenceName(this.#topic, true), { count }, 'presence_count');
  }
}
