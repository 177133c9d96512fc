// The filters that the holders of one topic want, and the one filter that lets through what any of them wants.
import { compileFilter } from './filter';
import { filterKey, type Filter } from './filter-key';

interface Held {
  readonly filter: Filter;
  /** Null for a filter that cannot be compiled: the server says why. */
  readonly matches: ((payload: unknown) => boolean) | null;
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
    const held = this.#held.get(key) ?? { filter, matches: compile(filter), refs: 0 };
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

  /** Keys of the filters that a payload passes. */
  passedBy(payload: unknown): readonly string[] {
    return [...this.#held].filter(([, { matches }]) => matches?.(payload) === true).map(([key]) => key);
  }

  /** Whether somebody wants everything. */
  get wantsAll(): boolean {
    return this.#unfiltered > 0;
  }
}

/**
 * What lets through all that any of these holders want; undefined: everything. The same holders in any order give the same.
 * Where filters are fine one by one and together are too large to be one, everything is asked for.
 */
export function unionOf(holders: readonly HeldFilters[]): Filter | undefined {
  if (holders.some(({ wantsAll }) => wantsAll)) return undefined;
  const distinct = new Map(holders.flatMap(({ filters }) => [...filters]));
  const sorted = [...distinct].sort(([a], [b]) => (a < b ? -1 : 1)).map(([, filter]) => filter);
  if (sorted.length < 2) return sorted[0];
  const union = { $or: sorted };
  return compile(union) === null && sorted.every((filter) => compile(filter) !== null) ? undefined : union;
}

function compile(filter: Filter): ((payload: unknown) => boolean) | null {
  try {
    return compileFilter(filter).matches;
  } catch {
    return null;
  }
}
