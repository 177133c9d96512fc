// One topic's log in the fake server: positions, history, and what a returning client gets.
import type { Envelope } from '../core/envelope';

/** A position as the wire has it. */
export interface WirePosition {
  readonly e: string;
  readonly seq: number;
}

/** An answer to a subscribe, and the messages to replay after it. */
export interface Resumed {
  readonly answer: Record<string, unknown>;
  readonly replay: readonly Envelope[];
}

/** A log that answers as [P-24] says. */
export class TopicLog {
  readonly topic: string;
  /** Change it to let the log begin anew. */
  epoch = 'e1';
  /** What gives the topic's state, for snapshots; throws where it fails. Null: there is none. */
  state: (() => unknown) | null = null;
  #messages: Envelope[] = [];
  #top = 0;
  /** Everything up to it is out of the history. */
  #trimmed = 0;

  constructor(topic: string) {
    this.topic = topic;
  }

  /** Highest position. */
  get top(): number {
    return this.#top;
  }

  /** Stores a message; returns its envelope. */
  append(type: string, payload: unknown): Envelope {
    this.#top += 1;
    const id = `${this.topic}-${this.#top}`;
    const envelope: Envelope = { v: 2, t: type, id, ts: '2026-01-15T10:30:00.000Z', tp: this.topic, e: this.epoch, seq: this.#top, p: payload };
    this.#messages.push(envelope);
    return envelope;
  }

  /** Positions that no message will ever have. */
  skip(count: number): void {
    this.#top += count;
  }

  /** Forgets the history, not the position. */
  trim(): void {
    this.#messages = [];
    this.#trimmed = this.#top;
  }

  /** Begins anew in another epoch. */
  restart(epoch: string): void {
    this.epoch = epoch;
    this.#messages = [];
    this.#top = 0;
    this.#trimmed = 0;
  }

  /** The topic's snapshot at a position, or the error that it fails with ([P-57], [P-58]). */
  snapshot(seq: number, passes: ((payload: unknown) => boolean) | null): Envelope {
    const failure = (code: string, message: string): Envelope => ({ v: 2, t: 'error', c: 'WSE', p: { code, message, topic: this.topic } });
    if (this.state === null) return failure('NO_SNAPSHOT', 'The topic has no snapshot.');
    try {
      const state = this.state();
      const p = Array.isArray(state) && passes !== null ? state.filter((row: unknown) => passes(row)) : state;
      return { v: 2, t: 'snapshot', c: 'S', tp: this.topic, e: this.epoch, seq, p };
    } catch (error) {
      return failure('SNAPSHOT_FAILED', String(error));
    }
  }

  /** The answer to a subscribe from `position`, and the messages to replay after it: those that pass. */
  resume(position: WirePosition | undefined, passes: (payload: unknown) => boolean): Resumed {
    const at = { tp: this.topic, e: this.epoch, seq: this.#top };
    const resync = (reason: string): Resumed => ({ answer: { ...at, status: 'resync', reason }, replay: [] });
    if (position === undefined) return { answer: { ...at, status: 'live' }, replay: [] };
    if (position.e !== this.epoch) return resync('epoch');
    if (position.seq > this.#top) return resync('fork');
    if (position.seq === this.#top) return { answer: { ...at, status: 'live' }, replay: [] };
    if (position.seq < this.#trimmed) return resync('history');
    const replay = this.#messages.filter(({ seq = 0, p }) => seq > position.seq && passes(p));
    return { answer: { ...at, seq: position.seq, status: 'recovered', recovered: replay.length }, replay };
  }
}
