// What a component makes of a topic: its own state, from the snapshot and every message after it, shown once per animation frame.
import type { WSEClient } from '../core/client';
import type { Cancel } from '../core/clock';
import type { EventMeta } from '../core/events';

/** One message as a reducer gets it: a snapshot where `category` is `S`, which replaces what was known of its topic; else a message. */
export interface TopicMessage<T = unknown> extends EventMeta {
  readonly payload: T;
}

/** Makes the next state; the state is undefined before the first message. */
export type Reduce<State, T = unknown> = (state: State | undefined, message: TopicMessage<T>) => State;

/** What is shown. */
export interface Reduced<State> {
  readonly state: State | undefined;
  /** Topic of the last message in it; undefined before the first. */
  readonly topic: string | undefined;
}

const NONE: Reduced<never> = { state: undefined, topic: undefined };

/** Reduces one view while somebody listens. */
export class Reduction<State> {
  readonly #client: WSEClient;
  readonly #view: string;
  readonly #reduce: Reduce<State>;
  readonly #listeners = new Set<() => void>();
  #current: Reduced<State> = NONE;
  #shown: Reduced<State> = NONE;
  #planned: Cancel | null = null;
  #stop: (() => void) | null = null;

  /** `view` as `viewKey` names it. */
  constructor(client: WSEClient, view: string, reduce: Reduce<State>) {
    this.#client = client;
    this.#view = view;
    this.#reduce = reduce;
  }

  /** What is shown now. */
  readonly read = (): Reduced<State> => this.#shown;

  /** Listens from the first listener on; returns what ends it. */
  readonly subscribe = (listener: () => void): (() => void) => {
    this.#listeners.add(listener);
    this.#stop ??= this.#listen();
    return () => {
      this.#listeners.delete(listener);
      if (this.#listeners.size > 0) return;
      this.#stop?.();
      this.#stop = null;
    };
  };

  #listen(): () => void {
    const stops = [
      this.#client.on('*', (payload, meta) => this.#handle(payload, meta)),
      this.#client.onNotice('hidden', () => this.#show()),
      this.#client.onNotice('user', () => {
        this.#current = NONE;
        this.#show();
      }),
    ];
    return () => {
      for (const stop of stops) stop();
      this.#planned?.();
      this.#planned = null;
    };
  }

  #handle(payload: unknown, meta: EventMeta): void {
    const { topic, category } = meta;
    if (topic === undefined) return;
    if (category === 'S') {
      const states = this.#client.statesOf(topic, payload);
      if (states.has(this.#view)) this.#apply({ ...meta, payload: states.get(this.#view) });
    } else if (this.#client.viewsOf(topic, payload).includes(this.#view)) {
      this.#apply({ ...meta, payload });
    }
  }

  #apply(message: TopicMessage): void {
    this.#current = { state: this.#reduce(this.#current.state, message), topic: message.topic };
    this.#planned ??= this.#client.clock.frame(() => this.#show());
  }

  #show(): void {
    this.#planned?.();
    this.#planned = null;
    this.#shown = this.#client.isHidden ? NONE : this.#current;
    for (const listener of [...this.#listeners]) listener();
  }
}
