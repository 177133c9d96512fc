// What the outbox's tests stand on: clients that share fakes, and what was told and handled.
import { createClient, type MemoryOutbox, type OutboxStore, type WSEClient, type WSEError } from '../../src/core';
import type { Fakes } from '../../src/testing';

/** `answered`, or the code of the error. */
export const codeOf = (promise: Promise<unknown>): Promise<string> => promise.then(() => 'answered', (error: unknown) => (error as WSEError).code);
/** Nobody waits for it. */
export const quiet = (promise: Promise<unknown>): void => void promise.catch(() => undefined);
/** What the outbox tells of each message, in order. */
export const told = (client: WSEClient): string[] => {
  const log: string[] = [];
  client.outbox.onChange((message) => {
    if (message !== null) log.push(`${message.payload as string} ${message.status}${message.isEarlier ? ' earlier' : ''}${message.error === null ? '' : ` ${message.error.code}`}`);
  });
  return log;
};
/** What the outbox holds. */
export const payloads = (client: WSEClient): unknown[] => client.outbox.messages.map(({ payload, status }) => `${payload as string} ${status}`);

/** A client that is connected, or (with `mode`) tries to be. */
export async function open(fakes: Fakes, options: Parameters<typeof createClient>[0] = {}): Promise<WSEClient> {
  const client = createClient({ windowEvents: false, ...options }, fakes.roles);
  client.connect();
  await fakes.clock.advance(0);
  return client;
}

/** A client that does not come to be connected, and holds these messages. */
export async function waiting(fakes: Fakes, ...messages: readonly string[]): Promise<WSEClient> {
  fakes.server.mode = 'hang';
  const client = await open(fakes);
  for (const message of messages) quiet(client.sendMessage('n', message));
  await fakes.clock.advance(0);
  return client;
}

/** A server whose handler notes what it handles, and does not answer while `silent`. */
export function handling({ server }: Fakes): { handled: unknown[]; silent: boolean } {
  const state = { handled: [] as unknown[], silent: false };
  server.on('n', (payload) => {
    state.handled.push(payload);
    return state.silent ? undefined : `did ${payload as string}`;
  });
  return state;
}

/** A store that keeps its rows in another one, and has its own way for a part. */
export function storeOver(inner: MemoryOutbox, part: Partial<OutboxStore>): OutboxStore {
  return { isDurable: true, open: () => inner.open(), producers: (scope) => inner.producers(scope), rows: (...key) => inner.rows(...key), write: (...step) => inner.write(...step), claim: (id) => inner.claim(id), ...part };
}
