// The outbox's store as one client uses it: its own producer, those it took over, and a way round a store that fails.
import { WSEError } from './errors';
import { MemoryOutbox } from './memory-outbox';
import type { OutboxRow, OutboxStore } from './outbox-store';
import { OutboxWriter, type Write } from './outbox-writer';
import { Producer } from './producer';
import type { Roles } from './roles';

/** How long a step in the store may take: one that does not answer must not keep messages back. */
const STORE_MS = 5_000;

/** What a shelf reports. */
export interface ShelfEvents {
  /** These rows are kept, or are not going to be. */
  onWritten(writes: readonly Write[]): void;
  /** A producer that was not held any more is again, or its rows are another page's. */
  onClaim(producer: Producer, isOurs: boolean): void;
  /** `isDurable` or `ofOthers` changed. */
  onChange(): void;
  /** Told once. */
  onFault(error: WSEError): void;
}

/** Rows of one scope. */
export class Shelf {
  readonly #scope: string;
  readonly #roles: Roles;
  readonly #events: ShelfEvents;
  readonly #writer = new OutboxWriter((puts, removals) => this.#write(puts, removals), (writes, error) => this.#handleWritten(writes, error));
  readonly #producers = new Map<string, Producer>();
  /** Rows of other users, by producer. */
  readonly #others = new Map<string, number>();
  /** What is asked of producers whose claims have run out. */
  readonly #asking = new Map<string, Promise<void>>();
  /** Other pages', until they are taken over from there: what was to be written of them, however late, is left out. */
  readonly #lost = new Set<string>();
  /** Rows that could not be removed: the next look tries again. */
  #left: OutboxRow[] = [];
  #store: OutboxStore;
  #opened: Promise<void> | null = null;
  #own: Producer | null = null;
  #parting: Promise<unknown> = Promise.resolve();
  #isTold = false;
  isDurable: boolean | null = null;

  constructor(scope: string, roles: Roles, events: ShelfEvents) {
    this.#scope = scope;
    this.#roles = roles;
    this.#events = events;
    this.#store = roles.outbox;
  }

  /** Rows that other users left. */
  get ofOthers(): number {
    let sum = 0;
    for (const count of this.#others.values()) sum += count;
    return sum;
  }

  /** The next number of the client's own producer. */
  next(): { readonly scope: string; readonly producer: string; readonly n: number } {
    if (this.#own !== null && !this.holds(this.#own.id)) this.#own = null;
    this.#own ??= new Producer(this.#roles.environment.uuid());
    this.#producers.set(this.#own.id, this.#own);
    return { scope: this.#scope, producer: this.#own.id, n: this.#own.next() };
  }

  /** Up to this number a producer's outcomes are known. */
  seen(producer: string): number {
    return this.#producers.get(producer)?.seen ?? 0;
  }

  /** Whether a producer's rows are this page's for certain. Where the claim has run out it is taken again, and `onClaim` tells. */
  holds(id: string): boolean {
    const producer = this.#producers.get(id);
    if (producer !== undefined && !this.#asking.has(id) && this.#store.holds?.(id) === false) this.#asking.set(id, this.#ask(producer));
    return !this.#asking.has(id);
  }

  put(row: OutboxRow): void {
    this.#writer.put(row);
  }

  remove(row: OutboxRow): void {
    this.#writer.remove(row);
  }

  open(): Promise<void> {
    this.#opened ??= this.#store
      .open()
      .catch((cause: unknown) => {
        this.#store = new MemoryOutbox();
        this.#tell(cause);
      })
      .then(() => {
        this.isDurable = this.#store.isDurable;
        this.#events.onChange();
      });
    return this.#opened;
  }

  /** What comes next may be another user's: one producer's rows are one user's. */
  renew(): void {
    if (this.#own?.isEmpty === false) this.#own = null;
  }

  /** Gives producers up, once all is written; what is left of them is for whoever looks next. */
  letGo(isInUse: (producer: string) => boolean): void {
    this.#part([...this.#producers.values()].filter(({ id }) => !isInUse(id)));
    this.#others.clear();
  }

  /**
   * Takes over the rows that nobody looks after: those that are `ours`, by age; what `isForgotten` is removed. A producer whose rows have
   * no room stays where it is, for the next look or another tab.
   */
  async adopt(ours: (row: OutboxRow) => boolean, isForgotten: (row: OutboxRow) => boolean, hasRoom: (rows: readonly OutboxRow[]) => boolean): Promise<readonly OutboxRow[]> {
    for (const id of this.#producers.keys()) this.holds(id);
    for (const row of this.#left.splice(0)) this.remove(row);
    const found: (readonly OutboxRow[])[] = [];
    const before = this.ofOthers;
    let isOver = false;
    const look = async (): Promise<void> => {
      for (const id of await this.#store.producers(this.#scope)) {
        if (this.#producers.has(id) || this.#others.has(id)) continue;
        const producer = new Producer(id);
        const rows = await this.#take(producer, ours, isForgotten).catch((cause: unknown) => {
          producer.release();
          throw cause;
        });
        if (!isOver && rows.length > 0 && hasRoom(rows)) {
          this.#lost.delete(id);
          this.#producers.set(id, producer.adopt(rows));
          found.push(rows);
        } else {
          // Too late, not ours, or too much.
          producer.release();
        }
      }
    };
    try {
      await this.open();
      await this.#parting;
      await this.#inTime(look);
    } catch (cause) {
      this.#tell(cause);
    }
    isOver = true;
    if (this.ofOthers !== before) this.#events.onChange();
    return found.sort(([a], [b]) => (a?.at ?? 0) - (b?.at ?? 0)).flat();
  }

  #part(left: readonly Producer[]): void {
    for (const { id } of left) this.#producers.delete(id);
    if (this.#own !== null && left.includes(this.#own)) this.#own = null;
    this.#parting = Promise.all([this.#parting, this.#writer.idle()]).then(() => {
      for (const producer of left) producer.release();
    });
  }

  /** Without an answer its rows are as good as another page's: they are in the store, for whoever can claim them. */
  async #ask(producer: Producer): Promise<void> {
    const { id } = producer;
    const isOurs = await this.#inTime(() => producer.claim(this.#store)).catch((cause: unknown) => {
      this.#tell(cause);
      return false;
    });
    this.#asking.delete(id);
    this.#handleClaim(producer, isOurs);
  }

  #handleClaim(producer: Producer, isOurs: boolean): void {
    if (!isOurs) {
      this.#lost.add(producer.id);
      this.#part([producer]);
    }
    this.#events.onClaim(producer, isOurs);
  }

