// Subscriptions: what is asked for, what survives a reconnect, gaps, repeats and refusals.
import { describe, expect, it } from 'vitest';
import type { Envelope } from '../../src/core';
import { createTestClient } from '../../src/testing';

function requests(frames: readonly Envelope[]): unknown[] {
  return frames.map(({ p }) => p);
}

async function connected(topics: readonly string[]) {
  const fakes = createTestClient({ topics });
  const seen: unknown[] = [];
  const resyncs: unknown[] = [];
  fakes.client.on('*', (payload) => seen.push(payload));
  fakes.client.onNotice('resync', (notice) => resyncs.push(notice));
  fakes.client.connect();
  await fakes.clock.advance(0);
  return { ...fakes, seen, resyncs };
}

describe('what is asked for', () => {
  it('sends the first topics in client_hello and nothing else', async () => {
    const { server, client } = await connected(['a', 'b']);
    expect(server.last.received.map(({ t }) => t)).toEqual(['client_hello', 'ping']);
    expect(client.topics.get('a')?.status).toBe('live');
  });

  it('sends only the difference when the set changes, in one message, and lets topics go after the linger', async () => {
    const { server, client, clock } = await connected([]);
    const hold = client.hold();
    hold.set(['a', 'b']);
    await clock.advance(0);
    hold.set(['b', 'c']);
    hold.set(['b', 'c', 'd']);
    await clock.advance(999);
    expect(requests(server.last.of('subscription'))).toEqual([
      { action: 'subscribe', topics: ['a', 'b'] },
      { action: 'subscribe', topics: ['c', 'd'] },
    ]);
    await clock.advance(1);
    expect(requests(server.last.of('subscription')).at(-1)).toEqual({ action: 'unsubscribe', topics: ['a'] });
    expect(server.last.of('subscription')).toHaveLength(3);
  });

  it('counts holders: a topic goes when the last one lets it go, and coming back within the linger sends nothing', async () => {
    const { server, client, clock } = await connected([]);
    const [one, two] = [client.hold(), client.hold()];
    one.add(['a']);
    two.add(['a']);
    await clock.advance(0);
    one.release();
    await clock.advance(5_000);
    two.release();
    await clock.advance(500);
    one.add(['a']);
    await clock.advance(5_000);
    expect(server.last.of('subscription')).toHaveLength(1);
    one.release();
    await clock.advance(1_000);
    expect(server.last.of('subscription')).toHaveLength(2);
    expect(client.hasTopic('a')).toBe(false);
  });

  it('subscribe returns what takes it back, and asking twice counts once', async () => {
    const { server, client, clock } = await connected([]);
    client.subscribe('a');
    const stop = client.subscribe(['a']);
    await clock.advance(0);
    stop();
    await clock.advance(1_000);
    expect(requests(server.last.of('subscription'))).toEqual([
      { action: 'subscribe', topics: ['a'] },
      { action: 'unsubscribe', topics: ['a'] },
    ]);
  });
});

