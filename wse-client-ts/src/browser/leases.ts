// Who has a producer, where the browser has no Web Locks: leases in the outbox's own database, renewed while the page lives.

/** A hidden page's timers may run once a minute: more than two of these fit in. */
const LEASE_MS = 150_000;
const RENEW_MS = 20_000;
const STORE = 'leases';

interface Lease {
  readonly producer: string;
  readonly owner: string;
  /** In milliseconds since 1970. */
  readonly until: number;
}

/**
 * Leases of one page. Should one run out while its page lives (a machine that slept), two pages may send the same rows:
 * their numbers tell the server so, and each is handled once.
 */
export class Leases {
  readonly #db: IDBDatabase;
  readonly #owner = String(Math.random());
  readonly #held = new Set<string>();
  #timer: ReturnType<typeof setInterval> | undefined;

  constructor(db: IDBDatabase) {
    this.#db = db;
    // A reload must not wait until the lease of the page before has run out.
    if (typeof window !== 'undefined') window.addEventListener('pagehide', () => this.#remove([...this.#held]));
  }

  /** Takes a lease that nobody has, or that has run out. */
  async claim(producer: string): Promise<(() => void) | null> {
    if (this.#held.has(producer) || !(await this.#take(producer))) return null;
    this.#held.add(producer);
    this.#timer ??= setInterval(() => {
      for (const each of this.#held) void this.#take(each).catch(() => undefined);
    }, RENEW_MS);
    return () => this.#release(producer);
  }

  #release(producer: string): void {
    if (!this.#held.delete(producer)) return;
    this.#remove([producer]);
    if (this.#held.size > 0) return;
    clearInterval(this.#timer);
    this.#timer = undefined;
  }

  /** In one transaction, so that of two tabs one finds the other's. */
  #take(producer: string): Promise<boolean> {
    const transaction = this.#db.transaction(STORE, 'readwrite');
    const leases = transaction.objectStore(STORE);
    return new Promise((resolve, reject) => {
      let taken = false;
      const request = leases.get(producer) as IDBRequest<Lease | undefined>;
      request.onsuccess = () => {
        const now = Date.now();
        const { owner, until } = request.result ?? { owner: this.#owner, until: 0 };
        // One that ends later than any can was written by a clock that was set back since.
        taken = owner === this.#owner || until < now || until > now + LEASE_MS;
        if (taken) leases.put({ producer, owner: this.#owner, until: now + LEASE_MS } satisfies Lease);
      };
      transaction.oncomplete = () => resolve(taken);
      transaction.onabort = () => reject(transaction.error ?? new Error('the transaction was aborted'));
    });
  }

  /** Without waiting for anything: the page may be going. */
  #remove(producers: readonly string[]): void {
    if (producers.length === 0) return;
    try {
      const transaction = this.#db.transaction(STORE, 'readwrite');
      for (const producer of producers) transaction.objectStore(STORE).delete(producer);
      transaction.commit();
    } catch {
      // The database is gone; leases run out by themselves.
    }
  }
}
