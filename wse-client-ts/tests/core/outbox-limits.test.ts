// The outbox beyond the usual: other users, failed messages, and bounds of time and number.
import { describe, expect, it } from 'vitest';
import type { MemoryOutbox, OutboxMessage } from '../../src/core';
import { createFakes } from '../../src/testing';
import { codeOf, handling, open, payloads, quiet } from './outbox-cases';

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

describe('what pages left that are gone', () => {
  const left = (inner: MemoryOutbox, producer: string, payloads: readonly string[], at: number): Promise<void> =>
    inner.write(payloads.map((payload, index) => ({ scope: '/wse', producer, n: index + 1, id: `${producer}${index}`, type: 'n', payload: JSON.stringify(payload), at: at + index, user: null })), []);

  it.each([
    ['messages', { outboxMessages: 3 }],
    ['bytes', { outboxBytes: 20 }],
  ])('is taken over within the bound of %s, page by page; what has no room is left to others, and taken once there is some', async (_, options) => {
    const fakes = createFakes();
    const server = handling(fakes);
    for (const [index, page] of ['a', 'b', 'c'].entries()) await left(fakes.outbox, page, [`${page} 1`, `${page} 2`], fakes.clock.wall() + index * 10);
    await open(fakes, options);
    expect(server.handled).toEqual(['a 1', 'a 2']);
    const free = await fakes.outbox.claim('b');
    expect(free).not.toBeNull();
    free?.();
    await fakes.clock.advance(15_000);
    expect([server.handled, await fakes.outbox.producers('/wse')]).toEqual([['a 1', 'a 2', 'b 1', 'b 2', 'c 1', 'c 2'], []]);
  });

  it('is taken over whole where one page left more than the bound, as one of another version may have', async () => {
    const fakes = createFakes();
    const server = handling(fakes);
    await left(fakes.outbox, 'large', ['1', '2', '3', '4'], fakes.clock.wall());
    await open(fakes, { outboxMessages: 2 });
    expect(server.handled).toEqual(['1', '2', '3', '4']);
  });
});
