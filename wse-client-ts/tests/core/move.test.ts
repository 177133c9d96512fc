// Going on over a second socket before the first one ends ([P-67], [P-68]): nothing shows, nothing is lost, nothing comes twice.
import { describe, expect, it } from 'vitest';
import type { ClientState, TopicState } from '../../src/core';
import { createTestClient } from '../../src/testing';

/** A connected client that notes what an application sees. */
async function moving(options: Parameters<typeof createTestClient>[0] = {}) {
  const test = createTestClient({ topics: ['a'], ...options });
  const states: ClientState[] = [];
  const topics: (TopicState | undefined)[] = [];
  const seen: unknown[] = [];
  const errors: string[] = [];
  test.client.connect();
  await test.clock.advance(0);
  test.client.onNotice('status', (state) => states.push(state));
  test.client.onNotice('topics', () => topics.push(test.client.topics.get('a')));
  test.client.onNotice('error', ({ code }) => errors.push(code));
  test.client.on('*', (payload) => seen.push(payload));
  const isSteady = (): boolean => states.every(({ isConnected, connectionHealth }) => isConnected && connectionHealth !== 'offline') && topics.every((state) => state?.status === 'live');
  return { ...test, states, topics, seen, errors, isSteady };
}

describe('a move', () => {
  it('opens the second socket when it is due, resumes there, and closes the first with 1000', async () => {
    const { server, clock, client, isSteady, errors } = await moving();
    server.publish('a', 1);
    server.move(1_250);
    await clock.advance(1_249);
    expect(server.connections).toHaveLength(1);
    await clock.advance(1);
    const [first, second] = server.connections;
    expect(second?.of('client_hello')[0]?.p).toMatchObject({ move: true, topics: ['a'], positions: { a: { seq: 1 } } });
    expect([first?.isOpen, first?.clientCloseCode, second?.isOpen]).toEqual([false, 1000, true]);
    expect(client.state.connection).toBe('connection-2');
    expect([isSteady(), errors]).toEqual([true, []]);
    await clock.advance(60_000);
    expect(server.connections).toHaveLength(2);
  });

  it('gives each message once, whichever socket brings it, and keeps the status while the second has not answered', async () => {
    const { server, clock, client, seen, isSteady } = await moving();
    server.publish('a', 1);
    server.mode = 'mute';
    server.move();
    await clock.advance(0);
    const [first, second] = server.connections;
    server.publish('a', 2);
    expect(seen).toEqual([1, 2]);
    second?.send({ t: 'server_hello', c: 'WSE', p: {} });
    second?.send({ t: 'server_ready', c: 'WSE', p: { connection: 'c2', user: null } });
    server.publish('a', 3);
    expect([seen, first?.isOpen]).toEqual([[1, 2, 3], true]);
    const e = server.log('a').epoch;
    second?.send({ t: 'subscription_update', c: 'WSE', p: { topics: [{ tp: 'a', status: 'recovered', e, seq: 1, recovered: 2 }] } });
    for (const seq of [2, 3, 4]) second?.send({ t: 'a', id: `${seq}`, ts: '2026-01-15T10:30:00.000Z', tp: 'a', e, seq, p: seq });
    expect([seen, first?.isOpen, first?.clientCloseCode]).toEqual([[1, 2, 3, 4], false, 1000]);
    expect([isSteady(), client.topics.get('a')?.status]).toEqual([true, 'live']);
  });

  it('waits for what was sent on the first socket, and sends what comes meanwhile after it, on the second', async () => {
    const { server, clock, client, isSteady } = await moving();
    server.on('slow', () => undefined);
    server.on('next', (payload) => payload);
    const slow = client.sendMessage('slow', 1);
    await clock.advance(0);
    server.move();
    await clock.advance(0);
    const [first, second] = server.connections;
    expect([client.state.connection, first?.isOpen]).toEqual(['connection-2', true]);
    const next = client.sendMessage('next', 2);
    await clock.advance(0);
    expect(second?.of('next')).toHaveLength(0);
    first?.send({ t: 'reply', c: 'WSE', cid: first.of('slow')[0]?.cid ?? '', p: 'done' });
    expect(await slow).toBe('done');
    expect(await next).toBe(2);
    expect([first?.of('next').length, second?.of('next').length, first?.clientCloseCode, isSteady()]).toEqual([0, 1, 1000, true]);
  });

  it.each([
    ['ends', 1012, 0],
    ['is let go when its time is over', undefined, 8_000],
  ])('tells that the effect is unknown of what has no answer when the first socket %s', async (_, close, wait) => {
    const { server, clock, client, isSteady } = await moving({ keep: false, requestTimeoutMs: 60_000 });
    server.on('slow', () => undefined);
    const slow = client.sendMessage('slow', 1);
    await clock.advance(0);
    server.move();
    await clock.advance(0);
    if (close !== undefined) server.connections[0]?.close(close);
    await clock.advance(wait);
    await expect(slow).rejects.toMatchObject({ code: 'OUTCOME_UNKNOWN' });
    expect([server.connections[0]?.isOpen, isSteady()]).toEqual([false, true]);
  });

  it('tries again where it came to the server that ends, and stays where it is meanwhile', async () => {
    const { server, clock, seen, errors, isSteady } = await moving();
    server.mode = 'refuse';
    server.move();
    await clock.advance(3_000);
    expect(server.connections.length).toBeGreaterThan(3);
    server.publish('a', 1);
    expect([seen, server.open.length]).toEqual([[1], 1]);
    server.mode = 'accept';
    await clock.advance(1_000);
    server.publish('a', 2);
    expect([seen, server.open.length, server.connections[0]?.clientCloseCode]).toEqual([[1, 2], 1, 1000]);
    expect([isSteady(), errors]).toEqual([true, []]);
  });

  it('that never succeeds ends with the first socket, as any connection does', async () => {
    const { server, clock, client, seen } = await moving();
    server.mode = 'hang';
    server.move();
    await clock.advance(7_000);
    server.publish('a', 1);
    expect([seen, client.state.isConnected]).toEqual([[1], true]);
    server.connections[0]?.close(1012);
    expect([client.state.status, server.open.length]).toEqual(['waiting', 0]);
    server.mode = 'accept';
    await clock.advance(1_000);
    server.publish('a', 2);
    expect([client.state.isConnected, seen]).toEqual([true, [1, 2]]);
  });

  it('that is refused for good is not tried again, and does not end the client', async () => {
    const { server, clock, client, isSteady } = await moving();
    server.refusal = { code: 'AUTH_FAILED', close: 4401 };
    server.move();
    await clock.advance(60_000);
    expect([server.connections.length, client.state.status, isSteady()]).toEqual([2, 'ready', true]);
    server.connections[0]?.close(1012);
    await clock.advance(1_000);
    expect(client.state).toMatchObject({ status: 'closed', error: { code: 'AUTH_FAILED' } });
  });

  it('carries what changed while it was under way: topics that came, went, and got another filter', async () => {
    const { server, clock, client } = await moving({ topics: ['a', 'gone'], lingerMs: 0 });
    server.mode = 'mute';
    server.move();
    await clock.advance(0);
    server.mode = 'accept';
    const late = client.hold();
    late.set(['late']);
    client.unsubscribe('gone');
    await clock.advance(1);
    const [first, second] = server.connections;
    second?.send({ t: 'server_hello', c: 'WSE', p: {} });
    second?.send({ t: 'server_ready', c: 'WSE', p: { connection: 'c2', user: null } });
    await clock.advance(0);
    const asked = second?.of('subscription').map(({ p }) => p as { action: string; topics: string[] });
    expect(asked).toMatchObject([{ action: 'unsubscribe', topics: ['gone'] }, { action: 'subscribe', topics: ['late'] }]);
    expect([first?.of('subscription').length, client.topics.get('late')?.status]).toEqual([2, 'live']);
  });

  it('asks again for a state that the first socket was asked for and has not given', async () => {
    const { server, clock, client } = await moving({ topics: ['a', 'b:*'] });
    server.publish('b:1', 1);
    await clock.advance(0);
    server.mode = 'mute';
    client.resnapshot(['a', 'b:*']);
    await clock.advance(0);
    server.mode = 'accept';
    const asked = (index: number): unknown => server.connections[index]?.of('snapshot_request').map(({ p }) => (p as { topics: string[] }).topics);
    expect(asked(0)).toEqual([['a', 'b:1']]);
    for (const topic of ['a', 'b:1']) server.log(topic).state = () => topic;
    const states: unknown[] = [];
    client.onNotice('snapshot', ({ state }) => states.push(state));
    server.move();
    await clock.advance(0);
    expect([asked(1), states]).toEqual([[['a', 'b:1']], ['a', 'b:1']]);
    server.move();
    await clock.advance(0);
    expect([server.open.length, asked(2)]).toEqual([1, []]);
  });

  it('is called off with the client', async () => {
    const { server, clock, client } = await moving();
    server.move(1_000);
    client.close();
    await clock.advance(60_000);
    expect([server.connections.length, server.open.length, clock.waiting]).toEqual([1, 0, 0]);
  });

  it('can be followed by another one', async () => {
    const { server, clock, seen, isSteady } = await moving();
    for (const n of [1, 2, 3]) {
      server.move(500);
      await clock.advance(600);
      server.publish('a', n);
    }
    expect([server.connections.length, server.open.length, seen, isSteady()]).toEqual([4, 1, [1, 2, 3], true]);
  });

  it('to another user is a connection of its own: places are forgotten and nothing of the first is awaited', async () => {
    const { server, clock, client } = await moving();
    const users: unknown[] = [];
    client.onNotice('user', (user) => users.push(user));
    server.on('slow', () => undefined);
    const [slow, kept] = [client.sendMessage('slow', 1, { keep: false }), client.sendMessage('slow', 2)];
    kept.catch(() => undefined);
    await clock.advance(0);
    server.user = 'eve';
    server.move();
    await clock.advance(0);
    await expect(slow).rejects.toMatchObject({ code: 'OUTCOME_UNKNOWN' });
    await expect(kept).rejects.toMatchObject({ code: 'USER_CHANGED' });
    expect([users, server.open.length, client.state.user]).toEqual([['eve'], 1, 'eve']);
  });
});

