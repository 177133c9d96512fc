// Messages that are kept until the server has handled them: which go out, again too, and what becomes of each ([P-51] to [P-55]).
import { encodeRequest } from './client-messages';
import { WSEError } from './errors';
import { expired, isRepeatable, sizeOf, unknownOutcome, viewOf, type Entry, type OutboxLink } from './outbox-entry';
import { Failures } from './outbox-failures';
import { OutboxMessage, type OutboxCounts } from './outbox-message';
import { Owner } from './outbox-owner';
import { Shelf } from './outbox-shelf';
import type { OutboxRow } from './outbox-store';
import type { Producer } from './producer';
import { withResolvers, type Outgoing } from './requests';
import type { Roles } from './roles';

/** Bounds of an outbox. */
export interface OutboxConfig {
  readonly scope: string;
  readonly messages: number;
  readonly bytes: number;
  readonly ageMs: number;
}

/** What an outbox reports. */
export interface OutboxEvents {
  /** Something may be sent now that could not be before. */
  onReady(): void;
  /** A new message, which goes out behind all others. */
  onAdd(id: string, message: Outgoing): void;
  /** Messages of earlier pages, which go out before all others. */
  onAdopt(messages: readonly (readonly [string, Outgoing])[]): void;
  /** It is not sent from here any more. */
  onGone(id: string): void;
  /** Null: not of one message. */
  onChange(message: OutboxMessage | null): void;
  onFault(error: WSEError): void;
}

/** How often rows of tabs that are gone are looked for, and what is too old. */
const LOOK_MS = 15_000;
/** The first time after a connection was made: the page before this one may still be ending, and holds its rows. Each next one after twice as long. */
const FIRST_LOOK_MS = 1_000;
/** What its user never came back for, in ages of the outbox. */
const FORGOTTEN_AGES = 7;

/** The outbox of one client. */
export class Outbox {
  readonly #config: OutboxConfig;
  readonly #roles: Roles;
  readonly #events: OutboxEvents;
  readonly #shelf: Shelf;
  readonly #owner = new Owner();
  readonly #entries = new Map<string, Entry>();
  readonly #failures: Failures;
  #link: OutboxLink | null = null;
  #bytes = 0;
  /** Changes when all that was found before is another's. */
  #era = 0;
  /** Rows of earlier pages were looked for on this connection: they go first. */
  #hasLooked = false;
  /** One after the other. */
  #looking = Promise.resolve();
  #cancelTimer: (() => void) | null = null;
  #list: readonly OutboxMessage[] | null = null;

