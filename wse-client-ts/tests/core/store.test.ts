// The store: immutable snapshots, at most one commit per frame, events never through it.
import { expect, it } from 'vitest';
import { storeOf } from '../../src/core';
import { createTestClient, FRAME_MS } from '../../src/testing';

it('commits a burst once per frame, while listeners get every event', async () => {
  const { client, server, clock } = createTestClient({ topics: ['a', 'b'] });
  const store = storeOf(client);
  client.connect();
  await clock.advance(FRAME_MS);
  let commits = 0;
  let events = 0;
  store.subscribe(() => (commits += 1));
  client.on('a', () => (events += 1));
  const before = store.getState();
  for (let n = 0; n < 100; n += 1) server.publish('a', n);
  expect(store.getState()).toBe(before);
  await clock.advance(FRAME_MS);
  expect({ commits, events }).toEqual({ commits: 1, events: 100 });
  const after = store.getState();
  expect(after.topics['a']).toEqual({ status: 'live', error: null, reason: null, recovered: 0, data: 99, topic: 'a' });
  expect(after.topics['b']).toBe(before.topics['b']);
  expect(after.connection).toBe(before.connection);
  expect(before.topics['a']?.data).toBeUndefined();
});

it('shows the connection and lets go of topics that nobody holds', async () => {
  const { client, server, clock } = createTestClient({ topics: ['a'] });
  const store = storeOf(client);
  client.connect();
  await clock.advance(FRAME_MS);
  expect(store.getState().connection).toMatchObject({ isConnected: true, status: 'ready' });
  server.publish('a', 1);
  client.unsubscribe('a');
  await clock.advance(2_000);
  expect(Object.keys(store.getState().topics)).toEqual([]);
  client.subscribe('a');
  await clock.advance(FRAME_MS);
  expect(store.getState().topics['a']?.data).toBeUndefined();
});

it("forgets one user's data when another comes", async () => {
  const { client, server, clock } = createTestClient({ topics: ['a'], token: 'one' });
  const store = storeOf(client);
  server.user = 'one';
  client.connect();
  await clock.advance(FRAME_MS);
  server.publish('a', 'secret of one');
  await clock.advance(FRAME_MS);
  server.user = 'two';
  client.setToken('two');
  await clock.advance(1_000);
  expect(store.getState().connection.user).toBe('two');
  expect(store.getState().topics['a']?.data).toBeUndefined();
});
