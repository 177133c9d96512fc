// Snapshots that were asked for and wait for their moment ([P-59]): a topic's own answer comes first, and may bring one by itself.
import type { Entry } from './entry';
import { patternOf } from './pattern';

/** The codes that say that a snapshot will not come ([P-58], [P-59]). */
const FAILURES: readonly string[] = ['SNAPSHOT_FAILED', 'NO_SNAPSHOT'];

/** Whether an error of this code is about a snapshot. */
export function isSnapshotFailure(code: string): boolean {
  return FAILURES.includes(code);
}

/** Names wanted, each once, as long as somebody holds them. */
export class SnapshotRequests {
  readonly #wanted = new Set<string>();
  /** Topics that this connection was asked for, and has not answered. */
  readonly #sent = new Set<string>();

  /** Topics or patterns whose state is wanted anew. */
  add(names: readonly string[]): void {
    for (const name of names) this.#wanted.add(name);
  }

  /** The state of a topic came, or will not come. */
  handleAnswer(topic: string): void {
    this.#sent.delete(topic);
  }

  /** The connection moved: what the one before was asked for, the new one is. */
  handleMove(): void {
    this.add([...this.#sent]);
    this.#sent.clear();
  }

  /** The connection is gone. */
  handleClose(): void {
    this.#sent.clear();
  }

  /** The topics to ask for now, those of patterns one by one. */
  poll(entries: ReadonlyMap<string, Entry>): readonly string[] {
    const topics = new Set<string>();
    for (const name of this.#wanted) {
      const own = entries.get(name);
      const entry = own ?? entries.get(patternOf(name) ?? name);
      // Not answered yet: it is asked for once it is, unless the answer promises it.
      if (entry !== undefined && (entry.due !== null || !entry.had)) continue;
      this.#wanted.delete(name);
      if (entry?.promised !== null) continue;
      for (const topic of own?.pattern?.topics ?? [name]) topics.add(topic);
    }
    for (const topic of topics) this.#sent.add(topic);
    return [...topics];
  }
}
