// Patterns: the topics they stand for, births, what is resumed, and a topic that is subscribed by itself too ([P-39]).
import { describe, expect, it } from 'vitest';
import type { CreateClientOptions } from '../../src/browser/create-client';
import { storeOf } from '../../src/core';
import { createTestClient, FRAME_MS } from '../../src/testing';

async function connected(topics: readonly string[], options: CreateClientOptions = {}, born: readonly string[] = ['orders:1', 'orders:2']) {
  const fakes = createTestClient({ topics, ...options });
  const seen: unknown[] = [];
  const resyncs: unknown[] = [];
  const errors: string[] = [];
  fakes.client.on('*', (payload, { topic, seq }) => seen.push([topic, seq, payload]));
  fakes.client.onNotice('resync', (notice) => resyncs.push(notice));
  fakes.client.onNotice('error', ({ code }) => errors.push(code));
  for (const topic of born) fakes.server.publish(topic, 'before');
  fakes.client.connect();
  await fakes.clock.advance(0);
  return { ...fakes, seen, resyncs, errors, asked: (): unknown[] => fakes.server.last.of('subscription').map(({ p }) => p) };
}

const at = (seq: number): object => ({ e: 'e1', seq });

describe('a pattern', () => {
  it('brings the messages of every topic in its namespace, and of no other', async () => {
    const { server, client, seen } = await connected(['orders:*']);
    server.publish('orders:1', 'a');
    server.publish('orders:2', 'b');
    server.publish('orders', 'c');
    server.publish('other:1', 'd');
    server.publish('orders:1', 'e');
    expect(seen).toEqual([['orders:1', 2, 'a'], ['orders:2', 2, 'b'], ['orders:1', 3, 'e']]);
    expect(client.topics.get('orders:*')).toEqual({ status: 'live', error: null, reason: null, recovered: 0 });
    expect([...client.topics.keys()]).toEqual(['orders:*']);
  });

  it('brings topics that are born later, from their first message', async () => {
    const { server, seen, asked, clock } = await connected(['orders:*'], {}, []);
    server.publish('orders:new', 1);
    server.publishAll('orders:new', [2, 3]);
    await clock.advance(5_000);
    expect(seen).toEqual([['orders:new', 1, 1], ['orders:new', 2, 2], ['orders:new', 3, 3]]);
    expect(asked()).toEqual([]);
  });

  it('shows the latest payload of any of its topics', async () => {
    const { server, client, clock } = await connected(['orders:*']);
    const store = storeOf(client);
    server.publish('orders:2', { total: 5 });
    await clock.advance(FRAME_MS);
    expect(store.getState().topics['orders:*']).toMatchObject({ status: 'live', data: { total: 5 } });
    expect(Object.keys(store.getState().topics)).toEqual(['orders:*']);
  });

  it('is let go as a whole', async () => {
    const { server, client, clock, seen, asked } = await connected(['orders:*']);
    client.unsubscribe('orders:*');
    await clock.advance(999);
    server.mode = 'mute';
    await clock.advance(1);
    server.publish('orders:1', 'on its way');
    expect(asked()).toEqual([{ action: 'unsubscribe', topics: ['orders:*'] }]);
    expect(seen).toEqual([]);
  });

  it('that is refused says so', async () => {
    const { client, errors } = await connected(['*:orders', 'orders:*']);
    expect(client.topics.get('orders:*')?.status).toBe('live');
    expect(errors).toEqual([]);
    const limited = createTestClient({ topics: ['orders:*'] });
    limited.server.patternTopics = 1;
    for (const topic of ['orders:1', 'orders:2']) limited.server.publish(topic, 0);
    limited.client.connect();
    await limited.clock.advance(0);
    expect(limited.client.topics.get('orders:*')).toMatchObject({ status: 'refused', error: { code: 'TOO_MANY_TOPICS', topic: 'orders:*' } });
  });
});

