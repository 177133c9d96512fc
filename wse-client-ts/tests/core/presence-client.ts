// A connected client in the presence of a topic `room`, for tests of it.
import type { WSEError } from '../../src/core';
import { createTestClient } from '../../src/testing';

/** What a client said about its presence on the connection opened last. */
export const said = ({ server }: Pick<ReturnType<typeof createTestClient>, 'server'>): unknown[] => server.last.of('presence').map(({ p }) => p);

export async function connected(options: Parameters<typeof createTestClient>[0] = {}, user: string | null = 'ada') {
  const fakes = createTestClient(options);
  fakes.server.user = user;
  const errors: WSEError[] = [];
  fakes.client.onNotice('error', (error) => errors.push(error));
  fakes.client.connect();
  await fakes.clock.advance(0);
  return { ...fakes, errors, room: fakes.server.presence('room'), state: (countOnly = false) => fakes.client.presence.state('room', { countOnly }) };
}

export const ids = ({ members }: { readonly members: readonly { readonly id: string }[] }): string[] => members.map(({ id }) => id);
