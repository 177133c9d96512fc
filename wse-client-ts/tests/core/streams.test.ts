// Positions under filters and on quiet topics: beacons, skips, and messages that name the one before them ([P-34], [P-38], [P-43]).
import { describe, expect, it } from 'vitest';
import type { Envelope, SkipNotice } from '../../src/core';
import type { EventMessage } from '../../src/core/messages';
import { ReorderPool } from '../../src/core/reorder';
import { TopicStream } from '../../src/core/topic-stream';
import { createTestClient } from '../../src/testing';

async function connected() {
  const fakes = createTestClient({ topics: ['a'] });
  const seen: unknown[] = [];
  const skips: SkipNotice[] = [];
  fakes.client.on('*', (payload) => seen.push(payload));
  fakes.client.onNotice('skip', (notice) => skips.push(notice));
  fakes.client.connect();
  await fakes.clock.advance(0);
  const send = (envelope: Partial<Envelope>): void => fakes.server.last.send({ t: 'a', tp: 'a', e: 'e1', ...envelope });
  const message = (seq: number, ps?: number): void => send({ seq, id: `i${seq}`, ts: '2026-01-15T10:30:00.000Z', p: seq, ...(ps === undefined ? {} : { ps }) });
  const beacon = (seq: number, ps: number): void => send({ t: 'beacon', c: 'WSE', seq, ps });
  const skip = (from: number, to: number, ps?: number): void => send({ t: 'skip', c: 'WSE', p: { from, to, reason: 'ttl' }, ...(ps === undefined ? {} : { ps }) });
  /** The position that a new connection resumes from. */
  const position = async (): Promise<number> => {
    fakes.server.mode = 'mute';
    fakes.server.drop();
    await fakes.clock.advance(1_000);
    return (fakes.server.last.received[0]?.p as { positions: { a: { seq: number } } }).positions.a.seq;
  };
  return { ...fakes, seen, skips, message, beacon, skip, position, asked: () => fakes.server.last.of('subscription').length };
}

describe('a message that names the one before it', () => {
  it('is no gap as long as that one is not above the position, whatever lies between', async () => {
    const { message, seen, clock, asked, position } = await connected();
    message(4, 0);
    message(9, 4);
    message(12, 7);
    await clock.advance(5_000);
    expect(seen).toEqual([4, 9, 12]);
    expect(asked()).toBe(0);
    expect(await position()).toBe(12);
  });

  it('is a gap when that one is above it', async () => {
    const { message, seen, clock, asked } = await connected();
    message(4, 0);
    message(9, 6);
    expect(seen).toEqual([4]);
    await clock.advance(250);
    expect(asked()).toBe(2);
  });

  it('is handed on behind the missing one when that comes', async () => {
    const { message, seen, clock, asked } = await connected();
    message(9, 6);
    message(11, 9);
    message(6, 2);
    expect(seen).toEqual([]);
    message(2, 0);
    expect(seen).toEqual([2, 6, 9, 11]);
    await clock.advance(5_000);
    expect(asked()).toBe(0);
  });

  it('is dropped when it is not above the position', async () => {
    const { message, seen } = await connected();
    message(4, 0);
    message(4, 0);
    message(3, 0);
    expect(seen).toEqual([4]);
  });
});

describe('a beacon', () => {
  it('moves the position over what a filter kept back, silently', async () => {
    const { message, beacon, seen, clock, asked, position } = await connected();
    message(2, 0);
    beacon(7, 2);
    message(8);
    await clock.advance(5_000);
    expect(seen).toEqual([2, 8]);
    expect(asked()).toBe(0);
    expect(await position()).toBe(8);
  });

  it('finds a lost message on a topic that then stays quiet', async () => {
    const { server, clock, seen, asked } = await connected();
    server.log('a').append('a', 'lost on the way');
    server.last.send({ t: 'beacon', c: 'WSE', tp: 'a', e: 'e1', seq: 1, ps: 1 });
    await clock.advance(250);
    expect(asked()).toBe(2);
    expect(seen).toEqual(['lost on the way']);
  });

  it('of a message that the recovery then does not bring is asked for once, not for ever', async () => {
    const { server, client, message, clock, asked, seen } = await connected();
    message(3, 0);
    server.log('a').skip(9);
    server.last.send({ t: 'beacon', c: 'WSE', tp: 'a', e: 'e1', seq: 9, ps: 4 });
    await clock.advance(10_000);
    expect(asked()).toBe(2);
    expect(client.topics.get('a')?.status).toBe('recovered');
    message(10, 3);
    expect(seen).toEqual([3, 10]);
  });

  it('of another epoch is a gap, asked for at once', async () => {
    const { server, clock, asked } = await connected();
    server.log('a').restart('e2');
    server.last.send({ t: 'beacon', c: 'WSE', tp: 'a', e: 'e2', seq: 0, ps: 0 });
    await clock.advance(0);
    expect(asked()).toBe(2);
  });

  it('below the position, of a topic that nobody has, or without its fields, does nothing but say what is wrong', async () => {
    const { server, client, message, beacon, clock, asked } = await connected();
    const codes: string[] = [];
    client.onNotice('error', ({ code }) => codes.push(code));
    message(1);
    beacon(0, 0);
    server.last.send({ t: 'beacon', c: 'WSE', tp: 'other', e: 'x', seq: 9, ps: 9 });
    server.last.send({ t: 'beacon', c: 'WSE', tp: 'a', e: 'e1', seq: 5 });
    await clock.advance(5_000);
    expect(codes).toEqual(['INVALID_MESSAGE']);
    expect(asked()).toBe(0);
  });
});

