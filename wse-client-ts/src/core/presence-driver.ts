// Drives presence: sends what the stays ask for, keeps the rosters that are watched, and their timers.
import { checkReadable, encodePresence, tooLarge } from './client-messages';
import { Deadline } from './deadline';
import type { TopicState } from './entry';
import { fitsBytes } from './envelope';
import { WSEError } from './errors';
import type { ResyncNotice } from './events';
import { asRecord, readText } from './fields';
import { sortKeys } from './filter-key';
import type { TopicHold } from './hold';
import { NO_PRESENCE, type Presence, type PresenceHold, type PresenceState, type PresenceStatus, type WatchOptions } from './presence';
import type { Roles } from './roles';
import { presenceName, presenceTopic, Roster } from './roster';
import { Stays, type Holder, type PresenceRequest, type StayState } from './stays';
import type { StreamItem } from './topic-stream';

/** What the driver needs of its client. */
export interface PresenceEvents {
  /** A holder of subscriptions. */
  hold(): TopicHold;
  /** How a subscription stands. */
  subscription(name: string): TopicState | undefined;
  /** Asks for the state of a subscribed name. */
  onStateWanted(name: string): void;
  onSend(text: string): void;
  /** Something of the topic's presence changed. */
  onChange(topic: string): void;
}

/** Where the key of an anonymous client is kept, so that a page that is loaded again is the same member. */
const KEY_NAME = 'wse-client.presence';

const KEY_BYTES = 64;

/** A state that failed is asked for again after this long. */
const RETRY_STATE_MS = 5_000;

/** What is watched under one name. */
interface Watched {
  readonly hold: TopicHold;
  readonly roster: Roster;
  refs: number;
  /** When its state is asked for again; Infinity: not at all. */
  retryAt: number;
}

/** The driver behind `client.presence`. */
export class PresenceDriver implements Presence {
  readonly #roles: Roles;
  readonly #events: PresenceEvents;
  readonly #stays: Stays;
  /** By subscribed name. */
  readonly #watched = new Map<string, Watched>();
  /** What `state` gave last, by name: the same object as long as it says the same. */
  readonly #shown = new Map<string, PresenceState>();
  readonly #timer: Deadline;
  /** What tells this client from others where it is anonymous ([P-61]). */
  #key: string | undefined;
  #maxBytes = 0;
  #isAnonymous = false;
  /** Another token was set, and the server has not said whose it is. */
  #isHidden = false;
  #pollPlanned = false;

  constructor(lingerMs: number, roles: Roles, events: PresenceEvents) {
    this.#roles = roles;
    this.#events = events;
    this.#stays = new Stays(lingerMs);
    this.#timer = new Deadline(roles.clock, () => this.#handleTimer());
  }

  enter(topic: string, data: unknown = null): void {
    this.#set(topic, this, data);
  }

  update(topic: string, data: unknown): void {
    this.#set(topic, this, data);
  }

  leave(topic: string): void {
    this.#remove(topic, this, false);
  }

  hold(topic: string): PresenceHold {
    const holder = {};
    return {
      set: (data) => this.#set(topic, holder, data),
      leave: ({ lingers = false } = {}) => this.#remove(topic, holder, lingers),
    };
  }

  watch(topic: string, { countOnly = false }: WatchOptions = {}): () => void {
    const name = presenceName(topic, countOnly);
    const watched = this.#watched.get(name) ?? { hold: this.#events.hold(), roster: new Roster(), refs: 0, retryAt: Infinity };
    this.#watched.set(name, watched);
    watched.refs += 1;
    if (watched.refs === 1) watched.hold.add([name]);
    // From here on every change is told, whether somebody has looked before or not.
    this.#look(name, topic);
    let isOver = false;
    return () => {
      if (isOver) return;
      isOver = true;
      watched.refs -= 1;
      // The subscription lingers, and its roster with it.
      if (watched.refs === 0) watched.hold.release();
    };
  }

  state<T = unknown>(topic: string, { countOnly = false }: WatchOptions = {}): PresenceState<T> {
    return this.#look(presenceName(topic, countOnly), topic) as PresenceState<T>;
  }

  /** Another token: what the user saw is hidden, and forgotten where there is no user any more. */
  handleToken(isGone: boolean): void {
    this.#isHidden = true;
    if (isGone) this.#forget();
    this.#review();
  }

  /** `server_ready` came: this connection knows of nothing that was entered. */
  handleReady(user: string | null, isSameUser: boolean, isMove: boolean, maxBytes: number): void {
    this.#isAnonymous = user === null;
    this.#maxBytes = maxBytes;
    this.#isHidden = false;
    if (!isSameUser) this.#forget();
    this.#stays.handleReady(isMove && isSameUser);
    this.#poll();
  }

  /** The connection is gone. */
  handleClose(): void {
    this.#stays.handleClose();
    this.#review();
  }