describe('across reconnects', () => {
  it('sends its positions in the first frame, gets what it missed once and in order, and says recovered', async () => {
    const { server, client, clock, seen } = await connected(['a']);
    for (const n of [1, 2, 3]) server.publish('a', n);
    server.drop();
    for (const n of [4, 5]) server.publish('a', n);
    await clock.advance(1_000);
    server.publish('a', 6);
    expect(server.last.of('client_hello')[0]?.p).toMatchObject({ topics: ['a'], positions: { a: { e: 'e1', seq: 3 } } });
    expect(server.last.of('subscription')).toEqual([]);
    expect(seen).toEqual([1, 2, 3, 4, 5, 6]);
    expect(client.topics.get('a')).toEqual({ status: 'recovered', error: null, reason: null, recovered: 2 });
  });

  it.each([
    ['history', (server: ReturnType<typeof createTestClient>['server']) => server.log('a').trim()],
    ['epoch', (server: ReturnType<typeof createTestClient>['server']) => server.log('a').restart('e2')],
  ])('says resync once with the reason %s when messages are lost, and goes on from there', async (reason, lose) => {
    const { server, client, clock, seen, resyncs } = await connected(['a']);
    server.publish('a', 1);
    server.drop();
    server.publish('a', 2);
    lose(server);
    await clock.advance(1_000);
    server.publish('a', 3);
    expect(resyncs).toEqual([{ topic: 'a', reason }]);
    expect(client.topics.get('a')).toEqual({ status: 'resync', error: null, reason, recovered: 0 });
    expect(seen).toEqual([1, 3]);
  });

  it('says resync when the server answers live above the position it was asked from', async () => {
    const { server, clock, resyncs } = await connected(['a']);
    server.publish('a', 1);
    server.drop();
    server.mode = 'mute';
    await clock.advance(1_000);
    server.last.send({ t: 'server_ready', c: 'WSE', p: {} });
    server.last.send({ t: 'subscription_update', c: 'WSE', p: { topics: [{ tp: 'a', status: 'live', e: 'e1', seq: 9 }] } });
    expect(resyncs).toEqual([{ topic: 'a', reason: 'history' }]);
  });

  it('asks after server_ready for what changed while the first frame was under way', async () => {
    const { server, client, clock, seen } = await connected(['a', 'b']);
    server.publish('a', 1);
    server.drop();
    server.mode = 'mute';
    await clock.advance(1_000);
    client.unsubscribe('b');
    client.subscribe('c');
    await clock.advance(5_000);
    const { last } = server;
    expect(last.of('subscription')).toEqual([]);
    last.send({ t: 'server_hello', c: 'WSE', p: {} });
    last.send({ t: 'server_ready', c: 'WSE', p: {} });
    last.send({ t: 'subscription_update', c: 'WSE', p: { topics: ['a', 'b'].map((tp) => ({ tp, status: 'live', e: 'e1', seq: tp === 'a' ? 1 : 0 })) } });
    await clock.advance(0);
    expect(requests(last.of('subscription'))).toEqual([
      { action: 'unsubscribe', topics: ['b'] },
      { action: 'subscribe', topics: ['c'] },
    ]);
    expect(client.topics.get('a')?.status).toBe('live');
    expect(seen).toEqual([1]);
  });

  it('starts from the top when the server names another user than the positions in the first frame are of', async () => {
    const { server, client, clock, seen } = await connected(['a']);
    server.publish('a', 1);
    server.drop();
    server.publish('a', 'of the time between');
    server.user = 'somebody else';
    await clock.advance(1_000);
    server.publish('a', 'of the new user');
    expect(requests(server.last.of('subscription'))).toEqual([
      { action: 'unsubscribe', topics: ['a'] },
      { action: 'subscribe', topics: ['a'] },
    ]);
    expect(seen).toEqual([1, 'of the new user']);
    expect(client.topics.get('a')?.status).toBe('live');
  });

  it('forgets the positions when another user comes', async () => {
    const { server, client, clock } = await connected(['a']);
    server.publish('a', 1);
    server.user = 'somebody else';
    client.setToken('other');
    await clock.advance(0);
    expect(requests(server.last.of('subscription'))).toEqual([{ action: 'subscribe', topics: ['a'] }]);
  });
});

describe('order', () => {
  it('drops a message that it has examined', async () => {
    const { server, seen } = await connected(['a']);
    const message = server.publish('a', 1);
    server.last.send(message);
    expect(seen).toEqual([1]);
  });

  it('holds what follows a gap, hands it on in order when the missing one comes, and asks for nothing', async () => {
    const { server, client, clock, seen } = await connected(['a']);
    server.publish('a', 1);
    const late = server.log('a').append('a', 2);
    server.publish('a', 3);
    server.publish('a', 4);
    await clock.advance(249);
    expect(seen).toEqual([1]);
    server.last.send(late);
    expect(seen).toEqual([1, 2, 3, 4]);
    await clock.advance(5_000);
    expect(server.last.of('subscription')).toEqual([]);
    expect(client.reorderCounts).toEqual({ held: 2, old: 0, dropped: 0, recoveries: 0 });
  });

  it('has its whole room again once what waited was handed on', async () => {
    const { server, client, clock } = createTestClient({ topics: ['a'], reorderBytes: 500 });
    client.connect();
    await clock.advance(0);
    for (let round = 0; round < 20; round += 1) {
      const late = server.log('a').append('a', round);
      server.publish('a', 'x'.repeat(200));
      server.last.send(late);
    }
    expect(client.reorderCounts).toEqual({ held: 20, old: 0, dropped: 0, recoveries: 0 });
  });

  it('asks at once when more follows a gap than it may hold, in number or in bytes', async () => {
    for (const options of [{ reorderMessages: 2 }, { reorderBytes: 250 }, { reorderWaitMs: 0 }]) {
      const { server, client, clock } = createTestClient({ topics: ['a'], ...options });
      const seen: unknown[] = [];
      client.on('a', (payload) => seen.push(payload));
      client.connect();
      await clock.advance(0);
      server.log('a').append('a', 1);
      for (const n of [2, 3, 4, 5]) server.publish('a', n);
      await clock.advance(0);
      expect(server.last.of('subscription')).toHaveLength(2);
      expect(seen).toEqual([1, 2, 3, 4, 5]);
      expect(client.reorderCounts.recoveries).toBe(1);
    }
  });

  it('recovers a gap by asking again from its position, without handing anything out of order', async () => {
    const { server, clock, seen, resyncs } = await connected(['a']);
    server.publish('a', 1);
    server.log('a').append('a', 2);
    server.publish('a', 3);
    server.publish('a', 4);
    await clock.advance(250);
    expect(requests(server.last.of('subscription'))).toEqual([
      { action: 'unsubscribe', topics: ['a'] },
      { action: 'subscribe', topics: ['a'], positions: { a: { e: 'e1', seq: 1 } } },
    ]);
    server.publish('a', 5);
    expect(seen).toEqual([1, 2, 3, 4, 5]);
    expect(resyncs).toEqual([]);
  });

  it('takes another epoch for a gap', async () => {
    const { server, clock, seen, resyncs } = await connected(['a']);
    server.publish('a', 1);
    server.log('a').restart('e2');
    server.publish('a', 2);
    await clock.advance(0);
    server.publish('a', 3);
    expect(seen).toEqual([1, 3]);
    expect(resyncs).toEqual([{ topic: 'a', reason: 'epoch' }]);
  });

  it('hands nothing on after the topic was let go', async () => {
    const { server, client, clock, seen } = await connected(['a']);
    client.unsubscribe('a');
    await clock.advance(999);
    server.mode = 'mute';
    await clock.advance(1);
    expect(server.last.of('subscription')).toHaveLength(1);
    // On its way before the server has read the request.
    server.publish('a', 1);
    expect(seen).toEqual([]);
  });
});