describe('a skip', () => {
  it('is told to the application and moves the position on', async () => {
    const { message, skip, seen, skips, clock, asked, position } = await connected();
    message(1);
    skip(2, 5);
    message(6);
    await clock.advance(5_000);
    expect(seen).toEqual([1, 6]);
    expect(skips).toEqual([{ topic: 'a', from: 2, to: 5, reason: 'ttl' }]);
    expect(asked()).toBe(0);
    expect(await position()).toBe(6);
  });

  it('waits for what is missing before it, is told once, and under a filter names the one before it', async () => {
    const { message, skip, seen, skips } = await connected();
    skip(2, 3);
    expect(skips).toEqual([]);
    message(1);
    expect(skips).toHaveLength(1);
    skip(2, 3);
    expect(skips).toHaveLength(1);
    skip(8, 9, 3);
    message(11, 9);
    expect(skips).toHaveLength(2);
    expect(seen).toEqual([1, 11]);
  });

  it('that begins before the position is told from the position on: what came is not left out', async () => {
    const { client, message, skip, skips, position } = await connected();
    message(1);
    message(2);
    skip(1, 5);
    expect(skips).toMatchObject([{ from: 3, to: 5 }]);
    expect(client.reorderCounts.old).toBe(1);
    expect(await position()).toBe(5);
  });

  it('that begins before it once what it waited for has come, too, and is not told where it ends there', async () => {
    const { message, skip, skips, seen } = await connected();
    skip(3, 6, 2);
    message(4, 2);
    message(2, 0);
    skip(1, 4);
    expect(seen).toEqual([2, 4]);
    expect(skips).toMatchObject([{ from: 5, to: 6 }]);
  });

  it('that makes no sense is an error', async () => {
    const { server, client, skips } = await connected();
    const codes: string[] = [];
    client.onNotice('error', ({ code }) => codes.push(code));
    for (const p of [null, { from: 3, to: 2 }, { from: -1, to: 2 }, { from: '1', to: 2 }]) server.last.send({ t: 'skip', c: 'WSE', tp: 'a', e: 'e1', p });
    expect(codes).toEqual(Array(4).fill('INVALID_MESSAGE'));
    expect(skips).toEqual([]);
  });

  it('is what the fake server says of messages that it leaves out', async () => {
    const { server, seen, skips } = await connected();
    server.publish('a', 'one');
    server.skip('a', 2, 'latest');
    server.publish('a', 'four');
    expect(seen).toEqual(['one', 'four']);
    expect(skips).toEqual([{ topic: 'a', from: 2, to: 3, reason: 'latest' }]);
  });
});

it('passes over what is missing however often it is asked for, and tells it once', () => {
  const stream = new TopicStream(new ReorderPool({ items: 64, bytes: 1_000, waitMs: 0 }));
  const at = (seq: number) => ({ epoch: 'e1', seq });
  const seen: (number | undefined)[] = [];
  const come = (seq: number): boolean =>
    stream.handle(0, { kind: 'event', position: at(seq), previous: undefined, size: 1 } as EventMessage, ({ position }) => seen.push(position?.seq));
  const answer = () => stream.handleUpdate(0, { topic: 'a', topics: [], snapshot: false, status: 'recovered', position: stream.position ?? at(0), recovered: 1 });
  stream.handleUpdate(0, { topic: 'a', topics: [], snapshot: false, status: 'live', position: at(2) });
  for (let tries = 1; tries <= 3; tries += 1) expect([come(4), stream.position?.seq, answer().status]).toEqual([true, 2, 'recovered']);
  expect([come(4), stream.position?.seq]).toEqual([true, 3]);
  expect(answer()).toEqual({ status: 'resync', reason: 'unreadable', recovered: 0 });
  expect([come(4), come(5), answer().status]).toEqual([false, false, 'recovered']);
  expect(seen).toEqual([4, 5]);
});