describe('a topic that is subscribed for the first time during a move', () => {
  const NAMES = ['late', 'late:*'] as const;

  /** The second socket is open and not ready; neither has answered for `name`, which was asked for before or after the second one's hello. */
  async function subscribing(name: string, asked: 'before' | 'after') {
    const test = await moving();
    const { server, client, clock, seen } = test;
    const topic = name.replace('*', '1');
    const resyncs: unknown[] = [];
    client.onNotice('resync', (notice) => resyncs.push(notice));
    const log = server.log(topic);
    for (const n of [1, 2, 3]) log.append(topic, n);
    server.on('slow', () => undefined);
    const slow = client.sendMessage('slow', null, { keep: false });
    await clock.advance(0);
    server.mode = 'mute';
    const steps = [(): void => void client.subscribe(name), (): void => server.move()];
    for (const step of asked === 'before' ? steps : steps.reverse()) {
      step();
      await clock.advance(0);
    }
    const [first, second] = server.connections;
    if (first === undefined || second === undefined) throw new Error('there is no second socket');
    const live = (): object => {
      const own = { tp: topic, status: 'live', e: 'e1', seq: log.top };
      return name === topic ? own : { tp: name, status: 'live', ...server.namespace(name).position, topics: [own] };
    };
    const answerFirst = (): void => first.send({ t: 'subscription_update', c: 'WSE', cid: first.of('subscription')[0]?.cid ?? '', p: { topics: [live()] } });
    const answerSecond = (): void => {
      const topics = [{ tp: 'a', status: 'live', e: 'e1', seq: 0 }, ...(asked === 'before' ? [live()] : [])];
      second.send({ t: 'subscription_update', c: 'WSE', p: { topics } });
    };
    /** From here on the second one answers by itself. */
    const ready = (): void => {
      server.mode = 'accept';
      second.send({ t: 'server_hello', c: 'WSE', p: {} });
      second.send({ t: 'server_ready', c: 'WSE', p: { connection: 'c2', user: null } });
    };
    const outcome = async (): Promise<unknown> => {
      await clock.advance(0);
      second.send(log.append(topic, 'last'));
      // As long as it has no answer, the first socket is read.
      first.send({ t: 'reply', c: 'WSE', cid: first.of('slow')[0]?.cid ?? '', p: null });
      await slow;
      return { seen, resyncs, status: client.topics.get(name)?.status, isSteady: test.isSteady(), first: first.clientCloseCode, recoveries: client.reorderCounts.recoveries };
    };
    return { ...test, first, second, topic, log, answerFirst, answerSecond, ready, outcome };
  }

  const whole = { resyncs: [], status: 'live', isSteady: true, first: 1000, recoveries: 0 };
  const cases = NAMES.flatMap((name) => (['before', 'after'] as const).map((asked) => [name, asked] as const));

  it.each(cases)('%s, asked for %s the second hello, has every message from the place that the first socket answered before the switch', async (name, asked) => {
    const { first, second, log, topic, answerFirst, answerSecond, ready, outcome } = await subscribing(name, asked);
    answerFirst();
    first.send(log.append(topic, 4));
    // On their way on the first socket when the second one looks where the topic stands.
    for (const n of [5, 6]) log.append(topic, n);
    ready();
    answerSecond();
    if (asked === 'before') second.send(log.append(topic, 7));
    expect(await outcome()).toEqual({ ...whole, seen: [4, 5, 6, ...(asked === 'before' ? [7] : []), 'last'] });
  });

  it.each(cases)('%s, asked for %s the second hello, begins where the second socket answered when the first one answers after the switch', async (name, asked) => {
    for (const isLast of [false, true]) {
      const { first, log, topic, clock, answerFirst, answerSecond, ready, outcome } = await subscribing(name, asked);
      ready();
      if (!isLast) answerFirst();
      first.send(log.append(topic, 4));
      answerSecond();
      await clock.advance(0);
      if (isLast) answerFirst();
      expect(await outcome()).toEqual({ ...whole, seen: ['last'] });
    }
  });

  it('has its state once, from the socket that gave it first', async () => {
    const { first, second, client, log, topic, clock, answerSecond, ready, outcome } = await subscribing('late', 'before');
    const states: unknown[] = [];
    client.onNotice('snapshot', ({ state }) => states.push(state));
    const promise = { tp: topic, status: 'live', e: 'e1', seq: 3, snapshot: true };
    first.send({ t: 'subscription_update', c: 'WSE', cid: first.of('subscription')[0]?.cid ?? '', p: { topics: [promise] } });
    first.send({ t: 'snapshot', c: 'S', tp: topic, e: 'e1', seq: 3, p: 'state at 3' });
    log.append(topic, 4);
    ready();
    answerSecond();
    second.send({ t: 'snapshot', c: 'S', tp: topic, e: 'e1', seq: 4, p: 'state at 4' });
    await clock.advance(0);
    expect(await outcome()).toMatchObject({ resyncs: [], status: 'live', first: 1000, seen: ['state at 3', 4, 'last'] });
    expect(states).toEqual(['state at 3']);
  });
});

