// All that a client knows of its topics: what is declared, what patterns stand for, and the stream of each.
import type { Entry } from './entry';
import type { Filter } from './filter-key';
import { unionOf } from './held-filters';
import { isPattern, patternOf } from './pattern';
import type { ReorderPool } from './reorder';
import { Streams } from './streams';
import type { Position } from './topic-update';

/** Entries, streams, and how they belong together. */
export class TopicBook {
  readonly entries = new Map<string, Entry>();
  readonly streams: Streams;
  /** Most topics that all patterns together stand for. */
  readonly #patternTopics: number;

  constructor(pool: ReorderPool, patternTopics: number) {
    this.streams = new Streams(pool);
    this.#patternTopics = patternTopics;
  }

  /** The entry of the pattern that stands for `topic`, unless it was refused. */
  covering(topic: string): Entry | undefined {
    const pattern = patternOf(topic);
    const entry = pattern === undefined ? undefined : this.entries.get(pattern);
    return entry?.state.status === 'refused' ? undefined : entry;
  }

  /** The entry through which messages of `topic` come: its own, or its pattern's. */
  carrier(topic: string): Entry | undefined {
    const own = this.entries.get(topic);
    return own === undefined || own.state.status === 'refused' ? (this.covering(topic) ?? own) : own;
  }

  /**
   * The filter to ask for: what all holders of the entry want, and for a topic under a pattern also what the pattern's want,
   * because the topic's filter holds for both. While only the linger keeps it, it stays as it is.
   */
  wanted(topic: string, entry: Entry): Filter | undefined {
    if (entry.refs === 0) return entry.filter;
    const covering = this.covering(topic);
    return unionOf(covering === undefined || covering.refs === 0 ? [entry.filters] : [entry.filters, covering.filters]);
  }

  /** The position to resume from, of the topic or of the pattern itself; null: from the top. */
  position(topic: string, { pattern }: Entry): Position | null {
    return pattern === null ? (this.streams.find(topic)?.resumePosition ?? null) : pattern.births;
  }

  /** The positions to resume from: the topic's, or those of the pattern and of every topic known under it. */
  *positions(topic: string, entry: Entry): Iterable<readonly [string, Position]> {
    const own = this.position(topic, entry);
    if (own !== null) yield [topic, own];
    for (const member of entry.pattern?.topics ?? []) {
      const position = this.streams.find(member)?.resumePosition;
      if (position) yield [member, position];
    }
  }

  /** Notes a topic under a pattern; false when there are too many. */
  admitMember(pattern: Entry, topic: string): boolean {
    if (pattern.pattern === null || pattern.pattern.topics.has(topic)) return true;
    let members = 0;
    for (const entry of this.entries.values()) members += entry.pattern?.topics.size ?? 0;
    if (members >= this.#patternTopics) return false;
    pattern.pattern.topics.add(topic);
    return true;
  }

  /** The pattern does not stand for the topic any more. */
  dropMember(pattern: Entry, topic: string): void {
    pattern.pattern?.topics.delete(topic);
    if (!this.entries.has(topic)) this.streams.forget(topic);
  }

  /** Nobody wants the entry any more; streams that another entry carries stay. */
  remove(topic: string, entry: Entry): void {
    this.entries.delete(topic);
    for (const member of entry.pattern?.topics ?? []) if (!this.entries.has(member)) this.streams.forget(member);
    if (!isPattern(topic) && this.covering(topic)?.pattern?.topics.has(topic) !== true) this.streams.forget(topic);
  }

  /** Another user is at the keyboard: the old one's places mean nothing. */
  forgetPositions(): void {
    this.streams.resetAll();
    for (const [, { pattern }] of this.entries) {
      for (const member of pattern?.topics ?? []) if (!this.entries.has(member)) this.streams.forget(member);
      pattern?.reset();
    }
  }
}
