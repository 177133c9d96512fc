// Messages that are kept until the server has handled them: over lost connections and closed clients ([P-51] to [P-55]).
import { describe, expect, it } from 'vitest';
import { createClient } from '../../src/core';
import { createFakes, createTestClient } from '../../src/testing';
import { codeOf, handling, open, payloads, quiet, told, waiting } from './outbox-cases';

describe('a kept message', () => {
  it('is numbered by its producer, says how far outcomes are known, and bears no epoch the first time', async () => {
    const fakes = createFakes();
    handling(fakes);
    const client = await open(fakes);
    expect(await client.sendMessage('n', 'a')).toBe('did a');
    expect(await client.sendMessage('n', 'b')).toBe('did b');
    const [first, second] = fakes.server.last.of('n');
    expect(first).toMatchObject({ n: 1, na: 0, p: 'a' });
    expect(second).toMatchObject({ pid: first?.pid, n: 2, na: 1 });
    expect([first, second].map((envelope) => envelope?.pe)).toEqual([undefined, undefined]);
    expect([client.outbox.messages, await fakes.outbox.producers('/wse')]).toEqual([[], []]);
  });

  it('goes through queued, sent and acknowledged, each told once, and leaves the store', async () => {
    const fakes = createFakes();
    handling(fakes);
    const client = createClient({}, fakes.roles);
    const log = told(client);
    const reply = client.sendMessage('n', 'a');
    await fakes.clock.advance(0);
    expect([payloads(client), client.outbox.counts]).toEqual([['a queued'], { queued: 1, sent: 0, failed: 0 }]);
    const [producer = ''] = await fakes.outbox.producers('/wse');
    expect(await fakes.outbox.rows('/wse', producer)).toMatchObject([{ n: 1, type: 'n', payload: '"a"' }]);
    client.connect();
    await fakes.clock.advance(0);
    expect(await reply).toBe('did a');
    expect(log).toEqual(['a queued', 'a sent', 'a acknowledged']);
    expect(await fakes.outbox.producers('/wse')).toEqual([]);
  });

  it('stands in the store with its epoch before it is sent', async () => {
    const fakes = createFakes();
    const server = handling(fakes);
    server.silent = true;
    const client = await open(fakes);
    const rows = async (): Promise<unknown> => fakes.outbox.rows('/wse', (await fakes.outbox.producers('/wse'))[0] ?? '');
    quiet(client.sendMessage('n', 'a'));
    const atSending = new Promise((resolve) => client.outbox.onChange((message) => message?.status === 'sent' && resolve(rows())));
    expect(await atSending).toMatchObject([{ epoch: 'p1', user: null }]);
  });

  it('is sent again after the connection was lost, with the epoch of the first time, and handled once', async () => {
    const fakes = createFakes();
    const server = handling(fakes);
    const client = await open(fakes);
    const reply = client.sendMessage('n', 'a');
    // Its answer is lost.
    while (fakes.server.last.of('n').length === 0) await Promise.resolve();
    fakes.server.last.isDead = true;
    await fakes.clock.advance(0);
    fakes.server.drop();
    await fakes.clock.advance(2_000);
    expect(await reply).toBe('did a');
    expect(fakes.server.last.of('n')).toMatchObject([{ n: 1, pe: 'p1' }]);
    expect(server.handled).toEqual(['a']);
  });

  it('whose outcome is lost with the server is told as unknown, and not handled again', async () => {
    const fakes = createFakes();
    const server = handling(fakes);
    server.silent = true;
    const client = await open(fakes);
    const log = told(client);
    const outcome = codeOf(client.sendMessage('n', 'a'));
    await fakes.clock.advance(0);
    fakes.server.drop();
    fakes.server.producers = 'p2';
    fakes.server.outcomes.clear();
    await fakes.clock.advance(2_000);
    expect(await outcome).toBe('OUTCOME_UNKNOWN');
    expect([server.handled, log.at(-1)]).toEqual([['a'], 'a failed OUTCOME_UNKNOWN']);
  });

  it('that was never sent is new to whichever server it comes to', async () => {
    const fakes = createFakes();
    const server = handling(fakes);
    const client = await open(fakes);
    fakes.server.mode = 'refuse';
    fakes.server.drop();
    const reply = client.sendMessage('n', 'a');
    await fakes.clock.advance(0);
    fakes.server.mode = 'accept';
    fakes.server.producers = 'p2';
    await fakes.clock.advance(5_000);
    expect([await reply, server.handled, fakes.server.last.of('n')[0]?.pe]).toEqual(['did a', ['a'], undefined]);
  });

  it('keeps its place among those that are not kept', async () => {
    const fakes = createFakes();
    const server = handling(fakes);
    const client = await open(fakes);
    const replies = [1, 2, 3, 4, 5, 6].map((n) => client.sendMessage('n', n, { keep: n % 2 === 0 }));
    await fakes.clock.advance(0);
    await Promise.all(replies);
    expect(server.handled).toEqual([1, 2, 3, 4, 5, 6]);
    expect(fakes.server.last.of('n').map(({ pid }) => pid !== undefined)).toEqual([false, true, false, true, false, true]);
  });

  it('with a timeout leaves its promise, and not the outbox', async () => {
    const fakes = createFakes();
    const server = handling(fakes);
    fakes.server.mode = 'hang';
    const client = await open(fakes);
    const log = told(client);
    const outcome = codeOf(client.sendMessage('n', 'a', { timeout: 500 }));
    await fakes.clock.advance(500);
    expect([await outcome, payloads(client)]).toEqual(['TIMEOUT', ['a queued']]);
    fakes.server.mode = 'accept';
    await fakes.clock.advance(20_000);
    expect([server.handled, log.at(-1)]).toEqual([['a'], 'a acknowledged']);
  });

  it('is sent once, without a number, where the server keeps no outcomes', async () => {
    const fakes = createFakes();
    const server = handling(fakes);
    fakes.server.producers = null;
    server.silent = true;
    const client = await open(fakes);
    const outcome = codeOf(client.sendMessage('n', 'a'));
    await fakes.clock.advance(0);
    fakes.server.drop();
    await fakes.clock.advance(2_000);
    expect([await outcome, server.handled, fakes.server.connections[0]?.of('n')[0]?.pid]).toEqual(['OUTCOME_UNKNOWN', ['a'], undefined]);
  });

  it('that was sent is not sent again to a server that keeps no outcomes', async () => {
    const fakes = createFakes();
    const server = handling(fakes);
    server.silent = true;
    const client = await open(fakes);
    const outcome = codeOf(client.sendMessage('n', 'a'));
    await fakes.clock.advance(0);
    fakes.server.drop();
    fakes.server.producers = null;
    await fakes.clock.advance(2_000);
    expect([await outcome, server.handled, fakes.server.last.of('n')]).toEqual(['OUTCOME_UNKNOWN', ['a'], []]);
  });

  it('is refused when the outbox is full, by number and by bytes, and not dropped', async () => {
    const { client } = createTestClient({ outboxMessages: 2, outboxBytes: 100 });
    quiet(client.sendMessage('n', 'x'.repeat(60)));
    expect(await codeOf(client.sendMessage('n', 'x'.repeat(60)))).toBe('OUTBOX_FULL');
    quiet(client.sendMessage('n', 'b'));
    expect(await codeOf(client.sendMessage('n', 'c'))).toBe('OUTBOX_FULL');
    expect(client.outbox.counts).toEqual({ queued: 2, sent: 0, failed: 0 });
    quiet(client.sendMessage('n', 'c', { keep: false }));
    expect(client.pending).toBe(3);
  });

  it('moves with its connection: its answer is awaited on the first socket, and asked for on the second', async () => {
    const fakes = createFakes();
    const server = handling(fakes);
    server.silent = true;
    const client = await open(fakes);
    const reply = client.sendMessage('n', 'a');
    await fakes.clock.advance(0);
    fakes.server.move();
    await fakes.clock.advance(0);
    expect(fakes.server.last.of('n')).toHaveLength(0);
    const { pid, n } = fakes.server.connections[0]?.of('n')[0] ?? {};
    fakes.server.outcomes.done({ v: 2, t: 'n', pid: pid ?? '', n: n ?? 0 }, null, { t: 'reply', p: 'done elsewhere' });
    fakes.server.connections[0]?.close(1012);
    await fakes.clock.advance(0);
    expect([await reply, server.handled, fakes.server.last.of('n')[0]?.pe]).toEqual(['done elsewhere', ['a'], 'p1']);
  });
});