  async #take(producer: Producer, ours: (row: OutboxRow) => boolean, isForgotten: (row: OutboxRow) => boolean): Promise<readonly OutboxRow[]> {
    if (!(await producer.claim(this.#store))) return [];
    const all = await this.#store.rows(this.#scope, producer.id);
    // What is ours and too old is told as that.
    const forgotten = all.filter((row) => isForgotten(row) && (row.failure !== undefined || !ours(row)));
    if (forgotten.length > 0) await this.#store.write([], forgotten);
    const kept = all.filter((row) => !forgotten.includes(row));
    const own = kept.filter(ours);
    if (own.length < kept.length) this.#others.set(producer.id, kept.length - own.length);
    return own;
  }

  async #write(puts: readonly OutboxRow[], removals: readonly OutboxRow[]): Promise<void> {
    await this.open();
    await this.#inTime(async () => {
      for (const id of new Set([...puts, ...removals].map(({ producer }) => producer))) if (!this.holds(id)) await this.#asking.get(id);
      for (const id of new Set(puts.map(({ producer }) => producer))) {
        const producer = this.#producers.get(id);
        if (producer !== undefined && !(await producer.claim(this.#store))) this.#handleClaim(producer, false);
      }
      const isOurs = ({ producer }: OutboxRow): boolean => !this.#lost.has(producer);
      [puts, removals] = [puts.filter(isOurs), removals.filter(isOurs)];
      const stale = puts.filter(({ producer, n }) => this.#producers.get(producer)?.isKept(n) === true);
      await this.#store.write(puts, removals).catch(async (cause: unknown) => {
        // What is sent now must not stand there as never sent: a later page would take it for new.
        const gone = [...removals, ...stale];
        await this.#store.write([], gone);
        for (const { producer, n } of gone) this.#producers.get(producer)?.handleGone(n);
        throw cause;
      });
    });
  }

  #inTime<T>(task: () => Promise<T>): Promise<T> {
    return new Promise((resolve, reject) => {
      const cancel = this.#roles.clock.setTimer(() => reject(new Error(`the store did not answer within ${STORE_MS} ms`)), STORE_MS);
      void task().then(resolve, reject).finally(cancel);
    });
  }

  #handleWritten(writes: readonly Write[], error: unknown): void {
    if (error !== null) this.#tell(error);
    for (const { row, isRemoval } of writes) {
      const producer = this.#producers.get(row.producer);
      if (producer === undefined) continue;
      if (error === null) producer.handleWritten(row.n, isRemoval, row.failure !== undefined);
      else producer.handleUnwritten(row.n, isRemoval, row.failure !== undefined);
      if (isRemoval && producer.isKept(row.n)) this.#left.push(row);
      if (!producer.isEmpty) continue;
      // A page that holds a lock is not kept for the way back.
      producer.release();
      if (producer !== this.#own) this.#producers.delete(producer.id);
    }
    this.#events.onWritten(writes);
  }

  #tell(cause: unknown): void {
    this.isDurable = false;
    if (this.#isTold) return;
    this.#isTold = true;
    this.#events.onFault(WSEError.client('OUTBOX_NOT_KEPT', '', cause));
  }
}
