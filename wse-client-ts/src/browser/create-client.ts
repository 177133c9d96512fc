// Makes a client for the page; the only place that knows every role.
import { MemoryOutbox } from '../core/memory-outbox';
import { WSEClient } from '../core/client';
import type { ClientOptions } from '../core/options';
import type { Roles } from '../core/roles';
import { systemClock } from './clock';
import { pageEnvironment } from './environment';
import { IndexedOutbox } from './indexed-outbox';
import { sessionStore } from './storage';
import { webSocketTransport } from './transport';
import { bridgeToWindow } from './window-events';

/** Options of a client in a page. */
export interface CreateClientOptions extends ClientOptions {
  /** Whether events are dispatched on `window` too. @default true */
  readonly windowEvents?: boolean | undefined;
}

/** Makes a client; nothing happens before its `connect()`. `roles` replace the browser's own. */
export function createClient(options: CreateClientOptions = {}, roles: Partial<Roles> = {}): WSEClient {
  const client = new WSEClient(options, {
    transport: roles.transport ?? webSocketTransport(),
    clock: roles.clock ?? systemClock,
    storage: roles.storage ?? sessionStore,
    environment: roles.environment ?? pageEnvironment,
    // Only a page is told where its storage is missing: nobody expects one of Node.
    outbox: roles.outbox ?? (typeof window === 'undefined' && typeof indexedDB === 'undefined' ? new MemoryOutbox() : new IndexedOutbox()),
  });
  if (options.windowEvents !== false && typeof window !== 'undefined') bridgeToWindow(client, window);
  return client;
}
