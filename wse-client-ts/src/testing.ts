// Entry `wse-client/testing`: a fake server, clock and environment for the tests of applications.
import { createClient, type CreateClientOptions } from './browser/create-client';
import type { WSEClient } from './core/client';
import { MemoryOutbox } from './core/memory-outbox';
import type { Roles } from './core/roles';
import { registry } from './react/registry';
import { FakeClock } from './testing/clock';
import { FakeEnvironment, MemoryStorage } from './testing/environment';
import { FakeServer } from './testing/server';

export { FakeClock, FRAME_MS, settle } from './testing/clock';
export { FakeEnvironment, MemoryStorage } from './testing/environment';
export { FakeConnection } from './testing/connection';
export { Namespace } from './testing/namespace';
export { FakePresence } from './testing/presence';
export { FakeServer, type FakeRefusal, type FakeServerMode } from './testing/server';
export { TopicLog } from './testing/topic-log';

/** The fakes that belong together. */
export interface Fakes {
  readonly server: FakeServer;
  readonly clock: FakeClock;
  readonly environment: FakeEnvironment;
  readonly storage: MemoryStorage;
  readonly outbox: MemoryOutbox;
  /** The same as the roles of a client. */
  readonly roles: Roles;
}

/** A fresh set of fakes. */
export function createFakes(): Fakes {
  const [server, clock, environment, storage, outbox] = [new FakeServer(), new FakeClock(), new FakeEnvironment(), new MemoryStorage(), new MemoryOutbox()];
  return { server, clock, environment, storage, outbox, roles: { transport: server.transport, clock, environment, storage, outbox } };
}

/** A client on fresh fakes; connect it yourself. */
export function createTestClient(options: CreateClientOptions = {}): Fakes & { readonly client: WSEClient } {
  const fakes = createFakes();
  return { ...fakes, client: createClient(options, fakes.roles) };
}

/** Lets `useWSE` make its clients on fresh fakes; `uninstall` gives the browser's own back. */
export function installFakes(): Fakes & { readonly uninstall: () => void } {
  const fakes = createFakes();
  registry().setRoles(fakes.roles);
  return { ...fakes, uninstall: () => registry().setRoles({}) };
}