  constructor(config: OutboxConfig, roles: Roles, events: OutboxEvents) {
    this.#config = config;
    this.#roles = roles;
    this.#events = events;
    this.#failures = new Failures(config.bytes);
    this.#shelf = new Shelf(config.scope, roles, {
      onWritten: (writes) => {
        for (const { row } of writes) {
          const entry = this.#entries.get(row.id);
          if (entry?.row === row) entry.isKept = true;
        }
        events.onReady();
      },
      onClaim: (producer, isOurs) => {
        if (isOurs) this.#review();
        else this.#lose(producer);
        events.onReady();
      },
      onChange: () => events.onChange(null),
      onFault: (error) => events.onFault(error),
    });
  }

  get isDurable(): boolean | null {
    return this.#shelf.isDurable;
  }

  get ofOthers(): number {
    return this.#shelf.ofOthers;
  }

  get messages(): readonly OutboxMessage[] {
    this.#list ??= [...(this.#owner.isUnknown ? [] : this.#failures.messages), ...this.#shown.map((entry) => viewOf(entry))];
    return this.#list;
  }

  get counts(): OutboxCounts {
    const shown = this.#shown;
    const sent = shown.filter(({ isSent }) => isSent).length;
    return { queued: shown.length - sent, sent, failed: this.#owner.isUnknown ? 0 : this.#failures.size };
  }

  /** A token came; `isOther`: the application has set another one. Undefined: of a function that was not asked yet. */
  handleToken(token: string | undefined, isOther: boolean): void {
    this.#owner.handleToken(token, isOther);
    if (isOther) {
      // What a look finds that is under way was looked for as the one before.
      this.#era += 1;
      this.#shelf.renew();
      this.#tell(null);
    }
    this.#mark();
  }

  /** Takes a message in; throws `OUTBOX_FULL`. */
  add(id: string, type: string, payload: string): Promise<unknown> {
    const { messages, bytes } = this.#config;
    const size = sizeOf({ type, payload });
    if (this.#entries.size >= messages) throw WSEError.client('OUTBOX_FULL', `${messages} messages wait in it.`);
    if (this.#bytes + size > bytes) throw WSEError.client('OUTBOX_FULL', `Its messages may have ${bytes} bytes together.`);
    const row = { ...this.#shelf.next(), id, type, payload, at: this.#roles.clock.wall(), ...this.#owner.stamp };
    const entry = this.#admit(row, false);
    this.#put(entry, this.#stamped(row));
    // Whoever is told of it may cancel it, or send the next one.
    this.#events.onAdd(id, this.#outgoing(entry));
    this.#tell(viewOf(entry));
    return entry.reply.promise;
  }

  /** Looks after what is too old, and after what other tabs leave, from here on. */
  start(): void {
    if (this.#cancelTimer !== null) return;
    void this.#shelf.open();
    this.#arm();
  }

  /** `server_ready` came. */
  handleReady(link: OutboxLink): void {
    this.#link = link;
    const isOther = this.#owner.handleReady(link.user);
    for (const entry of [...this.#entries.values()]) {
      if (!this.#owner.hasWritten(entry.row, entry.age, link.user)) this.#disown(entry);
    }
    // Timers stand still while a machine sleeps.
    this.#review();
    if (isOther) {
      this.#era += 1;
      this.#failures.keepOnly(({ user }) => user === link.user);
      this.#letGo();
    }
    this.#look();
    if (this.#cancelTimer !== null) this.#arm(FIRST_LOOK_MS);
  }

  /** The connection is gone. What it had no time to send was not sent: to a later page it is new again. */
  handleClose(): void {
    this.#link = null;
    this.#hasLooked = false;
    for (const entry of this.#entries.values()) {
      if (!entry.isSent && entry.row.epoch !== undefined) this.#put(entry, { ...entry.row, epoch: undefined, sentAt: undefined });
    }
  }

  /** Nothing is sent from here any more; rows stay for whoever comes next. Promises reject with `error`. */
  stop(error: WSEError): void {
    this.handleClose();
    this.#cancelTimer?.();
    this.#cancelTimer = null;
    for (const entry of [...this.#entries.values()]) this.#release(entry, error);
    this.#era += 1;
    this.#failures.clear();
    this.#letGo();
  }

  cancel(id: string): boolean {
    const entry = this.#shown.find(({ row }) => row.id === id);
    if (entry?.isSent === true) return false;
    const row = entry?.row ?? this.failed(id);
    if (row === undefined || !this.#shelf.holds(row.producer)) return false;
    if (entry === undefined) this.#failures.take(id);
    else this.#release(entry, WSEError.client('CANCELLED'));
    this.#shelf.remove(row);
    this.#tell(null);
    return true;
  }

  /** What a failed message said. */
  failed(id: string): OutboxRow | undefined {
    const row = this.#owner.isUnknown ? undefined : this.#failures.find(id);
    return row !== undefined && this.#shelf.holds(row.producer) ? row : undefined;
  }

  get #shown(): readonly Entry[] {
    return [...this.#entries.values()].filter(({ age }) => this.#owner.shows(age));
  }

  #outgoing(entry: Entry): Outgoing {
    return {
      get isRepeated() {
        return entry.row.epoch !== '';
      },
      prepare: () => this.#prepare(entry),
      take: () => this.#take(entry),
      handleReply: (payload) => this.#acknowledge(entry, payload),
      handleError: (error) => this.#fail(entry, error),
    };
  }

  /** Under which epoch it is sent first stands in the store before it is sent: else a later page would take it for new. */
  #prepare(entry: Entry): boolean {
    if (this.#link === null || !this.#hasLooked || !this.#shelf.holds(entry.row.producer)) return false;
    if (entry.isSent && !isRepeatable(entry.row, this.#link)) {
      this.#giveUp(entry, unknownOutcome());
      this.#events.onReady();
      return false;
    }
    if (!entry.isSent && entry.row.epoch !== (this.#link.epoch ?? '')) this.#put(entry, this.#stamped(entry.row));
    return entry.isKept;
  }

  #take(entry: Entry): string {
    const { id, type, payload, epoch, producer, n } = entry.row;
    const { isSent } = entry;
    entry.isSent = true;
    if (!isSent) this.#tell(viewOf(entry));
    if (epoch === undefined || epoch === '') return encodeRequest(type, payload, id);
    return encodeRequest(type, payload, id, { pid: producer, n, na: this.#shelf.seen(producer), ...(isSent ? { pe: epoch } : {}) });
  }

  /** As it is sent now, if there is a connection. */
  #stamped(row: OutboxRow): OutboxRow {
    if (this.#link === null) return row;
    return { ...row, user: this.#link.user, token: undefined, epoch: this.#link.epoch ?? '', sentAt: this.#roles.clock.wall() };
  }

  #acknowledge(entry: Entry, payload: unknown): void {
    this.#forget(entry);
    this.#shelf.remove(entry.row);
    entry.reply.resolve(payload);
    this.#tell(viewOf(entry, 'acknowledged', payload));
  }

  #fail(entry: Entry, error: WSEError): void {
    this.#forget(entry);
    const row = { ...entry.row, failure: { code: error.code, message: error.message } };
    this.#shelf.put(row);
    this.#keepFailure(row, entry.isEarlier);
    entry.reply.reject(error);
  }

  /** Fails without having been asked. */
  #giveUp(entry: Entry, error: WSEError): void {
    this.#events.onGone(entry.row.id);
    this.#fail(entry, error);
  }

  /** What is too old fails; where another page may have it, only once that is known. */
  #review(): void {
    for (const entry of [...this.#entries.values()]) if (this.#shelf.holds(entry.row.producer) && this.#isExpired(entry.row)) this.#giveUp(entry, expired(entry));
  }

  /** Another page has taken a producer over; what was not stored it may not have. */
  #lose(producer: Producer): void {
    for (const entry of [...this.#entries.values()]) {
      if (entry.row.producer === producer.id) this.#release(entry, producer.isKept(entry.row.n) ? WSEError.client('TAKEN_OVER') : unknownOutcome('This page slept, and it was not stored.'));
    }
    this.#failures.keepOnly((row) => row.producer !== producer.id);
    this.#tell(null);
  }

  #keepFailure(row: OutboxRow, isEarlier: boolean): void {
    const message = new OutboxMessage(row, 'failed', isEarlier);
    for (const old of this.#failures.add(row, message, sizeOf(row))) this.#shelf.remove(old);
    this.#tell(this.#owner.isUnknown ? null : message);
  }

  /** It waits for the user who wrote it, if that one is known. */
  #disown(entry: Entry): void {
    if (entry.row.user === undefined) this.#shelf.remove(entry.row);
    this.#release(entry, WSEError.client(entry.row.user === undefined ? 'TOKEN_CHANGED' : 'USER_CHANGED'));
  }

  /** Lets a message go without an outcome. */
  #release(entry: Entry, error: WSEError): void {
    this.#forget(entry);
    this.#events.onGone(entry.row.id);
    entry.reply.reject(error);
  }

  #admit(row: OutboxRow, isEarlier: boolean): Entry {
    const entry = { row, bytes: sizeOf(row), isKept: isEarlier, isSent: isEarlier && row.epoch !== undefined, isEarlier, age: this.#owner.age, reply: withResolvers() };
    // Nobody has the promise of an earlier page's.
    if (isEarlier) entry.reply.promise.catch(() => undefined);
    this.#entries.set(row.id, entry);
    this.#bytes += entry.bytes;
    return entry;
  }

  #forget(entry: Entry): void {
    this.#entries.delete(entry.row.id);
    this.#bytes -= entry.bytes;
    this.#list = null;
  }

  /** What was written before a token was known bears that token's mark, by which a later page knows whose it is. */
  #mark(): void {
    const { token } = this.#owner.stamp;
    if (token === undefined) return;
    for (const entry of this.#entries.values()) {
      const { user, token: before } = entry.row;
      if (user === undefined && before === undefined && entry.age === this.#owner.age) this.#put(entry, { ...entry.row, token });
    }
  }

  #put(entry: Entry, row: OutboxRow): void {
    entry.row = row;
    entry.isKept = false;
    this.#shelf.put(row);
  }

  /** Leaves to others what is no message of this client any more. */
  #letGo(): void {
    const inUse = new Set([...this.#entries.values()].map(({ row }) => row.producer));
    this.#shelf.letGo((producer) => inUse.has(producer) || this.#failures.hasOf(producer));
    this.#tell(null);
  }

  #tell(message: OutboxMessage | null): void {
    this.#list = null;
    this.#events.onChange(message);
  }

  #look(): void {
    this.#looking = this.#looking.then(() => this.#lookOnce());
  }

  async #lookOnce(): Promise<void> {
    const [link, era] = [this.#link, this.#era];
    if (link === null) return;
    const isForgotten = ({ at }: OutboxRow): boolean => this.#age(at) >= this.#config.ageMs * FORGOTTEN_AGES;
    const rows = await this.#shelf.adopt((row) => this.#owner.inherits(row, link.user), isForgotten, this.#room());
    if (era === this.#era) this.#adopt(rows);
    else this.#letGo();
    if (this.#link === null) return;
    this.#hasLooked = true;
    this.#events.onReady();
  }

  /** What is taken over has the bounds of what is written here; where nothing is, one page's rows are taken however many there are. */
  #room(): (rows: readonly OutboxRow[]) => boolean {
    const taken = [...this.#entries.values()].filter(({ isEarlier }) => isEarlier);
    let [count, bytes] = [taken.length, taken.reduce((sum, entry) => sum + entry.bytes, 0)];
    return (rows) => {
      // Those that have failed have a bound of their own.
      const waiting = rows.filter(({ failure }) => failure === undefined);
      const [all, size] = [count + waiting.length, waiting.reduce((sum, row) => sum + sizeOf(row), bytes)];
      if (count > 0 && (all > this.#config.messages || size > this.#config.bytes)) return false;
      [count, bytes] = [all, size];
      return true;
    };
  }

  #adopt(rows: readonly OutboxRow[]): void {
    const adopted: Entry[] = [];
    for (const row of rows) {
      if (row.failure !== undefined) {
        this.#keepFailure(row, true);
        continue;
      }
      const entry = this.#admit(row, true);
      if (this.#isExpired(row)) this.#fail(entry, expired(entry));
      else adopted.push(entry);
    }
    if (adopted.length === 0) return;
    this.#events.onAdopt(adopted.map((entry) => [entry.row.id, this.#outgoing(entry)]));
    // Whoever is told of one may cancel others.
    for (const entry of adopted) if (this.#entries.has(entry.row.id)) this.#tell(viewOf(entry));
  }

  #arm(delayMs = LOOK_MS): void {
    this.#cancelTimer?.();
    const handleTimer = (): void => {
      this.#arm(delayMs * 2);
      this.#review();
      this.#look();
    };
    this.#cancelTimer = this.#roles.clock.setTimer(handleTimer, Math.min(delayMs, LOOK_MS, this.#config.ageMs));
  }

  #isExpired({ at, sentAt }: OutboxRow): boolean {
    return this.#age(at) >= this.#config.ageMs || (sentAt !== undefined && this.#link !== null && this.#age(sentAt) >= this.#link.outcomesMs);
  }

  #age(since: number): number {
    return this.#roles.clock.wall() - since;
  }
}