describe('rows of a page that is gone', () => {
  it('that a lost connection had no time to send are new to whichever server they come to', async () => {
    const fakes = createFakes();
    const server = handling(fakes);
    const before = await open(fakes);
    fakes.server.mode = 'refuse';
    quiet(before.sendMessage('n', 'a'));
    fakes.server.drop();
    await fakes.clock.advance(0);
    expect([payloads(before), server.handled]).toEqual([['a queued'], []]);
    before.close();
    await fakes.clock.advance(0);
    fakes.server.mode = 'accept';
    fakes.server.producers = 'p2';
    const client = createClient({}, fakes.roles);
    const log = told(client);
    client.connect();
    await fakes.clock.advance(0);
    expect([server.handled, log.at(-1), fakes.server.last.of('n')[0]?.pe]).toEqual([['a'], 'a acknowledged earlier', undefined]);
  });

  it('go out before what the new page sends, in order, and report to the outbox', async () => {
    const fakes = createFakes();
    const server = handling(fakes);
    fakes.server.mode = 'hang';
    const before = await open(fakes);
    const outcomes = Promise.all(['a', 'b', 'c'].map((n) => codeOf(before.sendMessage('n', n))));
    await fakes.clock.advance(0);
    before.close();
    expect(await outcomes).toEqual(['CLOSED', 'CLOSED', 'CLOSED']);
    fakes.server.mode = 'accept';
    const after = createClient({}, fakes.roles);
    const log = told(after);
    const reply = after.sendMessage('n', 'd');
    after.connect();
    await fakes.clock.advance(0);
    expect(await reply).toBe('did d');
    expect(server.handled).toEqual(['a', 'b', 'c', 'd']);
    expect(log.filter((entry) => entry.includes('acknowledged'))).toEqual(['a acknowledged earlier', 'b acknowledged earlier', 'c acknowledged earlier', 'd acknowledged']);
    expect(await fakes.outbox.producers('/wse')).toEqual([]);
  });

  it('with an acknowledgement that was lost are handled once, an hour later', async () => {
    const fakes = createFakes();
    const server = handling(fakes);
    const before = await open(fakes);
    quiet(before.sendMessage('n', 'a'));
    while (fakes.server.last.of('n').length === 0) await Promise.resolve();
    fakes.server.last.isDead = true;
    await fakes.clock.advance(0);
    before.close();
    fakes.clock.wallOffset += 3_600_000;
    const after = createClient({}, fakes.roles);
    const log = told(after);
    after.connect();
    await fakes.clock.advance(0);
    expect([server.handled, log]).toEqual([['a'], ['a sent earlier', 'a acknowledged earlier']]);
  });

  it('are told as expired when they are a day old, and not sent', async () => {
    const fakes = createFakes();
    const server = handling(fakes);
    const before = await waiting(fakes, 'a');
    before.close();
    fakes.server.mode = 'accept';
    fakes.clock.wallOffset += 86_400_000;
    const after = createClient({}, fakes.roles);
    const log = told(after);
    after.connect();
    await fakes.clock.advance(0);
    expect([server.handled, log, payloads(after)]).toEqual([[], ['a failed earlier EXPIRED'], ['a failed']]);
  });

  it('are left alone while their page lives, and taken over soon after it is gone', async () => {
    const fakes = createFakes();
    const server = handling(fakes);
    const first = await waiting(fakes, 'a');
    fakes.server.mode = 'accept';
    const second = await open(fakes);
    expect([server.handled, second.outbox.messages]).toEqual([[], []]);
    first.close();
    await fakes.clock.advance(15_000);
    expect(server.handled).toEqual(['a']);
  });

  it('are sent by the same client when it is opened again', async () => {
    const fakes = createFakes();
    const server = handling(fakes);
    fakes.server.mode = 'hang';
    const client = await open(fakes);
    quiet(client.sendMessage('n', 'a'));
    client.close();
    fakes.server.mode = 'accept';
    client.connect();
    await fakes.clock.advance(0);
    expect(server.handled).toEqual(['a']);
  });

  it('of another service stay where they are', async () => {
    const fakes = createFakes();
    const server = handling(fakes);
    fakes.server.mode = 'hang';
    const orders = await open(fakes, { endpoints: '/orders?v=1' });
    quiet(orders.sendMessage('n', 'a'));
    await fakes.clock.advance(0);
    orders.close();
    fakes.server.mode = 'accept';
    const chat = await open(fakes, { endpoints: '/chat' });
    expect([server.handled, chat.outbox.messages, chat.outbox.ofOthers]).toEqual([[], [], 0]);
    await open(fakes, { endpoints: '/orders?v=2' });
    expect(server.handled).toEqual(['a']);
  });

  it('that have not been sent do not hold back what is known of later ones for good', async () => {
    const fakes = createFakes();
    handling(fakes);
    fakes.server.mode = 'hang';
    const before = await open(fakes);
    for (const n of ['a', 'b']) quiet(before.sendMessage('n', n));
    await fakes.clock.advance(0);
    before.close();
    fakes.server.mode = 'accept';
    await open(fakes);
    expect(fakes.server.last.of('n').map(({ n, na }) => [n, na])).toEqual([[1, 0], [2, 0]]);
  });
});
