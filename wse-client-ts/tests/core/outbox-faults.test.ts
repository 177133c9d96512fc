// The outbox over stores that fail: what is told, what is still sent, and what is not kept for ever.
import { describe, expect, it } from 'vitest';
import { createClient, MemoryOutbox, type OutboxRow, type OutboxStore } from '../../src/core';
import { createFakes } from '../../src/testing';
import { handling, quiet, storeOver } from './outbox-cases';

describe('a store that fails', () => {
  const failing = (part: Partial<OutboxStore>): OutboxStore => storeOver(new MemoryOutbox(), part);

  it.each([
    ['does not open', { open: () => Promise.reject(new Error('private mode')) }],
    ['cannot write', { write: () => Promise.reject(new Error('quota')) }],
    ['cannot read', { producers: () => Promise.reject(new Error('broken')) }],
    ['does not answer', { write: () => new Promise<void>(() => undefined) }],
  ] satisfies [string, Partial<OutboxStore>][])('because it %s is told once, and messages are kept in memory', async (_, part) => {
    const fakes = createFakes();
    const server = handling(fakes);
    const faults: string[] = [];
    const client = createClient({ onError: ({ code }) => faults.push(code) }, { ...fakes.roles, outbox: failing(part) });
    client.connect();
    const replies = Promise.all([client.sendMessage('n', 'a'), client.sendMessage('n', 'b')]);
    await fakes.clock.advance(30_000);
    expect(await replies).toEqual(['did a', 'did b']);
    expect([server.handled, faults, client.outbox.isDurable]).toEqual([['a', 'b'], ['OUTBOX_NOT_KEPT'], false]);
  });

  it('to write the epoch of a message has no row of it left, which a later page would take for new', async () => {
    const fakes = createFakes();
    const server = handling(fakes);
    server.silent = true;
    fakes.server.mode = 'hang';
    const inner = new MemoryOutbox();
    let isFull = false;
    const write: OutboxStore['write'] = (puts, removals) => (isFull && puts.length > 0 ? Promise.reject(new Error('quota')) : inner.write(puts, removals));
    const outbox = storeOver(inner, { write });
    const client = createClient({ windowEvents: false }, { ...fakes.roles, outbox });
    client.connect();
    quiet(client.sendMessage('n', 'a'));
    await fakes.clock.advance(0);
    expect(await inner.producers('/wse')).toHaveLength(1);
    isFull = true;
    fakes.server.mode = 'accept';
    await fakes.clock.advance(60_000);
    expect([server.handled, await inner.producers('/wse')]).toEqual([['a'], []]);
  });

  it('by answering late leaves nothing behind: the next look finds the rows', async () => {
    const fakes = createFakes();
    const server = handling(fakes);
    const inner = new MemoryOutbox();
    let isSlow = true;
    const rows = async (scope: string, producer: string): Promise<readonly OutboxRow[]> => {
      if (isSlow) await new Promise<void>((done) => fakes.clock.setTimer(done, 7_000));
      isSlow = false;
      return inner.rows(scope, producer);
    };
    await inner.write([{ scope: '/wse', producer: 'gone', n: 1, id: 'x', type: 'n', payload: '"a"', at: fakes.clock.wall(), user: null }], []);
    const outbox = storeOver(inner, { rows });
    const client = createClient({}, { ...fakes.roles, outbox });
    client.connect();
    await fakes.clock.advance(5_000);
    expect(server.handled).toEqual([]);
    await fakes.clock.advance(11_000);
    expect(server.handled).toEqual(['a']);
  });

  it('keeps the server from forgetting what a later page may ask for again', async () => {
    const fakes = createFakes();
    handling(fakes);
    const inner = new MemoryOutbox();
    const outbox = failing({ write: (puts, removals) => (removals.length > 0 ? Promise.reject(new Error('broken')) : inner.write(puts, removals)) });
    const client = createClient({}, { ...fakes.roles, outbox });
    client.connect();
    await fakes.clock.advance(0);
    for (const n of ['a', 'b']) {
      quiet(client.sendMessage('n', n));
      await fakes.clock.advance(0);
    }
    expect(fakes.server.last.of('n').map(({ na }) => na)).toEqual([0, 0]);
  });

  it('does not keep what a producer has sent for its life: nothing of it is in the store, so nobody will ask for it again', async () => {
    const fakes = createFakes();
    handling(fakes);
    const inner = new MemoryOutbox();
    const claimed: string[] = [];
    const claim: OutboxStore['claim'] = (id) => inner.claim(claimed[claimed.push(id) - 1] ?? '');
    const client = createClient({}, { ...fakes.roles, outbox: failing({ write: () => Promise.reject(new Error('quota')), claim }) });
    client.connect();
    await fakes.clock.advance(0);
    for (const n of ['a', 'b', 'c']) {
      quiet(client.sendMessage('n', n));
      await fakes.clock.advance(0);
    }
    expect(fakes.server.last.of('n').map(({ n, na }) => [n, na])).toEqual([[1, 0], [2, 1], [3, 2]]);
    expect([new Set(claimed).size, await inner.claim(claimed[0] ?? '')]).toEqual([1, expect.any(Function)]);
  });

  it('full, and able to remove, has nothing left either', async () => {
    const fakes = createFakes();
    handling(fakes);
    const inner = new MemoryOutbox();
    let isFull = false;
    const write: OutboxStore['write'] = (puts, removals) => (isFull && puts.length > 0 ? Promise.reject(new Error('quota')) : inner.write(puts, removals));
    const client = createClient({}, { ...fakes.roles, outbox: storeOver(inner, { write }) });
    client.connect();
    await fakes.clock.advance(0);
    // The next one is written in the step in which the one before is removed.
    client.outbox.onChange((message) => {
      if (message?.status !== 'acknowledged' || message.payload !== 'a') return;
      isFull = true;
      quiet(client.sendMessage('n', 'b'));
    });
    for (const n of ['a', 'c']) {
      quiet(client.sendMessage('n', n));
      await fakes.clock.advance(0);
    }
    expect([fakes.server.last.of('n').map(({ na }) => na), await inner.producers('/wse')]).toEqual([[0, 1, 2], []]);
  });

  it('to remove a row once is asked again at the next look', async () => {
    const fakes = createFakes();
    handling(fakes);
    const inner = new MemoryOutbox();
    // The step, and the removal that is tried by itself after it.
    let faults = 2;
    const write: OutboxStore['write'] = (puts, removals) => (removals.length > 0 && faults-- > 0 ? Promise.reject(new Error('once')) : inner.write(puts, removals));
    const client = createClient({}, { ...fakes.roles, outbox: storeOver(inner, { write }) });
    client.connect();
    await fakes.clock.advance(0);
    quiet(client.sendMessage('n', 'a'));
    await fakes.clock.advance(0);
    expect(await inner.producers('/wse')).toHaveLength(1);
    await fakes.clock.advance(15_000);
    quiet(client.sendMessage('n', 'b'));
    await fakes.clock.advance(0);
    expect([fakes.server.last.of('n').map(({ na }) => na), await inner.producers('/wse')]).toEqual([[0, 1], []]);
  });
});