describe('across a reconnect', () => {
  it('resumes every topic it knew and the births since, each message once', async () => {
    const { server, client, clock, seen, resyncs } = await connected(['orders:*']);
    server.publish('orders:1', 'a');
    server.drop();
    server.publish('orders:1', 'b');
    server.publish('orders:3', 'first');
    server.publish('orders:3', 'second');
    await clock.advance(1_000);
    server.publish('orders:3', 'third');
    server.publish('orders:2', 'c');
    expect(server.last.received[0]?.p).toMatchObject({
      topics: ['orders:*'],
      positions: { 'orders:*': { e: 'n1', seq: 2 }, 'orders:1': at(2), 'orders:2': at(1) },
    });
    expect(seen).toEqual([
      ['orders:1', 2, 'a'],
      ['orders:1', 3, 'b'],
      ['orders:3', 1, 'first'],
      ['orders:3', 2, 'second'],
      ['orders:3', 3, 'third'],
      ['orders:2', 2, 'c'],
    ]);
    expect(resyncs).toEqual([]);
    // One of a topic that it knew, and two of one that was born: births are no messages.
    expect(client.topics.get('orders:*')).toEqual({ status: 'recovered', error: null, reason: null, recovered: 3 });
  });

  it('is recovered where messages were missed in topics that it knew, and none was born', async () => {
    const { server, client, clock, seen } = await connected(['orders:*']);
    server.publish('orders:1', 'a');
    server.drop();
    server.publish('orders:1', 'b');
    await clock.advance(1_000);
    expect(seen).toEqual([['orders:1', 2, 'a'], ['orders:1', 3, 'b']]);
    expect(client.topics.get('orders:*')).toMatchObject({ status: 'recovered', recovered: 1 });
  });

  it('says resync of the pattern when births are missing, and of a topic when messages are', async () => {
    const { server, client, clock, seen, resyncs } = await connected(['orders:*']);
    server.drop();
    server.publish('orders:3', 'unknown');
    server.namespace('orders:*').trim();
    server.publish('orders:1', 'lost');
    server.log('orders:1').trim();
    await clock.advance(1_000);
    server.publish('orders:3', 'known');
    expect(resyncs).toEqual([{ topic: 'orders:*', reason: 'births' }, { topic: 'orders:1', reason: 'history' }]);
    expect(client.topics.get('orders:*')).toMatchObject({ status: 'resync', reason: 'births' });
    expect(seen).toEqual([['orders:3', 2, 'known']]);
  });

  it('forgets topics that the answer does not list any more', async () => {
    const { server, clock } = await connected(['orders:*']);
    server.mode = 'mute';
    server.drop();
    await clock.advance(1_000);
    server.last.send({ t: 'server_hello', c: 'WSE', p: {} });
    server.last.send({ t: 'server_ready', c: 'WSE', p: {} });
    const topics = [{ tp: 'orders:2', status: 'live', e: 'e1', seq: 1 }];
    server.last.send({ t: 'subscription_update', c: 'WSE', p: { topics: [{ tp: 'orders:*', status: 'live', e: 'n1', seq: 2, topics }] } });
    server.drop();
    await clock.advance(1_000);
    expect(server.last.received[0]?.p).toMatchObject({ positions: { 'orders:*': { e: 'n1', seq: 2 }, 'orders:2': at(1) } });
    expect((server.last.received[0]?.p as { positions: object }).positions).not.toHaveProperty('orders:1');
  });
});

describe('a topic that is not to be had for the time being', () => {
  it('is asked for again with its pattern, from where it was, or from its first message if it was born meanwhile', async () => {
    const { server, clock, seen, asked, resyncs, errors } = await connected(['orders:*']);
    server.mode = 'mute';
    server.drop();
    server.publish('orders:2', 'missed');
    server.publish('orders:3', 'first');
    await clock.advance(1_000);
    server.last.send({ t: 'server_hello', c: 'WSE', p: {} });
    server.last.send({ t: 'server_ready', c: 'WSE', p: {} });
    const refused = { status: 'refused', code: 'UNAVAILABLE', message: 'the bus did not answer' };
    const topics = [{ tp: 'orders:1', status: 'live', ...at(1) }, { tp: 'orders:2', ...refused }, { tp: 'orders:3', ...refused }];
    const answer = (births: number, of: unknown[]): void => server.last.send({ t: 'subscription_update', c: 'WSE', p: { topics: [{ tp: 'orders:*', status: 'recovered', recovered: 1, e: 'n1', seq: births, topics: of }] } });
    answer(3, topics);
    // A birth meanwhile moves no place beyond the one that is to come.
    answer(4, [{ tp: 'orders:4', status: 'live', ...at(0) }]);
    server.last.send({ t: 't', tp: 'orders:1', ...at(2), p: 'goes on' });
    await clock.advance(4_990);
    expect([asked(), errors]).toEqual([[], ['CONNECTION_LOST', 'UNAVAILABLE', 'UNAVAILABLE']]);
    await clock.advance(20);
    expect(asked()).toEqual([
      { action: 'unsubscribe', topics: ['orders:*'] },
      { action: 'subscribe', topics: ['orders:*'], positions: { 'orders:*': { e: 'n1', seq: 2 }, 'orders:1': at(2), 'orders:2': at(1), 'orders:4': at(0) } },
    ]);
    expect([seen, resyncs]).toEqual([[['orders:1', 2, 'goes on']], []]);
  });

  it('is not asked for again where the server will not have it', async () => {
    const { server, clock, asked } = await connected(['orders:*']);
    const topics = [{ tp: 'orders:9', status: 'refused', code: 'TOO_MANY_TOPICS', message: 'no room' }];
    server.last.send({ t: 'subscription_update', c: 'WSE', p: { topics: [{ tp: 'orders:*', status: 'live', e: 'n1', seq: 3, topics }] } });
    await clock.advance(20_000);
    expect(asked()).toEqual([]);
  });
});

