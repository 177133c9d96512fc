// One topic's log in the fake server: positions, history, and what a returning client gets.
import type { Envelope } from '../core/envelope';

/** A log that answers as [P-24] says. */
export class TopicLog {
  readonly topic: string;
  /** Change it to let the log begin anew. */
  epoch = 'e1';
  #messages: Envelope[] = [];
  #top = 0;

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

  /** Forgets the history, not the position. */
  trim(): void {
    this.#messages = [];
  }

  /** Begins anew in another epoch. */
  restart(epoch: string): void {
    this.epoch = epoch;
    this.#messages = [];
    this.#top = 0;
  }

  /** The answer to a subscribe, and the messages to replay after it. */
  resume(position: { e: string; seq: number } | undefined): { answer: Record<string, unknown>; replay: Envelope[] } {
    const at = { tp: this.topic, e: this.epoch, seq: this.#top };
    const resync = (reason: string): { answer: Record<string, unknown>; replay: Envelope[] } => ({ answer: { ...at, status: 'resync', reason }, replay: [] });
    if (position === undefined) return { answer: { ...at, status: 'live' }, replay: [] };
    if (position.e !== this.epoch) return resync('epoch');
    if (position.seq > this.#top) return resync('fork');
    if (position.seq === this.#top) return { answer: { ...at, status: 'live' }, replay: [] };
    const replay = this.#messages.filter(({ seq = 0 }) => seq > position.seq);
    if (replay.length < this.#top - position.seq) return resync('history');
    return { answer: { ...at, seq: position.seq, status: 'recovered', recovered: replay.length }, replay };
  }
}
