// Presence as an application sees it: who is in a topic, and this client in it ([P-60] to [P-64]).
import type { WSEError } from './errors';
import type { Member } from './roster';

/** `pending` not answered yet, or the connection is away; `live` what is wanted holds; `refused` see `error`. */
export type PresenceStatus = 'pending' | 'live' | 'refused';

/** What is known of who is in a topic; the same object until something changes. */
export interface PresenceState<T = unknown> {
  /** Everybody in the topic, this client included; the last that was known while the connection is away. Empty with `countOnly`. */
  readonly members: readonly Member<T>[];
  readonly count: number;
  readonly status: PresenceStatus;
  /** Why it is refused, or why the members or this client's newest data are not there; null otherwise. */
  readonly error: WSEError | null;
  /** This client's own member id in the topic; null where it is not in it. */
  readonly id: string | null;
}

/** What of a topic's presence is wanted. */
export interface WatchOptions {
  /** Only how many are there: one small message now and then, however many come and go. @default false */
  readonly countOnly?: boolean | undefined;
}

/** One holder's stay in one topic; several of a client are one member, which shows the data set last. */
export interface PresenceHold {
  /** Enters with this data, or changes it; equal data sends nothing. */
  set(data: unknown): void;
  /** Leaves, unless another holder stays. `lingers`: after `lingerMs`, so that who comes back at once was never away. */
  leave(options?: { readonly lingers?: boolean }): void;
}

/** What `client.presence` does. Whoever enters stays until it leaves, across connections. */
export interface Presence {
  /** Enters a topic, for this client as a whole. */
  enter(topic: string, data?: unknown): void;
  /** Changes the data; the same as `enter` for a topic that it is not in. */
  update(topic: string, data: unknown): void;
  /** Takes `enter` back. */
  leave(topic: string): void;
  /** A separate holder, such as one component. */
  hold(topic: string): PresenceHold;
  /** Watches who is in a topic; returns what ends it. The notice `presence` tells changes, `state` has them. */
  watch(topic: string, options?: WatchOptions): () => void;
  /** What is known now of a topic that is watched or entered. */
  state<T = unknown>(topic: string, options?: WatchOptions): PresenceState<T>;
}

/** Nothing known, also what a server-side render shows. */
export const NO_PRESENCE: PresenceState<never> = { members: [], count: 0, status: 'pending', error: null, id: null };
