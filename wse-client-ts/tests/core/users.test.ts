// One user's data and the next user: what is shown between a change of the token and the server's word of who it is.
import { describe, expect, it } from 'vitest';
import { Reduction } from '../../src/store/reduction';
import { storeOf, type TopicMessage, type WSEClient } from '../../src/core';
import { createTestClient, FRAME_MS } from '../../src/testing';
import { codeOf, quiet } from './outbox-cases';

const NOTHING = { data: undefined, reduced: undefined, members: [], count: 0, id: null, outbox: [], counts: { queued: 0, sent: 0, failed: 0 }, user: null };
const STATE = ['state'];

/** Alice is connected, and sees data of a topic, who is in another one, and two messages of hers: one has failed, one waits. */
async function alice() {
  const fakes = createTestClient({ topics: ['a', 'plain'], token: 'alice' });
  const { client, server, clock } = fakes;
  storeOf(client);
  server.user = 'alice';
  server.log('a').state = () => STATE;
  const list = (before: unknown, { category, payload }: TopicMessage): unknown => (category === 'S' ? payload : [...((before as unknown[] | undefined) ?? []), payload]);
  const reduction = new Reduction(client, 'a', list);
  reduction.subscribe(() => undefined);
  const heard: unknown[] = [];
  client.on('a', (payload) => heard.push(payload));
  const told: unknown[] = [];
  client.outbox.onChange((message) => message !== null && told.push(message.payload));
  const users: unknown[] = [];
  client.onNotice('user', (user) => users.push(user));
  client.presence.watch('room');
  client.connect();
  client.presence.enter('room', 'mine');
  await clock.advance(FRAME_MS);
  server.presence('room').enter('carol', 'hers');
  server.publish('a', 'secret');
  server.publish('plain', 'secret');
  quiet(client.sendMessage('nobody', 'failed of alice'));
  server.on('slow', () => undefined);
  const outcome = codeOf(client.sendMessage('slow', 'sent by alice'));
  await clock.advance(FRAME_MS);
  const all = shown(client, reduction);
  expect(all).toMatchObject({ data: 'secret', reduced: ['state', 'secret'], count: 2, id: 'user-alice', user: 'alice', counts: { queued: 0, sent: 1, failed: 1 } });
  expect(all.outbox).toEqual(['failed of alice', 'sent by alice']);
  return { ...fakes, reduction, heard, told, users, outcome, all };
}

function shown(client: WSEClient, reduction: Reduction<unknown>) {
  const { topics, outbox, connection } = storeOf(client).getState();
  const { members, count, id } = client.presence.state('room');
  const { messages, counts } = client.outbox;
  expect(outbox.messages).toEqual(messages);
  const payloads = messages.map(({ payload }) => payload);
  return { data: topics['plain']?.data, reduced: reduction.read().state, members, count, id, outbox: payloads, counts, user: connection.user };
}

describe('another token', () => {
  it('hides at once what the user before saw, for as long as the server cannot say who it is', async () => {
    const { client, server, clock, reduction, told, users } = await alice();
    const [failed, sent] = client.outbox.messages;
    server.mode = 'hang';
    told.length = 0;
    client.setToken('bob');
    expect(shown(client, reduction)).toEqual(NOTHING);
    await clock.advance(25 * 3_600_000);
    expect(shown(client, reduction)).toEqual(NOTHING);
    // Nothing can be done with what cannot be seen, nor is it told what becomes of it.
    expect([client.outbox.cancel(failed?.id ?? ''), client.outbox.cancel(sent?.id ?? ''), await codeOf(client.outbox.retry(failed?.id ?? ''))]).toEqual([false, false, 'NOT_FAILED']);
    expect([told, users]).toEqual([[], []]);
    quiet(client.sendMessage('slow', 'of bob'));
    expect(client.outbox.messages.map(({ payload }) => payload)).toEqual(['of bob']);
  });

  it('shows it again where the user is the same, who has missed nothing', async () => {
    const { client, server, clock, reduction, heard, users, all } = await alice();
    server.mode = 'hang';
    client.setToken('alice, refreshed');
    await clock.advance(0);
    server.publish('a', 'missed');
    server.mode = 'accept';
    const asked = server.last.of('snapshot_request').length;
    await clock.advance(30_000);
    expect(shown(client, reduction)).toEqual({ ...all, reduced: ['state', 'secret', 'missed'] });
    expect([heard, users, server.last.of('snapshot_request').length]).toEqual([['secret', 'missed'], [], asked]);
  });

  it('forgets it where the user is another one', async () => {
    const { client, server, clock, reduction, users, outcome } = await alice();
    server.user = 'bob';
    server.presence('room').leave('carol');
    client.setToken('bob');
    await clock.advance(FRAME_MS);
    const bob = { id: 'user-bob', user: 'bob', data: 'mine' };
    expect(shown(client, reduction)).toMatchObject({ data: undefined, reduced: ['state'], id: 'user-bob', outbox: [], user: 'bob' });
    expect(client.presence.state('room').members).toContainEqual(bob);
    expect([users, await outcome]).toEqual([['bob'], 'USER_CHANGED']);
  });

  it('that a function gives hides nothing: the server says whose it is, and mostly it is the same user', async () => {
    const { client, server, clock } = createTestClient({ topics: ['a'], token: async () => 'of alice, and younger each time' });
    const store = storeOf(client);
    const data: unknown[] = [];
    store.subscribe(({ topics }) => data.push(topics['a']?.data));
    client.connect();
    await clock.advance(FRAME_MS);
    server.publish('a', 1);
    await clock.advance(FRAME_MS);
    server.drop();
    await clock.advance(5_000);
    expect(client.state.isConnected).toBe(true);
    expect(new Set(data.slice(data.indexOf(1)))).toEqual(new Set([1]));
  });
});

describe('a token that becomes null', () => {
  it('has all forgotten at once, and the next user begin anew', async () => {
    const { client, server, clock, reduction, users } = await alice();
    client.setToken(null);
    expect([shown(client, reduction), users]).toEqual([NOTHING, [null]]);
    server.user = 'bob';
    client.setToken('bob');
    expect(shown(client, reduction)).toEqual(NOTHING);
    await clock.advance(FRAME_MS);
    expect(shown(client, reduction)).toMatchObject({ data: undefined, reduced: ['state'], outbox: [], user: 'bob' });
    expect(users).toEqual([null, 'bob']);
  });

  it('and the same user who signs in again gets the states once more, what was missed, and the messages that wait', async () => {
    const { client, server, clock, reduction, heard, users, all } = await alice();
    client.setToken(null);
    await clock.advance(1_000);
    server.publish('a', 'missed');
    client.setToken('alice');
    await clock.advance(FRAME_MS);
    const again = shown(client, reduction);
    expect(again).toMatchObject({ data: undefined, outbox: all.outbox, counts: all.counts, count: 2, user: 'alice' });
    expect(again.reduced).toEqual(STATE);
    expect([heard, users]).toEqual([['secret', 'missed'], [null, 'alice']]);
  });
});
