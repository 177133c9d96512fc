// The outbox role over IndexedDB: rows outlive the page and the browser; Web Locks say which tab has a producer.
import type { OutboxKey, OutboxRow, OutboxStore } from '../core/outbox-store';
import { Leases } from './leases';

/** What an `IndexedOutbox` needs of the browser. */
export interface IndexedOutboxOptions {
  /** Its database. @default 'wse-client' */
  readonly name?: string | undefined;
  /** @default the page's */
  readonly indexedDB?: IDBFactory | undefined;
  /** Null: there are none, as on pages without https; leases in the database take their place. @default the page's */
  readonly locks?: LockManager | null | undefined;
}

/** A database that does not open for so long will not. */
const OPEN_MS = 3_000;
const [ROWS, LEASES] = ['rows', 'leases'] as const;

/** Rows of all tabs of an origin. */
export class IndexedOutbox implements OutboxStore {
  readonly isDurable = true;
  readonly #name: string;
  readonly #factory: IDBFactory | undefined;
  readonly #locks: LockManager | null;
  #db: IDBDatabase | null = null;
  #leases: Leases | null = null;

  constructor({ name = 'wse-client', indexedDB, locks }: IndexedOutboxOptions = {}) {
    this.#name = name;
    this.#factory = indexedDB;
    const ofPage = typeof navigator === 'undefined' ? undefined : (navigator as { readonly locks?: LockManager }).locks;
    this.#locks = locks === undefined ? (ofPage ?? null) : locks;
  }

  async open(): Promise<void> {
    // Reading the property alone throws where storage is forbidden.
    const factory = this.#factory ?? indexedDB;
    this.#db = await openDatabase(factory, this.#name);
    if (this.#locks === null) this.#leases = new Leases(this.#db);
  }

  async producers(scope: string): Promise<readonly string[]> {
    const found: string[] = [];
    const request = this.#rows('readonly').openKeyCursor(IDBKeyRange.bound([scope], [scope, []]));
    return new Promise((resolve, reject) => {
      request.onerror = () => reject(errorOf(request));
      request.onsuccess = () => {
        const cursor = request.result;
        if (cursor === null) {
          resolve(found);
          return;
        }
        const producer = (cursor.key as [string, string, number])[1];
        found.push(producer);
        // An array is above every number: on to the next producer.
        cursor.continue([scope, producer, []]);
      };
    });
  }

  async rows(scope: string, producer: string): Promise<readonly OutboxRow[]> {
    const request = this.#rows('readonly').getAll(IDBKeyRange.bound([scope, producer, 0], [scope, producer, []]));
    return new Promise((resolve, reject) => {
      request.onerror = () => reject(errorOf(request));
      request.onsuccess = () => resolve(request.result as OutboxRow[]);
    });
  }

  async write(puts: readonly OutboxRow[], removals: readonly OutboxKey[]): Promise<void> {
    const rows = this.#rows('readwrite');
    const transaction = rows.transaction;
    return new Promise((resolve, reject) => {
      transaction.oncomplete = () => resolve();
      transaction.onabort = () => reject(transaction.error ?? new Error('the transaction was aborted'));
      for (const row of puts) rows.put(row);
      for (const { scope, producer, n } of removals) rows.delete([scope, producer, n]);
    });
  }

  async claim(producer: string): Promise<(() => void) | null> {
    const locks = this.#locks;
    if (locks === null) return (await this.#leases?.claim(producer)) ?? null;
    return new Promise((resolve, reject) => {
      const held = locks.request(`${this.#name} ${producer}`, { ifAvailable: true }, (lock) => {
        if (lock !== null) return new Promise<void>((release) => resolve(release));
        resolve(null);
        return undefined;
      });
      held.catch(reject);
    });
  }

  /** A lock is held as long as its page lives. */
  holds(producer: string): boolean {
    return this.#leases?.holds(producer) ?? true;
  }

  #rows(mode: IDBTransactionMode): IDBObjectStore {
    if (this.#db === null) throw new Error('open() comes first');
    return this.#db.transaction(ROWS, mode).objectStore(ROWS);
  }
}

function openDatabase(factory: IDBFactory, name: string): Promise<IDBDatabase> {
  return new Promise((resolve, reject) => {
    const timer = setTimeout(() => reject(new Error('the database does not open')), OPEN_MS);
    const request = factory.open(name, 1);
    request.onupgradeneeded = () => {
      request.result.createObjectStore(ROWS, { keyPath: ['scope', 'producer', 'n'] });
      request.result.createObjectStore(LEASES, { keyPath: 'producer' });
    };
    request.onerror = () => {
      clearTimeout(timer);
      reject(errorOf(request));
    };
    request.onsuccess = () => {
      clearTimeout(timer);
      // Another version's page, or who clears the site's data, is not to wait for this one.
      request.result.onversionchange = () => request.result.close();
      resolve(request.result);
    };
  });
}

function errorOf(request: IDBRequest): Error {
  return request.error ?? new Error('the database gave no reason');
}
