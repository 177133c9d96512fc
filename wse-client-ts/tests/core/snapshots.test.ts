// Snapshots: the state first, what stands until it comes, what replaces what, failures and asking again.
import { describe, expect, it } from 'vitest';
import type { EventMeta, WSEError } from '../../src/core';
import { createTestClient } from '../../src/testing';

async function connected(topics: readonly string[], prepare: (fakes: ReturnType<typeof createTestClient>) => void) {
  const fakes = createTestClient({ topics });
  const seen: unknown[] = [];
  const errors: WSEError[] = [];
  const notices: unknown[] = [];
  fakes.client.on('*', (payload, { category, seq }) => seen.push([category, seq, payload]));
  fakes.client.onNotice('error', (error) => errors.push(error));
  fakes.client.onNotice('resync', (notice) => notices.push(notice));
  fakes.client.onNotice('snapshot', (notice) => notices.push(notice));
  prepare(fakes);
  fakes.client.connect();
  await fakes.clock.advance(0);
  return { ...fakes, seen, errors, notices };
}

/** A server whose states come when the test sends them. */
const late = (topic: string) => ({ server }: ReturnType<typeof createTestClient>): void => {
  server.log(topic).append(topic, 'before');
  server.log(topic).resume = () => ({ answer: { tp: topic, status: 'live', e: 'e1', seq: 1, snapshot: true }, replay: [] });
};

