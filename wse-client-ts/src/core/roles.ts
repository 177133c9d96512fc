// The roles that come into a client from outside.
import type { Clock } from './clock';
import type { Environment } from './environment';
import type { OutboxStore } from './outbox-store';
import type { Storage } from './storage';
import type { Transport } from './transport';

/** Everything that a client knows of the world. */
export interface Roles {
  readonly transport: Transport;
  readonly clock: Clock;
  readonly storage: Storage;
  readonly outbox: OutboxStore;
  readonly environment: Environment;
}
