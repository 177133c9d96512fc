// The outbox beyond the usual: other users, failed messages, bounds of time and number, and stores that fail.
import { describe, expect, it } from 'vitest';
import { createClient, MemoryOutbox, type OutboxMessage, type OutboxRow, type OutboxStore } from '../../src/core';
import { createFakes } from '../../src/testing';
import { codeOf, handling, open, payloads, quiet, storeOver } from './outbox-cases';

describe('another user', () => {
  it('neither sends nor sees what the first one wrote, whose promises say so; the first one sends it later', async () => {
    const fakes = createFakes();
    const server = handling(fakes);
    fakes.server.user = 'alice';
    const client = await open(fakes, { token: 'of-alice' });
    fakes.server.mode = 'hang';
    fakes.server.drop();
    const outcome = codeOf(client.sendMessage('n', 'from alice'));
    await fakes.clock.advance(0);
    fakes.server.mode = 'accept';
    fakes.server.user = 'bob';
    client.setToken('of-bob');
    await fakes.clock.advance(0);
    expect([await outcome, server.handled, client.outbox.messages]).toEqual(['USER_CHANGED', [], []]);
    quiet(client.sendMessage('n', 'from bob'));
    await fakes.clock.advance(15_000);
    expect([server.handled, client.outbox.ofOthers]).toEqual([['from bob'], 1]);
    client.close();
    fakes.server.user = 'alice';
    await open(fakes, { token: 'of-alice-again' });
    expect(server.handled).toEqual(['from bob', 'from alice']);
  });

  it('does not send what was written before the server had named anybody, unless the token is the same', async () => {
    const fakes = createFakes();
    const server = handling(fakes);
    for (const [token, user] of [['of-alice', 'alice'], [undefined, 'carol']] as const) {
      fakes.server.mode = 'hang';
      const before = await open(fakes, token === undefined ? {} : { token });
      quiet(before.sendMessage('n', `by ${token}`));
      await fakes.clock.advance(0);
      before.close();
      fakes.server.mode = 'accept';
      fakes.server.user = user === 'alice' ? 'bob' : user;
      const other = await open(fakes, token === undefined ? {} : { token: 'of-bob' });
      expect(server.handled).toEqual([]);
      other.close();
    }
    fakes.server.user = 'alice';
    await open(fakes, { token: async () => 'of-alice' });
    expect(server.handled).toEqual(['by of-alice']);
  });

  it('of the same page writes as who it is, from the moment that the token is changed', async () => {
    const fakes = createFakes();
    const server = handling(fakes);
    fakes.server.user = 'alice';
    const client = await open(fakes, { token: 'of-alice' });
    fakes.server.mode = 'hang';
    fakes.server.drop();
    const outcome = codeOf(client.sendMessage('n', 'from alice'));
    await fakes.clock.advance(0);
    client.setToken('of-bob');
    const reply = client.sendMessage('n', 'from bob');
    await fakes.clock.advance(0);
    expect(await fakes.outbox.producers('/wse')).toHaveLength(2);
    fakes.server.mode = 'accept';
    fakes.server.user = 'bob';
    server.silent = true;
    await fakes.clock.advance(20_000);
    expect([await outcome, server.handled]).toEqual(['USER_CHANGED', ['from bob']]);
    // While bob's waits for its answer, alice's is free for a tab of hers.
    server.silent = false;
    fakes.server.user = 'alice';
    await open(fakes, { token: 'of-alice' });
    expect(server.handled).toEqual(['from bob', 'from alice']);
    quiet(reply);
  });

  it('does not see what has failed for the first one', async () => {
    const fakes = createFakes();
    fakes.server.user = 'alice';
    const client = await open(fakes, { token: 'of-alice' });
    quiet(client.sendMessage('nobody', 'a'));
    await fakes.clock.advance(0);
    expect(payloads(client)).toEqual(['a failed']);
    fakes.server.user = 'bob';
    client.setToken('of-bob');
    await fakes.clock.advance(0);
    expect([payloads(client), client.outbox.ofOthers]).toEqual([[], 1]);
    fakes.server.user = 'alice';
    client.setToken('of-alice');
    await fakes.clock.advance(0);
    expect([payloads(client), client.outbox.ofOthers]).toEqual([['a failed'], 0]);
  });

  it('of the same page does not inherit it either: what had no owner is refused', async () => {
    const fakes = createFakes();
    const server = handling(fakes);
    fakes.server.mode = 'hang';
    const client = await open(fakes, { token: 'of-alice' });
    const outcome = codeOf(client.sendMessage('n', 'a'));
    fakes.server.mode = 'accept';
    client.setToken('of-bob');
    await fakes.clock.advance(0);
    expect([await outcome, server.handled, await fakes.outbox.producers('/wse')]).toEqual(['TOKEN_CHANGED', [], []]);
  });

  it('is not who comes back with another token of the same user', async () => {
    const fakes = createFakes();
    const server = handling(fakes);
    fakes.server.user = 'alice';
    const client = await open(fakes, { token: 'one' });
    fakes.server.mode = 'hang';
    fakes.server.drop();
    const reply = client.sendMessage('n', 'a');
    fakes.server.mode = 'accept';
    client.setToken('two');
    await fakes.clock.advance(0);
    expect([await reply, server.handled]).toEqual(['did a', ['a']]);
  });
});

