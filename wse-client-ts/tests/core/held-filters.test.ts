// Filters on subscriptions: what is asked for when holders want different ones, and what each holder sees ([P-20], [P-23], [P-25]).
import { describe, expect, it } from 'vitest';
import { storeOf, viewKey, type Filter } from '../../src/core';
import { createTestClient, FRAME_MS } from '../../src/testing';

const cheap: Filter = { price: { $lt: 10 } };
const dear: Filter = { price: { $gt: 100 } };

async function connected() {
  const fakes = createTestClient();
  const seen: number[] = [];
  const resyncs: unknown[] = [];
  const errors: string[] = [];
  fakes.client.on<{ price: number }>('*', ({ price }) => seen.push(price));
  fakes.client.onNotice('resync', (notice) => resyncs.push(notice));
  fakes.client.onNotice('error', ({ code }) => errors.push(code));
  fakes.client.connect();
  await fakes.clock.advance(0);
  const asked = (): unknown[] => fakes.server.last.of('subscription').map(({ p }) => p);
  const publish = (...prices: number[]): void => prices.forEach((price) => fakes.server.publish('a', { price }));
  return { ...fakes, seen, resyncs, errors, asked, publish };
}

describe('what is asked for', () => {
  it('is the filter, also in the first frame of the next connection, with the position', async () => {
    const { server, client, clock, asked, publish, seen } = await connected();
    client.subscribe('a', { filter: cheap });
    await clock.advance(0);
    publish(5, 500, 7);
    expect(asked()).toEqual([{ action: 'subscribe', topics: ['a'], filters: { a: cheap } }]);
    server.drop();
    publish(600, 3);
    await clock.advance(1_000);
    expect(server.last.received[0]?.p).toMatchObject({ topics: ['a'], positions: { a: { e: 'e1', seq: 3 } }, filters: { a: cheap } });
    expect(asked()).toEqual([]);
    expect(seen).toEqual([5, 7, 3]);
    expect(client.topics.get('a')?.status).toBe('recovered');
  });

  it('is the union of the holders’ filters, and everything when one has none', async () => {
    const { client, clock, asked } = await connected();
    const [one, two, three] = [client.hold(), client.hold(), client.hold()];
    one.add(['a'], { filter: dear });
    two.add(['a'], { filter: cheap });
    await clock.advance(0);
    three.add(['a']);
    await clock.advance(0);
    three.release();
    two.release();
    await clock.advance(0);
    expect(asked()).toEqual([
      { action: 'subscribe', topics: ['a'], filters: { a: { $or: [dear, cheap] } } },
      { action: 'subscribe', topics: ['a'], positions: { a: { e: 'e1', seq: 0 } } },
      { action: 'subscribe', topics: ['a'], positions: { a: { e: 'e1', seq: 0 } }, filters: { a: dear } },
    ]);
  });

  it('is nothing new for a filter that is equal by value, or that the linger keeps', async () => {
    const { client, clock, asked } = await connected();
    const one = client.hold();
    one.add(['a'], { filter: { x: 1, y: { $gt: 1, $lt: 2 } } });
    await clock.advance(0);
    one.add(['a'], { filter: { y: { $lt: 2, $gt: 1 }, x: 1 } });
    client.hold().add(['a'], { filter: { y: { $lt: 2, $gt: 1 }, x: 1 } });
    await clock.advance(0);
    one.release();
    one.add(['a'], { filter: { x: 1, y: { $gt: 1, $lt: 2 } } });
    await clock.advance(5_000);
    expect(asked()).toHaveLength(1);
  });

  it('is everything where the filters are fine alone and too large together', async () => {
    const { client, clock, asked, errors } = await connected();
    const many = (name: string): Filter => Object.fromEntries(Array.from({ length: 40 }, (_, n) => [`${name}${n}`, n]));
    for (const name of ['x', 'y']) client.hold().add(['a'], { filter: many(name) });
    await clock.advance(0);
    expect(asked()).toEqual([{ action: 'subscribe', topics: ['a'] }]);
    expect(errors).toEqual([]);
  });
});

