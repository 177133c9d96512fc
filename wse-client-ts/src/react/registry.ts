// The clients that mounted components share: found by value, counted, and closed a moment after the last one left.
import { createClient, type CreateClientOptions } from '../browser/create-client';
import type { WSEClient } from '../core/client';
import type { Cancel } from '../core/clock';
import { LINGER_MS, type Token } from '../core/options';
import type { Roles } from '../core/roles';
import { storeOf, type WSEStore } from '../store/store';

/** A client and its store. */
export interface Shared {
  readonly client: WSEClient;
  readonly store: WSEStore;
}

interface Entry extends Shared {
  readonly key: string;
  tokenKey: string;
  refs: number;
  /** Order of opening; the highest is the default client of `useTopic` and `useWSEEvent`. */
  opened: number;
  cancelLinger: Cancel | null;
  /** Options of the latest render; functions are read through it, so that inline ones never go stale. */
  options: CreateClientOptions;
}

/** A component's share of a client. */
export interface Lease extends Shared {
  release(): void;
}

/** Keeps the clients of one page. */
export class Registry {
  readonly #entries = new Set<Entry>();
  readonly #listeners = new Set<() => void>();
  #opened = 0;
  #roles: Partial<Roles> = {};

  /** Replaces roles of clients made from now on; for tests. */
  setRoles(roles: Partial<Roles>): void {
    this.#roles = roles;
  }

  /** The client for these options, if it is open. */
  find(options: CreateClientOptions): Shared | undefined {
    return this.#entry(configKey(options), tokenKey(options));
  }

  /** The client opened last by a mounted component. */
  get current(): Shared | undefined {
    let last: Entry | undefined;
    for (const entry of this.#entries) if (entry.refs > 0 && entry.opened > (last?.opened ?? 0)) last = entry;
    return last;
  }

  /** Hears that clients came or went; returns what ends it. */
  subscribe(listener: () => void): () => void {
    this.#listeners.add(listener);
    return () => this.#listeners.delete(listener);
  }

  /** Functions of the latest render take the place of the earlier ones. */
  refresh(options: CreateClientOptions): void {
    const entry = this.#entry(configKey(options), tokenKey(options));
    if (entry !== undefined) entry.options = options;
  }

  /** Takes a share of the client for these options; makes and opens it if need be. */
  acquire(options: CreateClientOptions): Lease {
    const key = configKey(options);
    const token = tokenKey(options);
    const entry = this.#entry(key, token) ?? this.#adopt(key, token, options) ?? this.#create(key, token, options);
    entry.cancelLinger?.();
    entry.cancelLinger = null;
    entry.refs += 1;
    if (entry.refs === 1) {
      entry.opened = ++this.#opened;
      // Only the first one opens: a client that was refused for good is not to be tried again by every mount.
      entry.client.connect();
    }
    this.#notify();
    let released = false;
    const release = (): void => {
      if (released) return;
      released = true;
      this.#release(entry);
    };
    return { client: entry.client, store: entry.store, release };
  }

  #entry(key: string, token: string): Entry | undefined {
    for (const entry of this.#entries) if (entry.key === key && entry.tokenKey === token) return entry;
    return undefined;
  }

  /** Another token for a client that its components have just let go of: the client stays, with its topics' positions. */
  #adopt(key: string, token: string, options: CreateClientOptions): Entry | undefined {
    for (const entry of this.#entries) {
      if (entry.key !== key || entry.refs > 0) continue;
      entry.tokenKey = token;
      entry.options = options;
      entry.client.setToken(readToken(entry));
      return entry;
    }
    return undefined;
  }

  #create(key: string, token: string, options: CreateClientOptions): Entry {
    const client = createClient(throughLatest(options, () => entry.options), this.#roles);
    const entry: Entry = { client, store: storeOf(client), key, tokenKey: token, refs: 0, opened: 0, cancelLinger: null, options };
    this.#entries.add(entry);
    return entry;
  }

  #release(entry: Entry): void {
    entry.refs -= 1;
    if (entry.refs > 0) return;
    entry.cancelLinger = entry.client.clock.setTimer(() => {
      this.#entries.delete(entry);
      entry.client.close();
    }, entry.options.lingerMs ?? LINGER_MS);
    this.#notify();
  }

  #notify(): void {
    for (const listener of [...this.#listeners]) listener();
  }
}

const KEY: unique symbol = Symbol.for('wse-client.registry');

/** The page's registry; keyed on globalThis, so that a hot reload of this module finds it again. */
export function registry(): Registry {
  const holder = globalThis as typeof globalThis & { [KEY]: Registry | undefined };
  return (holder[KEY] ??= new Registry());
}

/** Options by value, the token apart; all functions count as equal, because inline ones are new at every render. */
export function configKey(options: CreateClientOptions): string {
  const { token: _token, topics: _topics, ...rest } = options;
  const sorted = Object.entries(rest).filter(([, value]) => value !== undefined).sort(([a], [b]) => (a < b ? -1 : 1));
  return JSON.stringify(sorted, (_key, value: unknown) => (typeof value === 'function' ? 'function' : value));
}

/** The token by value: absent, waiting, a function, or the string itself. */
export function tokenKey(options: CreateClientOptions): string {
  if (!('token' in options)) return 'anonymous';
  const { token } = options;
  if (token === null || token === undefined) return 'waiting';
  return typeof token === 'function' ? 'function' : `token:${token}`;
}

/** Options whose functions are looked up when they are called. */
function throughLatest(options: CreateClientOptions, latest: () => CreateClientOptions): CreateClientOptions {
  const { topics: _topics, ...rest } = options;
  const list = (from: CreateClientOptions): readonly unknown[] => (Array.isArray(from.endpoints) ? from.endpoints : [from.endpoints]);
  const endpoints = list(options)
    .filter((endpoint) => endpoint !== undefined)
    .map((endpoint, index) => {
      if (typeof endpoint !== 'function') return endpoint as string;
      return (): string | Promise<string> => (list(latest())[index] as () => string | Promise<string>)();
    });
  const onError: CreateClientOptions['onError'] = (error) => latest().onError?.(error);
  const token = typeof options.token === 'function' ? { token: latestToken(latest) } : {};
  return { ...rest, ...token, endpoints, onError };
}

function latestToken(latest: () => CreateClientOptions): Token {
  return () => {
    const { token = null } = latest();
    return typeof token === 'function' ? token() : token;
  };
}

function readToken(entry: Entry): Token | undefined {
  if (!('token' in entry.options)) return undefined;
  const { token = null } = entry.options;
  return typeof token === 'function' ? latestToken(() => entry.options) : token;
}
