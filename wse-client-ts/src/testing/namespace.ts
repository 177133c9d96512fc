// The topics of one namespace in the fake server, in the order of their births ([P-39]).
import type { TopicLog, WirePosition } from './topic-log';

/** The births log behind one pattern. */
export class Namespace {
  readonly pattern: string;
  /** Change it to let the births log begin anew. */
  epoch = 'n1';
  readonly #births: TopicLog[] = [];
  /** Births up to it are out of the history. */
  #trimmed = 0;

  constructor(pattern: string) {
    this.pattern = pattern;
  }

  /** Its topics, oldest first. */
  get logs(): readonly TopicLog[] {
    return this.#births;
  }

  /** Position of the births log. */
  get position(): WirePosition {
    return { e: this.epoch, seq: this.#births.length };
  }

  /** A topic is born. */
  add(log: TopicLog): void {
    this.#births.push(log);
  }

  /** Forgets the history of births, not the topics. */
  trim(): void {
    this.#trimmed = this.#births.length;
  }

  /** Whether the topic was born after `position`; never where births since are missing. */
  isBornSince(log: TopicLog, position: WirePosition | undefined): boolean {
    return position !== undefined && this.#reason(position) === null && this.#births.indexOf(log) >= position.seq;
  }

  /** The status of the pattern for a client that returns with `position`. */
  status(position: WirePosition | undefined): Record<string, unknown> {
    const at = { tp: this.pattern, ...this.position };
    const reason = position === undefined ? null : this.#reason(position);
    if (reason !== null) return { ...at, status: 'resync', reason };
    const missed = position === undefined ? 0 : this.#births.length - position.seq;
    return missed === 0 ? { ...at, status: 'live' } : { ...at, status: 'recovered', recovered: missed };
  }

  #reason(position: WirePosition): string | null {
    if (position.e !== this.epoch) return 'epoch';
    if (position.seq > this.#births.length) return 'fork';
    return position.seq < this.#trimmed ? 'births' : null;
  }
}