  /** A subscription changed: what nobody holds any more is forgotten, what stands otherwise is told. */
  handleSubscriptions(): void {
    for (const [name, { refs }] of this.#watched) if (refs === 0 && this.#events.subscription(name) === undefined) this.#watched.delete(name);
    this.#review();
  }

  /** Takes what is said of presence; false where the message is of anything else. */
  handleItem(item: StreamItem): boolean {
    const topic = item.topic === undefined ? undefined : presenceTopic(item.topic);
    if (topic === undefined) return false;
    const roster = this.#watched.get(item.topic ?? '')?.roster;
    if (roster === undefined || item.kind === 'skip') return true;
    if (item.category === 'S') roster.handleState(item.payload);
    else if (!roster.handleChange(item.payload, item.position)) return true;
    this.#events.onChange(topic);
    return true;
  }

  /** Changes were lost; false where it was of anything else. */
  handleResync({ topic: name, snapshot }: ResyncNotice): boolean {
    if (presenceTopic(name) === undefined) return false;
    this.#watched.get(name)?.roster.handleLoss();
    if (snapshot !== true) this.#events.onStateWanted(name);
    return true;
  }

  /** A state that was on its way will not come: it is asked for again in a while. */
  handleStateFailure(name: string): void {
    const watched = this.#watched.get(name);
    if (watched === undefined) return;
    watched.retryAt = this.#roles.clock.now() + RETRY_STATE_MS;
    this.#arm();
  }

  /** A reply came to a request that is no other's. */
  handleReply(cid: string, payload: unknown): void {
    if (this.#stays.handleReply(cid, readText(asRecord(payload)['id']) ?? null)) this.#poll();
  }

  /** An error came for the request `cid`, or for none. */
  handleError(cid: string | undefined, error: WSEError): void {
    if (this.#stays.handleError(cid, error, this.#roles.clock.now(), this.#roles.environment.random())) this.#poll();
  }

  #forget(): void {
    for (const { roster } of this.#watched.values()) roster.clear();
  }

  /** Tells what stands otherwise than it was shown: right after what may have changed it, before anybody looks. */
  #review(): void {
    const changed = [...this.#shown].flatMap(([name, before]) => {
      const topic = presenceTopic(name) ?? '';
      return this.#look(name, topic) === before ? [] : [topic];
    });
    for (const topic of changed) this.#events.onChange(topic);
  }

  /** How it stands; the same object as long as it does. */
  #look(name: string, topic: string): PresenceState {
    const watched = this.#watched.get(name);
    const stay = this.#stays.state(topic);
    const before = this.#shown.get(name);
    if (watched === undefined && stay === undefined) {
      this.#shown.delete(name);
      return NO_PRESENCE;
    }
    const next = this.#stateOf(name, watched, stay);
    if (before !== undefined && (Object.keys(next) as (keyof PresenceState)[]).every((key) => Object.is(before[key], next[key]))) return before;
    this.#shown.set(name, next);
    return next;
  }

  #stateOf(name: string, watched: Watched | undefined, stay: StayState | undefined): PresenceState {
    const subscription = watched === undefined ? undefined : this.#events.subscription(name);
    const error = subscription?.error ?? stay?.error ?? null;
    const isRefused = subscription?.status === 'refused' || (stay?.entered === false && stay.error !== null);
    const isWatching = watched === undefined || (watched.roster.isKnown && subscription !== undefined && subscription.status !== 'pending');
    const isIn = stay === undefined || stay.entered;
    const status: PresenceStatus = isRefused ? 'refused' : isWatching && isIn ? 'live' : 'pending';
    if (this.#isHidden) return { ...NO_PRESENCE, status, error };
    const { members, count } = watched?.roster ?? NO_PRESENCE;
    return { members, count, status, error, id: stay?.id ?? null };
  }

  #set(topic: string, holder: Holder, data: unknown): void {
    this.#stays.set(topic, holder, presenceText(data));
    this.#planPoll();
    this.state(topic);
  }

  #remove(topic: string, holder: Holder, lingers: boolean): void {
    this.#stays.remove(topic, holder, this.#roles.clock.now(), lingers);
    this.#planPoll();
  }

  #handleTimer(): void {
    const now = this.#roles.clock.now();
    for (const [name, watched] of this.#watched) {
      if (watched.retryAt > now) continue;
      watched.retryAt = Infinity;
      this.#events.onStateWanted(name);
    }
    this.#stays.handleTimeout(now);
    this.#poll();
  }

  /** Changes made in one turn go out as one. */
  #planPoll(): void {
    this.#review();
    if (this.#pollPlanned) return;
    this.#pollPlanned = true;
    void this.#recallKey().then(() => {
      this.#pollPlanned = false;
      this.#poll();
    });
  }

  #poll(): void {
    this.#review();
    // Without the key it cannot be said who enters; once it is there, what was planned goes out.
    if (this.#key !== undefined) for (const request of this.#stays.poll(() => this.#roles.environment.uuid())) this.#send(request);
    this.#arm();
  }

  #send(request: PresenceRequest): void {
    const key = this.#isAnonymous && request.action !== 'leave' ? this.#key : undefined;
    const text = encodePresence(request, key);
    try {
      checkReadable(text);
      if (!fitsBytes(text, this.#maxBytes)) throw tooLarge(this.#maxBytes);
      this.#events.onSend(text);
    } catch (error) {
      this.handleError(request.cid, error as WSEError);
    }
  }

  #arm(): void {
    const due = Math.min(this.#stays.pollTimeout(), ...[...this.#watched.values()].map(({ retryAt }) => retryAt));
    this.#timer.arm(due === Infinity ? null : due);
  }

  async #recallKey(): Promise<void> {
    if (this.#key !== undefined) return;
    const kept = await this.#roles.storage.read(KEY_NAME);
    // Planned again meanwhile, which was first.
    this.#key ??= kept !== null && fitsBytes(kept, KEY_BYTES) ? kept : this.#roles.environment.uuid();
    if (kept !== this.#key) await this.#roles.storage.write(KEY_NAME, this.#key);
  }
}

/** A member's data as JSON, equal for what is equal by value; throws `INVALID_PAYLOAD` for what has none. */
export function presenceText(data: unknown): string {
  try {
    const text: unknown = JSON.stringify(data ?? null, sortKeys);
    if (typeof text === 'string') return text;
  } catch (cause) {
    throw WSEError.client('INVALID_PAYLOAD', '', cause);
  }
  throw WSEError.client('INVALID_PAYLOAD');
}
