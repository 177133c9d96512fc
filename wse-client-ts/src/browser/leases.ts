// Who has a producer, where the browser has no Web Locks: leases in the outbox's own database, renewed while the page lives.

/** A hidden page's timers may run once a minute: more than two of these fit in. */
const LEASE_MS = 150_000;
const RENEW_MS = 20_000;
/** So much before its end its own page has a lease no more: what it has sent by then is on its way when another may take it. Clocks of two pages differ by less. */
const MARGIN_MS = 10_000;
const STORE = 'leases';

interface Lease {
  readonly producer: string;
  readonly owner: string;
  /** In milliseconds since 1970. */
  readonly until: number;
}

/**
 * Leases of one page. Should one run out while its page lives (a suspended tab, a machine that slept), the page has it no more until it has
 * taken it again; it gets it only if nobody else has had it since, so that its rows are as it left them.
 */
export class Leases {
  readonly #db: IDBDatabase;
  readonly #owner = String(Math.random());
  /** By producer: until when. */
  readonly #held = new Map<string, number>();
  /** Claims without an answer. */
  readonly #asked = new Set<string>();
  #timer: ReturnType<typeof setInterval> | undefined;

  constructor(db: IDBDatabase) {
    this.#db = db;
    // A reload must not wait until the lease of the page before has run out. The page may come back, and finds then whether another had it.
    if (typeof window !== 'undefined') window.addEventListener('pagehide', () => this.#end([...this.#held.keys()], true));
  }

  /** Whether a lease has not run out; true of what was not claimed. */
  holds(producer: string): boolean {
    const until = this.#held.get(producer);
    return until === undefined || isWithin(until, MARGIN_MS);
  }

  /**
   * Takes a lease that nobody has, or that has run out; one of this page's that has run out only if nobody has had it since. None while another
   * claim of the page's is on its way: who has given that one up gives it back when it comes, which must not end a later one.
   */
  async claim(producer: string): Promise<(() => void) | null> {
    if (this.#asked.has(producer) || (this.#held.has(producer) && this.holds(producer))) return null;
    this.#asked.add(producer);
    const until = await this.#take(producer, !this.#held.delete(producer)).finally(() => this.#asked.delete(producer));
    if (until === 0) return null;
    this.#held.set(producer, until);
    this.#timer ??= setInterval(() => this.#renew(), RENEW_MS);
    return () => this.#release(producer);
  }

  #renew(): void {
    for (const [producer, before] of this.#held) {
      // Unless it was given up, or taken anew, meanwhile.
      const handleTaken = (until: number): void => {
        if (this.#held.get(producer) === before) this.#held.set(producer, until);
      };
      this.#take(producer, false).then(handleTaken, () => undefined);
    }
  }

  #release(producer: string): void {
    this.#end([producer], false);
    this.#held.delete(producer);
    if (this.#held.size > 0) return;
    clearInterval(this.#timer);
    this.#timer = undefined;
  }

  /** Resolves with its end, or with 0. In one transaction, so that of two tabs one finds the other's. */
  async #take(producer: string, isNew: boolean): Promise<number> {
    const transaction = this.#db.transaction(STORE, 'readwrite');
    const leases = transaction.objectStore(STORE);
    return new Promise((resolve, reject) => {
      let end = 0;
      const request = leases.get(producer) as IDBRequest<Lease | undefined>;
      request.onsuccess = () => {
        const { owner, until } = request.result ?? { owner: '', until: 0 };
        if (owner !== this.#owner && !(isNew && !isWithin(until, 0))) return;
        end = Date.now() + LEASE_MS;
        leases.put({ producer, owner: this.#owner, until: end } satisfies Lease);
      };
      transaction.oncomplete = () => resolve(end);
      transaction.onabort = () => reject(transaction.error ?? new Error('the transaction was aborted'));
    });
  }

  /** Gives up what has not run out, which could be another's. Without waiting for anything: the page may be going. */
  #end(producers: readonly string[], isKept: boolean): void {
    const held = producers.filter((producer) => this.#held.has(producer) && this.holds(producer));
    if (held.length === 0) return;
    try {
      const transaction = this.#db.transaction(STORE, 'readwrite');
      const leases = transaction.objectStore(STORE);
      for (const producer of held) {
        this.#held.set(producer, 0);
        if (isKept) leases.put({ producer, owner: this.#owner, until: 0 } satisfies Lease);
        else leases.delete(producer);
      }
      transaction.commit();
    } catch {
      // The database is gone; leases run out by themselves.
    }
  }
}

/** Whether an end is further away than `margin`; one that is further than any can be was written by a clock that was set back since. */
function isWithin(until: number, margin: number): boolean {
  const left = until - Date.now();
  return left > margin && left <= LEASE_MS + MARGIN_MS;
}