describe('a gap in one topic', () => {
  it('is recovered through the pattern, with the positions of all its topics', async () => {
    const { server, clock, seen, asked, resyncs } = await connected(['orders:*']);
    server.publish('orders:2', 'x');
    server.log('orders:1').append('t', 'lost on the way');
    server.publish('orders:1', 'after');
    await clock.advance(250);
    expect(asked()).toEqual([
      { action: 'unsubscribe', topics: ['orders:*'] },
      { action: 'subscribe', topics: ['orders:*'], positions: { 'orders:*': { e: 'n1', seq: 2 }, 'orders:1': at(1), 'orders:2': at(2) } },
    ]);
    expect(seen).toEqual([['orders:2', 2, 'x'], ['orders:1', 2, 'lost on the way'], ['orders:1', 3, 'after']]);
    expect(resyncs).toEqual([]);
  });

  it('is also a message of a topic whose birth was never told', async () => {
    const { server, clock, seen, asked } = await connected(['orders:*']);
    const { last } = server;
    const send = last.send.bind(last);
    last.send = () => undefined;
    server.publish('orders:9', 'with its birth lost');
    last.send = send;
    server.publish('orders:9', 'second');
    await clock.advance(0);
    expect(asked()).toHaveLength(2);
    expect(seen).toEqual([['orders:9', 1, 'with its birth lost'], ['orders:9', 2, 'second']]);
  });
});

describe('more topics than the limit', () => {
  it('of the server are told once by it, and those that are known go on', async () => {
    const { server, client, seen, resyncs, clock } = await connected(['orders:*'], {}, []);
    server.patternTopics = 2;
    for (const topic of ['orders:1', 'orders:2', 'orders:3']) server.publish(topic, topic);
    server.publish('orders:1', 'still');
    await clock.advance(5_000);
    expect(resyncs).toEqual([{ topic: 'orders:*', reason: 'births' }]);
    expect(client.topics.get('orders:*')).toMatchObject({ status: 'resync', reason: 'births' });
    expect(seen.map((entry) => (entry as unknown[])[2])).toEqual(['orders:1', 'orders:2', 'still']);
  });

  it('of the client are left out, told once, over all patterns together', async () => {
    const { server, client, seen, resyncs, clock } = await connected(['a:*', 'b:*'], { patternTopics: 3 }, []);
    for (const topic of ['a:1', 'b:1', 'a:2', 'b:2', 'b:3']) server.log(topic);
    expect(resyncs).toEqual([{ topic: 'b:*', reason: 'births' }]);
    expect(client.topics.get('a:*')?.status).toBe('live');
    for (const topic of ['b:2', 'b:1', 'b:3', 'b:2']) server.publish(topic, topic);
    await clock.advance(5_000);
    expect(seen.map((entry) => (entry as unknown[])[2])).toEqual(['b:1']);
    expect(server.last.of('subscription')).toEqual([]);
    server.drop();
    await clock.advance(1_000);
    expect(Object.keys((server.last.received[0]?.p as { positions: object }).positions).sort()).toEqual(['a:*', 'a:1', 'a:2', 'b:*', 'b:1']);
  });
});