it('a filter that changes during a move hands on nothing of what the second hello asked for, and loses nothing', async () => {
  const { server, client, clock, seen } = await moving();
  const hold = client.hold();
  hold.add(['f'], { filter: { g: 1 } });
  await clock.advance(0);
  server.publish('f', { g: 1 });
  server.mode = 'mute';
  server.move();
  await clock.advance(0);
  hold.add(['f'], { filter: { g: 2 } });
  await clock.advance(0);
  const [first, second] = server.connections;
  const at = { tp: 'f', status: 'live', e: 'e1', seq: 1 };
  first?.send({ t: 'subscription_update', c: 'WSE', cid: first.of('subscription').at(-1)?.cid ?? '', p: { topics: [at] } });
  server.mode = 'accept';
  second?.send({ t: 'server_hello', c: 'WSE', p: {} });
  second?.send({ t: 'server_ready', c: 'WSE', p: { connection: 'c2', user: null } });
  second?.send({ t: 'subscription_update', c: 'WSE', p: { topics: [{ ...at, tp: 'a', seq: 0 }, at] } });
  server.log('f').append('f', { g: 2 });
  second?.send({ ...server.log('f').append('f', { g: 1 }), ps: 1 });
  await clock.advance(0);
  server.publish('f', { g: 2, last: true });
  expect(seen).toEqual([{ g: 1 }, { g: 2 }, { g: 2, last: true }]);
});