describe('a filter that cannot be compiled', () => {
  const wrong: Filter = { price: { $near: 1 } };

  it('takes nothing away from the other holders of the topic, and its own holder sees why', async () => {
    const { client, clock, asked, publish, seen, errors } = await connected();
    const store = storeOf(client);
    for (const filter of [cheap, wrong]) client.hold().add(['a'], { filter });
    await clock.advance(0);
    publish(5, 500);
    await clock.advance(FRAME_MS);
    expect(asked()).toEqual([{ action: 'subscribe', topics: ['a'], filters: { a: cheap } }]);
    expect([seen, errors]).toEqual([[5], []]);
    expect(store.getState().topics[viewKey('a', cheap)]).toMatchObject({ status: 'live', data: { price: 5 } });
    expect(store.getState().topics[viewKey('a', wrong)]).toMatchObject({ status: 'refused', error: { code: 'INVALID_FILTER' }, data: undefined });
  });

  it('beside a holder of everything is refused too, instead of looking live', async () => {
    const { client, clock, asked } = await connected();
    const store = storeOf(client);
    client.subscribe('a');
    client.hold().add(['a'], { filter: wrong });
    await clock.advance(FRAME_MS);
    expect(asked()).toEqual([{ action: 'subscribe', topics: ['a'] }]);
    expect(store.getState().topics['a']?.status).toBe('live');
    expect(store.getState().topics[viewKey('a', wrong)]?.status).toBe('refused');
  });
});

describe('a filter that changes', () => {
  it('sends the one topic with its position, and what came under the old one meanwhile comes again', async () => {
    const { server, client, clock, asked, publish, seen, resyncs } = await connected();
    const one = client.hold();
    client.subscribe('b');
    one.add(['a'], { filter: cheap });
    await clock.advance(0);
    publish(1, 200, 2);
    one.add(['a'], { filter: { price: { $gte: 2 } } });
    // The request is on its way; the server has not read it and sends under the old filter.
    await Promise.resolve();
    publish(3, 300);
    expect(seen).toEqual([1, 2]);
    await clock.advance(0);
    publish(4, 1);
    expect(asked().at(-1)).toEqual({ action: 'subscribe', topics: ['a'], positions: { a: { e: 'e1', seq: 3 } }, filters: { a: { price: { $gte: 2 } } } });
    expect(asked()).toHaveLength(2);
    expect(seen).toEqual([1, 2, 3, 300, 4]);
    expect(resyncs).toEqual([]);
    expect(server.connections).toHaveLength(1);
  });

  it('after a beacon resumes from where the beacon was, without old messages', async () => {
    const { server, client, clock, asked, publish, seen } = await connected();
    const one = client.hold();
    one.add(['a'], { filter: cheap });
    await clock.advance(0);
    publish(1, 200, 300);
    server.beacon('a');
    one.add(['a']);
    await clock.advance(0);
    expect(asked().at(-1)).toEqual({ action: 'subscribe', topics: ['a'], positions: { a: { e: 'e1', seq: 3 } } });
    publish(400);
    expect(seen).toEqual([1, 400]);
  });

  it('that the server refuses leaves what there was and shows why, and the next one that it takes goes on', async () => {
    const { client, clock, errors, publish, seen } = await connected();
    const one = client.hold();
    one.add(['a'], { filter: cheap });
    await clock.advance(0);
    one.add(['a'], { filter: { price: { $near: 1 } } });
    await clock.advance(0);
    expect(client.topics.get('a')).toMatchObject({ status: 'live', error: { code: 'INVALID_FILTER', topic: 'a' } });
    expect(errors).toEqual(['INVALID_FILTER']);
    publish(4, 400);
    expect(seen).toEqual([4]);
    one.add(['a'], { filter: dear });
    await clock.advance(0);
    publish(5, 500);
    expect(client.topics.get('a')).toMatchObject({ status: 'recovered', error: null });
    expect(seen).toEqual([4, 400, 500]);
  });

  it('that the server refuses while messages come loses none of them, and is not tried again for it', async () => {
    const { server, client, clock, asked, errors, publish, seen, resyncs } = await connected();
    const one = client.hold();
    one.add(['a'], { filter: cheap });
    await clock.advance(0);
    publish(1);
    server.refusedTopics.set('a', 'FILTER_LIMIT');
    one.add(['a'], { filter: dear });
    // The request is on its way.
    await Promise.resolve();
    publish(2);
    await clock.advance(0);
    expect(client.topics.get('a')).toMatchObject({ status: 'live', error: { code: 'FILTER_LIMIT' } });
    server.refusedTopics.clear();
    publish(3);
    await clock.advance(5_000);
    const again = { action: 'subscribe', topics: ['a'], positions: { a: { e: 'e1', seq: 1 } }, filters: { a: cheap } };
    expect(asked().slice(2)).toEqual([{ action: 'unsubscribe', topics: ['a'] }, again]);
    publish(4, 500);
    expect(seen).toEqual([1, 2, 3, 4]);
    expect(client.topics.get('a')).toMatchObject({ status: 'recovered', error: { code: 'FILTER_LIMIT' } });
    expect([errors, resyncs]).toEqual([['FILTER_LIMIT'], []]);
    one.add(['a'], { filter: cheap });
    await clock.advance(0);
    expect(client.topics.get('a')).toMatchObject({ status: 'recovered', error: null });
    expect([asked().length, resyncs]).toEqual([4, []]);
  });

  it('that the server refuses for now is asked for again', async () => {
    const { server, client, clock, publish, seen } = await connected();
    const one = client.hold();
    one.add(['a'], { filter: cheap });
    await clock.advance(0);
    server.refusedTopics.set('a', 'UNAVAILABLE');
    one.add(['a'], { filter: dear });
    await clock.advance(0);
    expect(client.topics.get('a')).toMatchObject({ status: 'live', error: { code: 'UNAVAILABLE' } });
    publish(1, 200);
    server.refusedTopics.clear();
    await clock.advance(5_000);
    publish(2, 300);
    expect(seen).toEqual([1, 200, 300]);
    expect(client.topics.get('a')).toMatchObject({ error: null });
  });

  it('back before the server has answered loses nothing to what came under the one between', async () => {
    const { server, client, clock, asked, publish, seen, resyncs } = await connected();
    const one = client.hold();
    one.add(['a'], { filter: cheap });
    await clock.advance(0);
    publish(1);
    server.mode = 'mute';
    for (const filter of [dear, cheap]) {
      one.add(['a'], { filter });
      await clock.advance(0);
    }
    const again = { action: 'subscribe', topics: ['a'], positions: { a: { e: 'e1', seq: 1 } } };
    expect(asked().slice(1)).toEqual([{ ...again, filters: { a: dear } }, { ...again, filters: { a: cheap } }]);
    const answer = (index: number, entry: object): void => {
      const cid = server.last.of('subscription')[index]?.cid ?? '';
      server.last.send({ t: 'subscription_update', c: 'WSE', cid, p: { topics: [{ tp: 'a', e: 'e1', seq: 1, ...entry }] } });
    };
    answer(1, { status: 'live' });
    const kept = server.log('a').append('a', { price: 2 });
    server.last.send({ ...server.log('a').append('a', { price: 200 }), ps: 1 });
    answer(2, { status: 'recovered', recovered: 1 });
    server.last.send({ ...kept, ps: 1 });
    publish(3);
    expect([seen, resyncs, client.reorderCounts.old]).toEqual([[1, 2, 3], [], 0]);
  });

  it('at the same time as a gap loses nothing, and what waited under the old one is judged by the new one', async () => {
    const { server, client, clock, publish, seen, resyncs } = await connected();
    const one = client.hold();
    one.add(['a'], { filter: cheap });
    await clock.advance(0);
    publish(1);
    server.log('a').append('a', { price: 2 });
    server.last.send({ ...server.log('a').append('a', { price: 3 }), ps: 2 });
    await clock.advance(249);
    one.add(['a'], { filter: { price: { $lt: 1_000, $ne: 3 } } });
    await clock.advance(1);
    publish(4, 500);
    await clock.advance(5_000);
    expect(seen).toEqual([1, 2, 4, 500]);
    expect(resyncs).toEqual([]);
  });
});