describe('a pattern and one of its topics', () => {
  it('bring each message once, before, while and after both are there', async () => {
    const { server, client, clock, seen, asked, resyncs } = await connected(['orders:*']);
    server.publish('orders:1', 1);
    client.subscribe('orders:1');
    await Promise.resolve();
    server.publish('orders:1', 2);
    await clock.advance(0);
    server.publish('orders:1', 3);
    client.unsubscribe('orders:1');
    await clock.advance(1_000);
    server.publish('orders:1', 4);
    client.subscribe('orders:1');
    client.unsubscribe('orders:*');
    await clock.advance(1_000);
    server.publish('orders:1', 5);
    server.publish('orders:2', 'not any more');
    expect(seen).toEqual([1, 2, 3, 4, 5].map((n) => ['orders:1', n + 1, n]));
    expect(resyncs).toEqual([]);
    expect(asked()[0]).toEqual({ action: 'subscribe', topics: ['orders:1'], positions: { 'orders:1': at(2) } });
  });

  it('in the first frame together resume together', async () => {
    const { server, clock, seen, resyncs } = await connected(['orders:1', 'orders:*']);
    server.publish('orders:1', 'a');
    server.drop();
    server.publish('orders:1', 'b');
    await clock.advance(1_000);
    server.publish('orders:1', 'c');
    expect(seen.map((entry) => (entry as unknown[])[2])).toEqual(['a', 'b', 'c']);
    expect(resyncs).toEqual([]);
  });

  it('are told once of what the topic lost', async () => {
    const { server, clock, resyncs } = await connected(['orders:*', 'orders:1']);
    server.drop();
    server.publish('orders:1', 'lost');
    server.log('orders:1').trim();
    await clock.advance(1_000);
    expect(resyncs).toEqual([{ topic: 'orders:1', reason: 'history' }]);
  });

  it('with different filters: the topic is asked for with both, because its filter holds for both', async () => {
    const { server, client, clock, seen, asked } = await connected(['orders:*']);
    const one = client.hold();
    one.add(['orders:1'], { filter: { n: 1 } });
    await clock.advance(0);
    expect(asked()).toEqual([{ action: 'subscribe', topics: ['orders:1'], positions: { 'orders:1': at(1) } }]);
    server.publish('orders:1', { n: 2 });
    expect(seen).toHaveLength(1);
    client.unsubscribe('orders:*');
    await clock.advance(1_000);
    expect(asked().slice(1)).toEqual([
      { action: 'subscribe', topics: ['orders:1'], positions: { 'orders:1': at(2) }, filters: { 'orders:1': { n: 1 } } },
      { action: 'unsubscribe', topics: ['orders:*'] },
    ]);
    server.publish('orders:1', { n: 3 });
    expect(seen).toHaveLength(1);
  });
});

describe('a filter on a pattern', () => {
  it('holds for every topic, and a change of it resumes each', async () => {
    const { server, client, clock, seen, asked } = await connected([], {}, ['orders:1', 'orders:2']);
    const one = client.hold();
    one.add(['orders:*'], { filter: { n: { $gt: 5 } } });
    await clock.advance(0);
    server.publish('orders:1', { n: 1 });
    server.publish('orders:2', { n: 7 });
    one.add(['orders:*'], { filter: { n: { $gt: 0 } } });
    await clock.advance(0);
    server.publish('orders:3', { n: 2 });
    expect(asked().at(-1)).toMatchObject({ topics: ['orders:*'], positions: { 'orders:1': at(1), 'orders:2': at(2) }, filters: { 'orders:*': { n: { $gt: 0 } } } });
    expect(seen).toEqual([['orders:2', 2, { n: 7 }], ['orders:1', 2, { n: 1 }], ['orders:3', 1, { n: 2 }]]);
  });
});

it('survives a server that lists nonsense under a pattern', async () => {
  const { server, client, errors } = await connected(['orders:*']);
  const update = (topics: unknown): void => server.last.send({ t: 'subscription_update', c: 'WSE', p: { topics: [{ tp: 'orders:*', status: 'live', e: 'n1', seq: 9, topics }] } });
  update('x');
  update([7]);
  update([{ tp: 'elsewhere:1', status: 'live', e: 'e1', seq: 1 }, { tp: 'orders:*', status: 'live', e: 'e1', seq: 1 }]);
  expect(errors).toEqual(['INVALID_MESSAGE', 'INVALID_MESSAGE']);
  server.publish('orders:1', 'fine');
  expect(client.topics.get('orders:*')?.status).toBe('live');
});