it('a topic that is born under a pattern during a move is not forgotten where the second socket answers before it sees the birth', async () => {
  const { server, client, clock, seen, isSteady } = await moving({ topics: ['a', 'ns:*'] });
  server.publish('ns:1', 1);
  server.mode = 'mute';
  server.move();
  await clock.advance(0);
  const [, second] = server.connections;
  const update = (topics: readonly object[]): void => {
    second?.send({ t: 'subscription_update', c: 'WSE', p: { topics } });
  };
  const pattern = { tp: 'ns:*', status: 'live', ...server.namespace('ns:*').position };
  server.publish('ns:2', 2);
  second?.send({ t: 'server_hello', c: 'WSE', p: {} });
  second?.send({ t: 'server_ready', c: 'WSE', p: { connection: 'c2', user: null } });
  update([{ tp: 'a', status: 'live', e: 'e1', seq: 0 }, { ...pattern, topics: [{ tp: 'ns:1', status: 'live', e: 'e1', seq: 1 }] }]);
  update([{ ...pattern, ...server.namespace('ns:*').position, topics: [{ tp: 'ns:2', status: 'live', e: 'e1', seq: 0 }] }]);
  for (const [seq, p] of [[1, 2], [2, 3]] as const) second?.send({ t: 'ns:2', id: `ns:2-${seq}`, ts: '2026-01-15T10:30:00.000Z', tp: 'ns:2', e: 'e1', seq, p });
  expect([seen, isSteady(), client.topics.get('ns:*')?.status]).toEqual([[1, 2, 3], true, 'live']);
});
