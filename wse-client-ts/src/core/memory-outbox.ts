// The outbox role in memory: rows live as long as this object, which several clients of one process may share.
import type { OutboxKey, OutboxRow, OutboxStore } from './outbox-store';

/** What Node, and a page that may not store, use. */
export class MemoryOutbox implements OutboxStore {
  readonly isDurable = false;
  readonly #rows = new Map<string, Map<number, OutboxRow>>();
  readonly #claims = new Set<string>();

  open(): Promise<void> {
    return Promise.resolve();
  }

  producers(scope: string): Promise<readonly string[]> {
    const all = [...this.#rows.values()].flatMap((rows) => [...rows.values()].slice(0, 1));
    return Promise.resolve(all.filter((row) => row.scope === scope).map(({ producer }) => producer));
  }

  rows(scope: string, producer: string): Promise<readonly OutboxRow[]> {
    const rows = [...(this.#rows.get(keyOf({ scope, producer }))?.values() ?? [])];
    return Promise.resolve(rows.sort((a, b) => a.n - b.n));
  }

  write(puts: readonly OutboxRow[], removals: readonly OutboxKey[]): Promise<void> {
    for (const row of puts) this.#rows.set(keyOf(row), (this.#rows.get(keyOf(row)) ?? new Map<number, OutboxRow>()).set(row.n, row));
    for (const key of removals) {
      const rows = this.#rows.get(keyOf(key));
      rows?.delete(key.n);
      if (rows?.size === 0) this.#rows.delete(keyOf(key));
    }
    return Promise.resolve();
  }

  claim(producer: string): Promise<(() => void) | null> {
    if (this.#claims.has(producer)) return Promise.resolve(null);
    this.#claims.add(producer);
    return Promise.resolve(() => void this.#claims.delete(producer));
  }
}

function keyOf({ scope, producer }: Pick<OutboxKey, 'scope' | 'producer'>): string {
  return JSON.stringify([scope, producer]);
}
