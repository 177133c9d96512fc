// The filters that the holders of one topic want, and the one filter that lets through what any of them wants.
import type { WSEError } from './errors';
import { compileFilter } from './filter';
import { filterKey, type Filter } from './filter-key';

interface Held {
  readonly filter: Filter;
  readonly matches: (payload: unknown) => boolean;
  /** Why it cannot be compiled; it then matches nothing. */
  readonly error: WSEError | null;
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
    const held = this.#held.get(key) ?? { filter, ...compile(filter), refs: 0 };
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
  get held(): ReadonlyMap<string, Pick<Held, 'filter' | 'error'>> {
    return this.#held;
  }

  /** Keys of the filters that a payload passes. */
  passedBy(payload: unknown): readonly string[] {
    return [...this.#held].filter(([, { matches }]) => matches(payload)).map(([key]) => key);
  }

  /** What of a topic's state passes each filter, by key: of an array its elements; anything else is one thing ([P-57]). */
  statesOf(state: unknown): readonly (readonly [string, unknown])[] {
    return [...this.#held].map(([key, { matches }]) => [key, Array.isArray(state) ? state.filter((row: unknown) => matches(row)) : state]);
  }

  /** Whether somebody wants everything. */
  get wantsAll(): boolean {
    return this.#unfiltered > 0;
  }
}

/**
 * What lets through all that any of these holders want; undefined: everything. The same holders in any order give the same.
 * Where filters are fine one by one and together are too large to be one, everything is asked for. One that cannot be compiled
 * takes nothing away from the others; alone it is asked for, so that the server says what is wrong.
 */
export function unionOf(holders: readonly HeldFilters[]): Filter | undefined {
  if (holders.some(({ wantsAll }) => wantsAll)) return undefined;
  const distinct = new Map(holders.flatMap(({ held }) => [...held]));
  const sorted = [...distinct].sort(([a], [b]) => (a < b ? -1 : 1)).map(([, held]) => held);
  const fine = sorted.filter(({ error }) => error === null);
  if (fine.length < 2) return (fine[0] ?? sorted[0])?.filter;
  const union = { $or: fine.map(({ filter }) => filter) };
  return compile(union).error === null ? union : undefined;
}

function compile(filter: Filter): Pick<Held, 'matches' | 'error'> {
  try {
    return { matches: compileFilter(filter).matches, error: null };
  } catch (error) {
    return { matches: () => false, error: error as WSEError };
  }
}
