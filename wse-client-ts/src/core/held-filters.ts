// The filters that the holders of one topic want, and the one filter that lets through what any of them wants.
import { filterKey, type Filter } from './filter-key';

interface Held {
  readonly filter: Filter;
  refs: number;
}

/** Counts the holders of one topic by their filter. */
export class HeldFilters {
  #unfiltered = 0;
  readonly #held = new Map<string, Held>();

  /** One more holder. */
  add(filter: Filter | undefined): void {
    if (filter === undefined) {
      this.#unfiltered += 1;
      return;
    }
    const key = filterKey(filter);
    const held = this.#held.get(key) ?? { filter, refs: 0 };
    held.refs += 1;
    this.#held.set(key, held);
  }

  /** One holder less. */
  remove(filter: Filter | undefined): void {
    if (filter === undefined) {
      this.#unfiltered -= 1;
      return;
    }
    const key = filterKey(filter);
    const held = this.#held.get(key);
    if (held === undefined) return;
    held.refs -= 1;
    if (held.refs === 0) this.#held.delete(key);
  }

  /** The distinct filters held, by key. */
  get filters(): ReadonlyMap<string, Filter> {
    return new Map([...this.#held].map(([key, { filter }]) => [key, filter]));
  }

  /** Whether somebody wants everything. */
  get wantsAll(): boolean {
    return this.#unfiltered > 0;
  }
}

/** What lets through all that any of these holders want; undefined: everything. The same holders in any order give the same. */
export function unionOf(holders: readonly HeldFilters[]): Filter | undefined {
  if (holders.some(({ wantsAll }) => wantsAll)) return undefined;
  const distinct = new Map(holders.flatMap(({ filters }) => [...filters]));
  const sorted = [...distinct].sort(([a], [b]) => (a < b ? -1 : 1)).map(([, filter]) => filter);
  return sorted.length > 1 ? { $or: sorted } : sorted[0];
}