describe('what has failed', () => {
  it('is kept over a reload until it is sent anew or cancelled', async () => {
    const fakes = createFakes();
    const server = handling(fakes);
    let isBroken = true;
    fakes.server.on('flaky', (payload) => {
      if (isBroken) throw new Error('not yet');
      return payload;
    });
    const before = await open(fakes);
    const outcomes = Promise.all([codeOf(before.sendMessage('flaky', 'a')), codeOf(before.sendMessage('flaky', 'b'))]);
    await fakes.clock.advance(0);
    expect([await outcomes, payloads(before)]).toEqual([['HANDLER_FAILED', 'HANDLER_FAILED'], ['a failed', 'b failed']]);
    before.close();
    const after = await open(fakes);
    const [a, b] = after.outbox.messages as [OutboxMessage, OutboxMessage];
    expect([a.error?.code, after.outbox.counts]).toEqual(['HANDLER_FAILED', { queued: 0, sent: 0, failed: 2 }]);
    isBroken = false;
    const again = after.outbox.retry(a.id);
    await fakes.clock.advance(0);
    expect([await again, after.outbox.cancel(b.id), after.outbox.messages]).toEqual(['a', true, []]);
    expect(await codeOf(after.outbox.retry(a.id))).toBe('NOT_FAILED');
    await fakes.clock.advance(0);
    expect([await fakes.outbox.producers('/wse'), server.handled]).toEqual([[], []]);
  });

  it('is bounded: of more than a hundred the oldest are forgotten, in the store too', async () => {
    const fakes = createFakes();
    const client = await open(fakes);
    for (let n = 0; n < 103; n += 1) quiet(client.sendMessage('nobody', String(n)));
    await fakes.clock.advance(0);
    expect([client.outbox.counts.failed, client.outbox.messages[0]?.payload]).toEqual([100, '3']);
    const [producer = ''] = await fakes.outbox.producers('/wse');
    expect(await fakes.outbox.rows('/wse', producer)).toHaveLength(100);
  });

  it('does not keep the server from forgetting outcomes', async () => {
    const fakes = createFakes();
    handling(fakes);
    const client = await open(fakes);
    quiet(client.sendMessage('nobody', 'a'));
    await fakes.clock.advance(0);
    quiet(client.sendMessage('n', 'b'));
    await fakes.clock.advance(0);
    expect(fakes.server.last.of('n')).toMatchObject([{ n: 2, na: 1 }]);
  });
});

describe('a queued message', () => {
  it('can be cancelled; one that was sent cannot', async () => {
    const fakes = createFakes();
    const server = handling(fakes);
    fakes.server.mode = 'hang';
    const client = await open(fakes);
    const outcome = codeOf(client.sendMessage('n', 'a'));
    expect(client.outbox.cancel(client.outbox.messages[0]?.id ?? '')).toBe(true);
    expect([await outcome, client.pending, client.outbox.cancel('nothing')]).toEqual(['CANCELLED', 0, false]);
    fakes.server.mode = 'accept';
    server.silent = true;
    quiet(client.sendMessage('n', 'b'));
    await fakes.clock.advance(20_000);
    expect([server.handled, client.outbox.cancel(client.outbox.messages[0]?.id ?? '')]).toEqual([['b'], false]);
  });

  it('of a user who never came back is removed after seven ages', async () => {
    const fakes = createFakes();
    fakes.server.user = 'alice';
    const client = await open(fakes, { token: 'of-alice' });
    quiet(client.sendMessage('nobody', 'a'));
    await fakes.clock.advance(0);
    client.close();
    fakes.server.user = 'bob';
    for (const [days, left] of [[6, 1], [1, 0]] as const) {
      fakes.clock.wallOffset += days * 86_400_000;
      (await open(fakes, { token: 'of-bob' })).close();
      await fakes.clock.advance(0);
      expect(await fakes.outbox.producers('/wse')).toHaveLength(left);
    }
  });

  it('that was sent expires with the outcomes that the server keeps, where those go first', async () => {
    const fakes = createFakes();
    handling(fakes).silent = true;
    fakes.server.outcomesMs = 60_000;
    const client = await open(fakes);
    const outcome = codeOf(client.sendMessage('n', 'a'));
    await fakes.clock.advance(75_000);
    expect([await outcome, client.outbox.messages[0]?.error?.message]).toMatchObject(['EXPIRED', expect.stringContaining('may have been handled')]);
  });

  it('that was sent is not sent again once the server may have forgotten it, however long no timer ran', async () => {
    const fakes = createFakes();
    const server = handling(fakes);
    server.silent = true;
    const client = await open(fakes);
    const outcome = codeOf(client.sendMessage('n', 'a'));
    await fakes.clock.advance(0);
    fakes.server.mode = 'hang';
    fakes.server.drop();
    fakes.server.outcomes.clear();
    fakes.clock.wallOffset += 27 * 3_600_000;
    fakes.server.mode = 'accept';
    await fakes.clock.advance(5_000);
    expect([await outcome, server.handled]).toEqual(['EXPIRED', ['a']]);
  });

  it('whose user comes back after seven ages is told as expired', async () => {
    const fakes = createFakes();
    fakes.server.user = 'alice';
    fakes.server.mode = 'hang';
    const before = await open(fakes, { token: 'of-alice' });
    quiet(before.sendMessage('n', 'a'));
    await fakes.clock.advance(0);
    before.close();
    fakes.clock.wallOffset += 8 * 86_400_000;
    fakes.server.mode = 'accept';
    const client = await open(fakes, { token: 'of-alice' });
    expect(client.outbox.messages.map(({ error }) => error?.code)).toEqual(['EXPIRED']);
  });

  it('expires in an open page too', async () => {
    const fakes = createFakes();
    fakes.server.mode = 'hang';
    const client = await open(fakes, { outboxAgeMs: 60_000 });
    const outcome = codeOf(client.sendMessage('n', 'a'));
    await fakes.clock.advance(75_000);
    expect([await outcome, client.pending, client.outbox.messages[0]?.error?.message]).toMatchObject(['EXPIRED', 0, expect.stringContaining('never sent')]);
  });
});

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
});