describe('a snapshot', () => {
  it('comes before the messages, is told apart from them, and no listener of the type takes it for one', async () => {
    const { server, seen, notices, client } = await connected(['a'], (fakes) => {
      fakes.server.log('a').state = () => ({ total: 7 });
      fakes.server.log('a').append('a', 'old');
    });
    const typed: EventMeta[] = [];
    client.on('a', (_payload, meta) => typed.push(meta));
    client.on('snapshot', (_payload, meta) => typed.push(meta));
    server.publish('a', 'new');
    expect(seen).toEqual([['S', 1, { total: 7 }], ['U', 2, 'new']]);
    expect(notices).toEqual([{ topic: 'a', state: { total: 7 }, seq: 1, epoch: 'e1' }]);
    expect(typed.map(({ category, seq }) => [category, seq])).toEqual([['U', 2]]);
    expect(client.topics.get('a')?.status).toBe('live');
  });

  it('is what a topic waits for: pending until it comes, and asked for from the top by a connection that comes before it', async () => {
    const { server, seen, client, clock } = await connected(['a'], late('a'));
    expect(client.topics.get('a')?.status).toBe('pending');
    server.drop();
    await clock.advance(5_000);
    expect(server.connections).toHaveLength(2);
    expect(server.last.of('client_hello')[0]?.p).not.toHaveProperty('positions');
    server.last.send({ t: 'snapshot', c: 'S', tp: 'a', e: 'e1', seq: 1, p: 'state' });
    await clock.advance(0);
    expect([client.topics.get('a')?.status, seen]).toEqual(['live', [['S', 1, 'state']]]);
    server.drop();
    await clock.advance(5_000);
    expect(server.last.of('client_hello')[0]?.p).toMatchObject({ positions: { a: { e: 'e1', seq: 1 } } });
  });

  it('of another epoch, or below the position, is ignored', async () => {
    const { server, seen, client, clock } = await connected(['a'], late('a'));
    server.last.send({ t: 'snapshot', c: 'S', tp: 'a', e: 'e0', seq: 9, p: 'other log' });
    server.last.send({ t: 'snapshot', c: 'S', tp: 'a', e: 'e1', seq: 0, p: 'too old' });
    await clock.advance(0);
    expect([client.topics.get('a')?.status, seen]).toEqual(['pending', []]);
    server.last.send({ t: 'snapshot', c: 'S', tp: 'a', e: 'e1', seq: 5, p: 'newer' });
    server.last.send({ t: 'a', id: 'x', tp: 'a', e: 'e1', seq: 5, p: 'in it already' });
    server.last.send({ t: 'a', id: 'y', tp: 'a', e: 'e1', seq: 6, p: 'after it' });
    expect(seen).toEqual([['S', 5, 'newer'], ['U', 6, 'after it']]);
  });

  it('mends a resync, which says that it follows', async () => {
    const { server, seen, notices, client, clock } = await connected(['a'], (fakes) => {
      fakes.server.log('a').state = () => 'state';
    });
    server.drop();
    server.log('a').restart('e2');
    server.log('a').append('a', 'missed');
    await clock.advance(5_000);
    expect(notices.slice(1)).toEqual([{ topic: 'a', reason: 'epoch', snapshot: true }, { topic: 'a', state: 'state', seq: 1, epoch: 'e2' }]);
    expect(seen).toEqual([['S', 0, 'state'], ['S', 1, 'state']]);
    expect(client.topics.get('a')).toEqual({ status: 'live', error: null, reason: null, recovered: 0 });
  });

  it('that fails leaves the topic live with the error, until it is asked for again', async () => {
    let works = false;
    const { server, errors, client, clock, seen } = await connected(['a'], (fakes) => {
      fakes.server.log('a').state = () => {
        if (!works) throw new Error('away');
        return 'state';
      };
    });
    expect(client.topics.get('a')).toMatchObject({ status: 'live', error: { code: 'SNAPSHOT_FAILED', topic: 'a', fault: 'server' } });
    expect(errors.map(({ code }) => code)).toEqual(['SNAPSHOT_FAILED']);
    server.publish('a', 1);
    works = true;
    client.resnapshot('a');
    client.resnapshot(['a']);
    await clock.advance(0);
    expect(server.last.of('snapshot_request').map(({ p }) => p)).toEqual([{ topics: ['a'] }]);
    expect(client.topics.get('a')).toEqual({ status: 'live', error: null, reason: null, recovered: 0 });
    expect(seen).toEqual([['U', 1, 1], ['S', 1, 'state']]);
  });

  it('asked for before the answer is asked for after it, and not where the answer promises one', async () => {
    const { server, client, clock } = await connected([], ({ server }) => {
      server.log('a').state = () => 'state';
    });
    const hold = client.hold();
    hold.set(['a', 'b']);
    client.resnapshot(['a', 'b', 'nobody holds this']);
    await clock.advance(0);
    expect(server.last.of('snapshot_request').map(({ p }) => p)).toEqual([{ topics: ['b'] }]);
    expect(client.topics.get('b')).toMatchObject({ status: 'live', error: { code: 'NO_SNAPSHOT' } });
  });

  it('of a pattern comes for each topic, also for those born later, and is asked for of all', async () => {
    const { server, seen, client, clock } = await connected([], ({ server }) => {
      server.log('orders:1').state = () => 'one';
    });
    client.subscribe('orders:*');
    await clock.advance(0);
    expect([client.topics.get('orders:*')?.status, client.hasSnapshot('orders:*'), seen]).toEqual(['live', true, [['S', 0, 'one']]]);
    server.publish('orders:2', 'first');
    client.resnapshot('orders:*');
    await clock.advance(0);
    expect(server.last.of('snapshot_request').map(({ p }) => p)).toEqual([{ topics: ['orders:1', 'orders:2'] }]);
    expect(seen.slice(1)).toEqual([['U', 1, 'first'], ['S', 0, 'one']]);
  });

  it('is split into rows for each view with a filter', async () => {
    const { client, clock } = await connected([], ({ server }) => {
      server.log('rows').state = () => [{ n: 1 }, { n: 2 }, { n: 3 }];
    });
    client.subscribe('rows', { filter: { n: { $gte: 2 } } });
    const other = client.hold();
    other.add(['rows'], { filter: { n: { $lt: 2 } } });
    await clock.advance(0);
    const states = client.statesOf('rows', [{ n: 1 }, { n: 2 }, { n: 3 }]);
    expect([...states.values()]).toEqual([[{ n: 1 }, { n: 2 }, { n: 3 }], [{ n: 2 }, { n: 3 }], [{ n: 1 }]]);
    expect([...client.statesOf('rows', { total: 1 }).values()]).toEqual([{ total: 1 }, { total: 1 }, { total: 1 }]);
  });
});
