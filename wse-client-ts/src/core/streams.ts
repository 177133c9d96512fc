// The streams of all topics that a client follows, by itself or through a pattern, and the timer of those that wait.
import type { ReorderPool } from './reorder';
import { TopicStream } from './topic-stream';

/** Streams by topic name. */
export class Streams {
  readonly #pool: ReorderPool;
  readonly #streams = new Map<string, TopicStream>();
  /** Streams in which something is missing. */
  readonly #waiting = new Set<string>();

  constructor(pool: ReorderPool) {
    this.#pool = pool;
  }

  /** The topic's stream, if it is followed. */
  find(topic: string): TopicStream | undefined {
    return this.#streams.get(topic);
  }

  /** The topic's stream, followed from now on. */
  follow(topic: string): TopicStream {
    const stream = this.#streams.get(topic) ?? new TopicStream(this.#pool);
    this.#streams.set(topic, stream);
    return stream;
  }

  /** Follows the topic no longer. */
  forget(topic: string): void {
    this.#streams.get(topic)?.reset();
    this.#streams.delete(topic);
    this.#waiting.delete(topic);
  }

  /** Forgets every place. */
  resetAll(): void {
    for (const stream of this.#streams.values()) stream.reset();
    this.#waiting.clear();
  }

  /** Lets go of everything that waits: the connection is gone, and the next one brings it again. */
  dropAll(now: number): void {
    for (const stream of this.#streams.values()) stream.drop(now);
    this.#waiting.clear();
  }

  /** To be called when a stream was changed: whether it waits may be new. */
  noteChange(topic: string): void {
    if ((this.#streams.get(topic)?.pollTimeout() ?? null) === null) this.#waiting.delete(topic);
    else this.#waiting.add(topic);
  }

  /** When `handleTimeout` is due; null: never. */
  pollTimeout(): number | null {
    let due: number | null = null;
    for (const topic of this.#waiting) {
      const at = this.#streams.get(topic)?.pollTimeout() ?? null;
      if (at !== null && (due === null || at < due)) due = at;
    }
    return due;
  }

  /** Topics whose missing messages must be asked for now. */
  handleTimeout(now: number): string[] {
    const due = [...this.#waiting].filter((topic) => this.#streams.get(topic)?.handleTimeout(now) === true);
    for (const topic of due) this.noteChange(topic);
    return due;
  }
}