describe('what each holder sees', () => {
  it('is the latest payload that passes its own filter, while listeners get every message once', async () => {
    const { client, clock, publish, seen } = await connected();
    const store = storeOf(client);
    client.hold().add(['a'], { filter: cheap });
    client.hold().add(['a'], { filter: dear });
    await clock.advance(FRAME_MS);
    publish(1, 50, 200, 2, 300);
    await clock.advance(FRAME_MS);
    expect(seen).toEqual([1, 200, 2, 300]);
    const { topics } = store.getState();
    expect(topics[viewKey('a', cheap)]).toMatchObject({ status: 'live', data: { price: 2 } });
    expect(topics[viewKey('a', dear)]).toMatchObject({ status: 'live', data: { price: 300 } });
    expect(topics['a']?.data).toEqual({ price: 300 });
  });

  it('is let go with the last holder of the filter', async () => {
    const { client, clock, publish } = await connected();
    const store = storeOf(client);
    const one = client.hold();
    client.subscribe('a');
    one.add(['a'], { filter: cheap });
    await clock.advance(FRAME_MS);
    publish(1);
    await clock.advance(FRAME_MS);
    one.release();
    await clock.advance(FRAME_MS);
    expect(Object.keys(store.getState().topics)).toEqual(['a']);
    one.add(['a'], { filter: cheap });
    await clock.advance(FRAME_MS);
    expect(store.getState().topics[viewKey('a', cheap)]?.data).toBeUndefined();
  });
});

it('refuses what has no JSON with a code', async () => {
  const { client } = await connected();
  const circular: Record<string, unknown> = {};
  circular['self'] = circular;
  expect(() => client.subscribe('a', { filter: circular })).toThrow(expect.objectContaining({ code: 'INVALID_FILTER' }));
  expect(client.hasTopic('a')).toBe(false);
});
