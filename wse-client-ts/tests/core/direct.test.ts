// Messages to the user and the session: from before their log was made, across connections, and never another's.
import { describe, expect, it } from 'vitest';
import type { Envelope } from '../../src/core';
import { createTestClient, type FakeServer } from '../../src/testing';

const USER = '@user:ada';
const NIL = { e: 'run', seq: 0 };

function note(seq: number, e = 'run.1', tp = USER): Partial<Envelope> & { t: string } {
  return { t: 'note', tp, e, seq, id: `i${seq}`, ts: '2026-01-15T10:30:00.000Z', p: seq };
}

function tell(server: FakeServer, ...topics: readonly Record<string, unknown>[]): void {
  server.last.send({ t: 'subscription_update', c: 'WSE', p: { topics } });
}

function hello(server: FakeServer): Record<string, unknown> {
  return server.last.of('client_hello')[0]?.p as Record<string, unknown>;
}

async function connected() {
  const fakes = createTestClient({});
  const seen: unknown[] = [];
  const notices: unknown[] = [];
  const resyncs: unknown[] = [];
  fakes.server.user = 'ada';
  fakes.client.on('note', (payload) => seen.push(payload));
  fakes.client.onNotice('direct', (notice) => notices.push(notice));
  fakes.client.onNotice('resync', (notice) => resyncs.push(notice));
  fakes.client.connect();
  await fakes.clock.advance(0);
  tell(fakes.server, { tp: USER, status: 'live', ...NIL });
  const back = async (): Promise<void> => {
    fakes.server.drop();
    await fakes.clock.advance(60_000);
  };
  return { ...fakes, seen, notices, resyncs, back };
}

describe('messages to the user', () => {
  it('come from the first one on, which makes their log', async () => {
    const { server, seen, notices, client } = await connected();
    expect(notices).toEqual([{ to: 'user', status: 'live', reason: null, recovered: 0 }]);
    server.last.send(note(1));
    server.last.send(note(2));
    server.last.send(note(2));
    expect(seen).toEqual([1, 2]);
    expect(server.last.of('subscription')).toEqual([]);
    expect([...client.topics.keys()]).toEqual([]);
  });

  it('are resumed from the position, with how long the client was away', async () => {
    const { server, seen, notices, back } = await connected();
    expect(hello(server)).toMatchObject({ session: '' });
    expect(hello(server)).not.toHaveProperty('away_ms');
    await back();
    expect(hello(server)).toMatchObject({ positions: { [USER]: NIL } });
    expect(hello(server)['away_ms']).toBeLessThanOrEqual(60_000);
    tell(server, { tp: USER, status: 'recovered', e: 'run.1', seq: 0, recovered: 2 });
    server.last.send(note(1));
    server.last.send(note(2));
    await back();
    expect(hello(server)).toMatchObject({ positions: { [USER]: { e: 'run.1', seq: 2 } } });
    expect(seen).toEqual([1, 2]);
    expect(notices.at(-1)).toEqual({ to: 'user', status: 'recovered', reason: null, recovered: 2 });
  });

  it('count the time that the machine slept, in which one clock stood still', async () => {
    const { server, clock, back } = await connected();
    clock.wallOffset += 3_600_000;
    await back();
    expect(hello(server)['away_ms']).toBeGreaterThanOrEqual(3_600_000);
  });

  it('that are lost are told once', async () => {
    const { server, back, resyncs, notices } = await connected();
    server.last.send(note(1));
    await back();
    tell(server, { tp: USER, status: 'resync', e: 'run.2', seq: 7, reason: 'history' });
    expect(resyncs).toEqual([{ topic: USER, reason: 'history' }]);
    expect(notices.at(-1)).toEqual({ to: 'user', status: 'resync', reason: 'history', recovered: 0 });
  });

  it('that are missing are asked for on this connection, once, and follow in order', async () => {
    const { server, seen, clock } = await connected();
    server.last.send(note(1));
    server.last.send(note(3));
    await clock.advance(10_000);
    const asked = server.last.of('subscription');
    expect(asked.map(({ p }) => p)).toEqual([{ action: 'subscribe', topics: [USER], positions: { [USER]: { e: 'run.1', seq: 1 } } }]);
    server.last.send({ t: 'subscription_update', c: 'WSE', cid: asked[0]?.cid ?? '', p: { topics: [{ tp: USER, status: 'recovered', e: 'run.1', seq: 1, recovered: 2 }] } });
    server.last.send(note(2));
    server.last.send(note(3));
    expect(seen).toEqual([1, 2, 3]);
  });

  it('of another log than the one that was begun are no continuation', async () => {
    const { server, seen } = await connected();
    server.last.send(note(1, 'running'));
    expect(seen).toEqual([]);
    expect(server.last.of('subscription')).toHaveLength(1);
  });

  it('of a name that the server has not told are nobody’s', async () => {
    const { server, seen } = await connected();
    server.last.send(note(1, 'run.1', '@user:bob'));
    expect(seen).toEqual([]);
  });

  it('of the user before are forgotten when another is there', async () => {
    const { server, client, seen, clock, back } = await connected();
    server.last.send(note(1));
    server.user = 'bob';
    client.setToken('of bob');
    await clock.advance(0);
    tell(server, { tp: USER, status: 'refused', code: 'RESERVED_TOPIC', message: 'another one’s' }, { tp: '@user:bob', status: 'live', ...NIL });
    server.last.send(note(2));
    server.last.send(note(1, 'run.9', '@user:bob'));
    expect(seen).toEqual([1, 1]);
    await back();
    expect(hello(server)['positions']).toEqual({ '@user:bob': { e: 'run.9', seq: 1 } });
  });
});

describe('the session', () => {
  const SESSION = '@session:00';

  it('is asked for, resumed, and forgotten with its messages when it is another', async () => {
    const { server, client, seen, clock } = await connected();
    server.session = 'secret';
    server.drop();
    await clock.advance(60_000);
    tell(server, { tp: SESSION, status: 'live', ...NIL });
    server.last.send(note(1, 'run.1', SESSION));
    server.drop();
    await clock.advance(60_000);
    expect(hello(server)).toMatchObject({ session: 'secret', positions: { [SESSION]: { e: 'run.1', seq: 1 } } });
    server.session = 'another';
    client.setToken('new');
    await clock.advance(0);
    server.last.send(note(2, 'run.1', SESSION));
    expect(seen).toEqual([1]);
  });
});
