// The topics that the client is in: who wants it there and with which data, and what this connection was told; pure.
import { Backoff } from './backoff';
import type { WSEError } from './errors';

/** One message to send; `text` is the data as JSON, null for `leave`. */
export interface PresenceRequest {
  readonly cid: string;
  readonly action: 'enter' | 'update' | 'leave';
  readonly topic: string;
  readonly text: string | null;
}

/** How the client stands in one topic. */
export interface StayState {
  /** The server has it in the topic. */
  readonly entered: boolean;
  /** Why not, or why its data is not the newest; null otherwise. */
  readonly error: WSEError | null;
  /** The client's member id there; null before the first answer. */
  readonly id: string | null;
}

/** Says which holder wants it; each is one object. */
export type Holder = object;

/** When a refusal that may pass by itself is tried again: with jitter, since all whom a full topic refused would come at once. */
const RETRY_REFUSED = { baseMs: 10_000, capMs: 60_000, breakerFailures: Infinity, restartTries: 0 };

/** Others are in its place; also told unasked, where the server had lost it for a while ([P-62]). */
const FULL = 'PRESENCE_FULL';

/** One topic that the client is in, across connections. */
class Stay {
  /** Data by holder, newest last: that one is shown. */
  readonly wanted = new Map<Holder, string>();
  /** What is shown, also while only the linger keeps it. */
  text = 'null';
  /** What this connection was told last; null: nothing yet, or it is to be told again. */
  told: string | null = null;
  /** The request that is not answered; data that comes meanwhile waits, and only the newest of it is sent. */
  due: string | null = null;
  /** This connection has been told that it is in the topic. */
  had = false;
  /** Infinity: it does not linger, it is not tried again. */
  lingerUntil = Infinity;
  retryAt = Infinity;
  /** Of refusals since it was in the topic. */
  readonly backoff = new Backoff(RETRY_REFUSED);
  state: StayState = { entered: false, error: null, id: null };

  /** The connection is gone or another one, which knows nothing; one that it moved to is not to be seen. */
  reset(isMove: boolean): void {
    this.told = this.due = null;
    this.retryAt = Infinity;
    this.had = false;
    if (!isMove) this.state = { ...this.state, entered: false, error: null };
  }

  refuse(error: WSEError, now: number, random: number): void {
    const isFull = error.code === FULL;
    if (isFull) this.had = false;
    const passing = isFull || error.fault === 'network' || error.fault === 'server';
    this.retryAt = passing ? now + this.backoff.next(random) : Infinity;
    this.state = { entered: this.had, error, id: this.had ? this.state.id : null };
  }
}

/** All topics that one client is in. */
export class Stays {
  readonly #lingerMs: number;
  readonly #stays = new Map<string, Stay>();
  /** What this connection still has, and nobody wants any more. */
  readonly #dropped = new Set<string>();
  #connected = false;

  constructor(lingerMs: number) {
    this.#lingerMs = lingerMs;
  }

  /** How the client stands in a topic; undefined where nobody wants it there. */
  state(topic: string): StayState | undefined {
    return this.#stays.get(topic)?.state;
  }

  /** A holder wants the client in the topic, with this data from now on. */
  set(topic: string, holder: Holder, text: string): void {
    const stay = this.#stays.get(topic) ?? new Stay();
    this.#stays.set(topic, stay);
    // Left and entered again in one turn: nobody needs to see it go.
    this.#dropped.delete(topic);
    stay.wanted.delete(holder);
    stay.wanted.set(holder, text);
    stay.lingerUntil = Infinity;
    stay.text = text;
  }

  /** A holder does not want it there any more; the last one's word counts at once, or after the linger where `lingers`. */
  remove(topic: string, holder: Holder, now: number, lingers: boolean): void {
    const stay = this.#stays.get(topic);
    if (stay?.wanted.delete(holder) !== true) return;
    if (stay.wanted.size > 0) stay.text = [...stay.wanted.values()].at(-1) ?? stay.text;
    else if (lingers) stay.lingerUntil = now + this.#lingerMs;
    else this.#drop(topic, stay);
  }

  /** `server_ready` came, on a connection that knows nothing of it. */
  handleReady(isMove: boolean): void {
    this.#reset(isMove);
    this.#connected = true;
  }

  /** The connection is gone. */
  handleClose(): void {
    this.#connected = false;
    this.#reset(false);
  }

  /** What to send so that the server knows what is wanted. */
  *poll(newId: () => string): Iterable<PresenceRequest> {
    if (!this.#connected) return;
    for (const topic of this.#dropped) yield { cid: newId(), action: 'leave', topic, text: null };
    // What was too many may fit now.
    if (this.#dropped.size > 0) for (const stay of this.#stays.values()) if (stay.state.error?.code.startsWith('TOO_MANY_') === true) stay.told = null;
    this.#dropped.clear();
    for (const [topic, stay] of this.#stays) {
      const { text, due, told } = stay;
      if (due !== null || told === text) continue;
      const cid = newId();
      stay.told = text;
      stay.due = cid;
      yield { cid, action: stay.had ? 'update' : 'enter', topic, text };
    }
  }

  /** The server has it; returns whether a request of ours was answered. */
  handleReply(cid: string, id: string | null): boolean {
    const stay = this.#find(cid);
    if (stay === undefined) return false;
    stay.due = null;
    stay.retryAt = Infinity;
    stay.had = true;
    stay.backoff.reset();
    stay.state = { entered: true, error: null, id: id ?? stay.state.id };
    return true;
  }

  /** The server, or the client itself, refuses a request, or unasked takes the place away; returns whether one of ours. */
  handleError(cid: string | undefined, error: WSEError, now: number, random: number): boolean {
    const stay = cid === undefined ? (error.code === FULL ? this.#stays.get(error.topic ?? '') : undefined) : this.#find(cid);
    if (stay === undefined) return false;
    // Where a request is under way when the place is taken, its answer is what counts.
    if (stay.due === cid) stay.due = null;
    stay.refuse(error, now, random);
    return true;
  }

  /** When `handleTimeout` is due; Infinity: never. */
  pollTimeout(): number {
    return Math.min(...[...this.#stays.values()].flatMap(({ lingerUntil, retryAt }) => [lingerUntil, retryAt]));
  }

  /** Lets go of what lingered, and tries again what was refused; `poll` has the messages. */
  handleTimeout(now: number): void {
    for (const [topic, stay] of this.#stays) {
      if (stay.retryAt <= now) {
        stay.told = null;
        stay.retryAt = Infinity;
      }
      if (stay.lingerUntil <= now) this.#drop(topic, stay);
    }
  }

  #drop(topic: string, stay: Stay): void {
    this.#stays.delete(topic);
    if (stay.had || stay.due !== null) this.#dropped.add(topic);
  }

  #reset(isMove: boolean): void {
    this.#dropped.clear();
    for (const stay of this.#stays.values()) stay.reset(isMove);
  }

  #find(cid: string): Stay | undefined {
    return [...this.#stays.values()].find(({ due }) => due === cid);
  }
}
