// The hook that opens a client for a component: a thin view of the registry and the store.
import { useCallback, useEffect, useLayoutEffect, useMemo, useRef, useSyncExternalStore } from 'react';
import type { CreateClientOptions } from '../browser/create-client';
import type { WSEClient } from '../core/client';
import { WSEError } from '../core/errors';
import type { ConnectionHealth } from '../core/health';
import type { HoldOptions, TopicHold } from '../core/hold';
import type { ConnectionStatus } from '../core/machine';
import type { Token } from '../core/options';
import type { SendOptions } from '../core/sender';
import { EMPTY_SNAPSHOT, subscribeRegistry } from './context';
import { configKey, registry, tokenKey, type Lease } from './registry';

/** Options of `useWSE`; compared by value at every render. */
export type UseWSEOptions = CreateClientOptions;

/** What `useWSE` returns; the functions keep their identity. */
export interface UseWSEResult {
  /** Whether the server has said that it is ready. */
  readonly isConnected: boolean;
  readonly connectionHealth: ConnectionHealth;
  readonly status: ConnectionStatus;
  /** What keeps the client from being connected; null while it is. */
  readonly error: WSEError | null;
  /** The last error reported, whatever came after it. */
  readonly lastError: WSEError | null;
  /** Sends to the server's handler for `type`; resolves with its reply, rejects with a WSEError. */
  readonly sendMessage: <Reply = unknown>(type: string, payload?: unknown, options?: SendOptions) => Promise<Reply>;
  /** Subscribes more topics until `unsubscribe` or unmount. */
  readonly subscribe: (topics: string | readonly string[], options?: HoldOptions) => void;
  /** Takes `subscribe` back; the `topics` of the options stay. */
  readonly unsubscribe: (topics: string | readonly string[]) => void;
  /** The client itself; null until mounted. */
  readonly client: WSEClient | null;
}

/** What a component holds while it is mounted. */
interface Share {
  readonly lease: Lease;
  readonly declared: TopicHold;
  readonly manual: TopicHold;
}

// Layout effects run before any child's passive effect, so a child finds the client; on a server neither runs, and React 18 warns.
const useClientLayoutEffect = typeof document === 'undefined' ? useEffect : useLayoutEffect;

/** Opens a client for as long as the component is mounted; components with equal options share one socket. */
export function useWSE(options?: UseWSEOptions): UseWSEResult;
export function useWSE(token: Token | undefined, topics?: readonly string[], config?: Omit<UseWSEOptions, 'token' | 'topics'>): UseWSEResult;
export function useWSE(
  first?: UseWSEOptions | Token,
  topics?: readonly string[],
  config?: Omit<UseWSEOptions, 'token' | 'topics'>,
): UseWSEResult {
  const positional = arguments.length > 0 && (typeof first !== 'object' || first === null);
  const options: UseWSEOptions = positional ? { ...config, token: (first) ?? null, topics } : ((first as UseWSEOptions | undefined) ?? {});
  const key = `${configKey(options)} ${tokenKey(options)}`;
  const share = useShare(options, key);
  const getSnapshot = (): typeof EMPTY_SNAPSHOT.connection => (registry().find(options)?.store.getState() ?? EMPTY_SNAPSHOT).connection;
  const subscribeStore = useCallback((listener: () => void) => share.current?.lease.store.subscribe(listener) ?? noop, [key, share]);
  const state = useSyncExternalStore(subscribeStore, getSnapshot, () => EMPTY_SNAPSHOT.connection);
  const client = useSyncExternalStore(subscribeRegistry, () => registry().find(options)?.client ?? null, () => null);
  const actions = useActions(share);
  const { isConnected, connectionHealth, status, error, lastError } = state;
  return { isConnected, connectionHealth, status, error, lastError, ...actions, client };
}

/** Holds a share of the client named by `key`, and the declared topics in it. */
function useShare(options: UseWSEOptions, key: string): { readonly current: Share | null } {
  const share = useRef<Share | null>(null);
  const topics = [...(options.topics ?? [])];
  useClientLayoutEffect(() => {
    registry().refresh(options);
  });
  useClientLayoutEffect(() => {
    const lease = registry().acquire(options);
    const own: Share = { lease, declared: lease.client.hold(), manual: lease.client.hold() };
    share.current = own;
    return () => {
      share.current = null;
      own.declared.release();
      own.manual.release();
      lease.release();
    };
  }, [key]);
  useClientLayoutEffect(() => {
    share.current?.declared.set(topics);
  }, [key, JSON.stringify(topics)]);
  return share;
}

function useActions(share: { readonly current: Share | null }): Pick<UseWSEResult, 'sendMessage' | 'subscribe' | 'unsubscribe'> {
  return useMemo(
    () => ({
      sendMessage: <Reply>(type: string, payload?: unknown, options?: SendOptions) =>
        share.current?.lease.client.sendMessage<Reply>(type, payload, options) ?? Promise.reject(WSEError.client('CLOSED')),
      subscribe: (topics: string | readonly string[], options?: HoldOptions) => share.current?.manual.add(asList(topics), options),
      unsubscribe: (topics: string | readonly string[]) => share.current?.manual.remove(asList(topics)),
    }),
    [share],
  );
}

function asList(topics: string | readonly string[]): readonly string[] {
  return typeof topics === 'string' ? [topics] : topics;
}

function noop(): void {
  // Nothing was subscribed, so there is nothing to end.
}
