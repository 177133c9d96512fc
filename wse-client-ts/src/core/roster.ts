// Who is in one topic, or how many: the state that the server sent, and its changes after it.
import { asRecord, readText } from './fields';
import type { Position } from './topic-update';

/** One user, or one anonymous client, in a topic, over however many connections. */
export interface Member<T = unknown> {
  /** Stable for a user, and for an anonymous tab; the same in every topic. */
  readonly id: string;
  /** Null for an anonymous client. */
  readonly user: string | null;
  /** What it entered or updated last; null where it gave nothing. */
  readonly data: T;
}

const LIST = '@presence:';
const COUNT = '@count:';

/** The name under which the members of a topic, or their number alone, are subscribed. */
export function presenceName(topic: string, countOnly: boolean): string {
  return `${countOnly ? COUNT : LIST}${topic}`;
}

/** The topic whose presence is told under a name; undefined for any other name. */
export function presenceTopic(name: string): string | undefined {
  const prefix = [LIST, COUNT].find((known) => name.startsWith(known));
  return prefix === undefined ? undefined : name.slice(prefix.length);
}

/** What is known under one such name. */
export class Roster {
  #members: ReadonlyMap<string, Member> = new Map();
  /** Where the log stood when the state was read: changes up to there are in it. */
  #at: Position | null = null;
  #list: readonly Member[] | null = null;
  #count = 0;
  #isKnown = false;

  /** Whether the state has come, and everything since. */
  get isKnown(): boolean {
    return this.#isKnown;
  }

  get count(): number {
    return this.#count;
  }

  /** The members; the same array until something changes. */
  get members(): readonly Member[] {
    return (this.#list ??= [...this.#members.values()]);
  }

  /** Another user is at the keyboard, who may not see what the one before saw. */
  clear(): void {
    this.#members = new Map();
    this.#isKnown = false;
    this.#change(0);
  }

  /** Changes are lost: what is known stays to be seen until the state comes anew. */
  handleLoss(): void {
    this.#isKnown = false;
  }

  /** The state came. Who was there keeps the place in the list. */
  handleState(payload: unknown): void {
    const p = asRecord(payload);
    const [epoch, seq] = [readText(p['e']), p['seq']];
    const next = new Map(parseMembers(p['members']).map((member) => [member.id, member]));
    const stayed = [...this.#members.keys()].filter((id) => next.has(id));
    this.#members = new Map([...stayed.map((id) => [id, next.get(id) as Member] as const), ...next]);
    this.#at = epoch === undefined || typeof seq !== 'number' ? null : { epoch, seq };
    this.#isKnown = true;
    this.#change(p['count']);
  }

  /** A change came, at `position` of the log; returns whether it said anything new. */
  handleChange(payload: unknown, position: Position | undefined): boolean {
    if (!this.#isKnown) return false;
    if (position !== undefined && position.epoch === this.#at?.epoch && position.seq <= this.#at.seq) return false;
    const p = asRecord(payload);
    const next = new Map(this.#members);
    for (const member of parseMembers(p['set'])) next.set(member.id, member);
    for (const id of Array.isArray(p['gone']) ? (p['gone'] as unknown[]) : []) if (typeof id === 'string') next.delete(id);
    this.#members = next;
    this.#change(p['count']);
    return true;
  }

  #change(count: unknown): void {
    this.#list = null;
    this.#count = typeof count === 'number' ? count : this.#members.size;
  }
}

function parseMembers(value: unknown): readonly Member[] {
  if (!Array.isArray(value)) return [];
  return value.flatMap((item: unknown) => {
    const { id, user, data = null } = asRecord(item);
    return typeof id === 'string' ? [{ id, user: readText(user) ?? null, data }] : [];
  });
}
