// Which client a hook uses: the one given, the provider's, or the one opened last.
import { createContext, useContext, useSyncExternalStore, type ReactNode } from 'react';
import type { WSEClient } from '../core/client';
import { INITIAL_STATE } from '../core/events';
import type { OutboxSnapshot, WSESnapshot } from '../store/store';
import { registry } from './registry';

const ClientContext = createContext<WSEClient | null>(null);

const EMPTY_OUTBOX: OutboxSnapshot = { messages: [], counts: { queued: 0, sent: 0, failed: 0 }, ofOthers: 0, isDurable: null };

/** What a view shows before there is a client, and in a server-side render. */
export const EMPTY_SNAPSHOT: WSESnapshot = { connection: INITIAL_STATE, outbox: EMPTY_OUTBOX, topics: {} };

/** Gives a client, made with `createClient`, to the hooks below it. The caller connects and closes it. */
export function WSEProvider({ client, children }: { readonly client: WSEClient; readonly children?: ReactNode }): ReactNode {
  return <ClientContext.Provider value={client}>{children}</ClientContext.Provider>;
}

/** `client` if given, else that of the nearest `WSEProvider`, else the one opened last by a mounted `useWSE`; null while there is none. */
export function useWSEClient(client?: WSEClient | null): WSEClient | null {
  const provided = useContext(ClientContext);
  const current = useSyncExternalStore(subscribeRegistry, currentClient, noClient);
  return client ?? provided ?? current;
}

/** Hears that clients came or went. */
export function subscribeRegistry(listener: () => void): () => void {
  return registry().subscribe(listener);
}

function currentClient(): WSEClient | null {
  return registry().current?.client ?? null;
}

function noClient(): null {
  return null;
}