describe('refusals', () => {
  it('says why, leaves the other topics alone, and asks again on the next connection', async () => {
    const fakes = createTestClient({ topics: ['a', 'b'] });
    fakes.server.refusedTopics.set('a', 'RESERVED_TOPIC');
    fakes.client.connect();
    await fakes.clock.advance(60_000);
    expect(fakes.client.topics.get('a')).toMatchObject({ status: 'refused', error: { code: 'RESERVED_TOPIC', topic: 'a' } });
    expect(fakes.client.topics.get('b')?.status).toBe('live');
    expect(fakes.server.last.of('subscription')).toHaveLength(0);
    fakes.server.refusedTopics.clear();
    fakes.server.drop();
    await fakes.clock.advance(1_000);
    expect(fakes.client.topics.get('a')?.status).toBe('live');
  });

  it('asks again after five seconds when the refusal may pass', async () => {
    const fakes = createTestClient({ topics: ['a'] });
    fakes.server.refusedTopics.set('a', 'UNAVAILABLE');
    fakes.client.connect();
    await fakes.clock.advance(0);
    fakes.server.refusedTopics.clear();
    await fakes.clock.advance(5_000);
    expect(fakes.client.topics.get('a')?.status).toBe('live');
  });

  it('marks the topics of a subscription that failed as a whole', async () => {
    const { server, client, clock } = await connected([]);
    server.mode = 'mute';
    client.subscribe('a');
    await clock.advance(0);
    const cid = server.last.of('subscription')[0]?.cid ?? '';
    server.last.send({ t: 'error', c: 'WSE', cid, p: { code: 'TOO_MANY_SUBSCRIPTIONS', message: 'no more' } });
    expect(client.topics.get('a')).toMatchObject({ status: 'refused', error: { code: 'TOO_MANY_SUBSCRIPTIONS' } });
  });

  it('asks again for what was too many once something else was let go', async () => {
    const { server, client, clock } = await connected(['a']);
    server.refusedTopics.set('b', 'TOO_MANY_SUBSCRIPTIONS');
    const hold = client.hold();
    hold.add(['b']);
    await clock.advance(10_000);
    expect(client.topics.get('b')?.status).toBe('refused');
    server.refusedTopics.clear();
    client.unsubscribe('a');
    await clock.advance(1_000);
    expect(requests(server.last.of('subscription'))).toEqual([
      { action: 'subscribe', topics: ['b'] },
      { action: 'unsubscribe', topics: ['a'] },
      { action: 'subscribe', topics: ['b'] },
    ]);
    expect(client.topics.get('b')?.status).toBe('live');
  });

  it('reads an unknown status as resync', async () => {
    const { server, client, clock } = await connected([]);
    server.mode = 'mute';
    client.subscribe('a');
    await clock.advance(0);
    const cid = server.last.of('subscription')[0]?.cid ?? '';
    server.last.send({ t: 'subscription_update', c: 'WSE', cid, p: { topics: [{ tp: 'a', status: 'sideways', e: 'e1', seq: 4 }] } });
    expect(client.topics.get('a')).toMatchObject({ status: 'resync', reason: 'sideways' });
  });
});
