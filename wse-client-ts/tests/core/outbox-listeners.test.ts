// The outbox and those who use it in the middle of its work: listeners that cancel and send, tokens that come and change.
import { describe, expect, it } from 'vitest';
import { createClient, MemoryOutbox } from '../../src/core';
import { createFakes } from '../../src/testing';
import { codeOf, handling, open, quiet, storeOver, waiting } from './outbox-cases';

describe('a listener of the outbox', () => {
  it('may cancel what an earlier page left, and nothing waits for it', async () => {
    const fakes = createFakes();
    const server = handling(fakes);
    const before = await waiting(fakes, 'a', 'b');
    before.close();
    fakes.server.mode = 'accept';
    const client = createClient({ windowEvents: false }, fakes.roles);
    client.outbox.onChange((message) => message?.status === 'queued' && message.isEarlier && void client.outbox.cancel(message.id));
    client.connect();
    await fakes.clock.advance(0);
    expect([await client.sendMessage('n', 'c'), server.handled, await fakes.outbox.producers('/wse')]).toEqual(['did c', ['c'], []]);
  });

  it('may cancel what was just queued, and send when another one is sent: all keep their order', async () => {
    const fakes = createFakes();
    const server = handling(fakes);
    const client = createClient({ windowEvents: false }, fakes.roles);
    client.outbox.onChange((message) => {
      if (message?.status === 'queued' && message.payload === 'x') client.outbox.cancel(message.id);
      if (message?.status === 'sent' && message.payload === 'a') quiet(client.sendMessage('n', 'd', { keep: false }));
    });
    const cancelled = codeOf(client.sendMessage('n', 'x'));
    for (const each of ['a', 'b', 'c']) quiet(client.sendMessage('n', each));
    client.connect();
    await fakes.clock.advance(0);
    expect([await cancelled, server.handled, client.pending]).toEqual(['CANCELLED', ['a', 'b', 'c', 'd'], 0]);
  });
});

describe('a message of somebody who is not known yet', () => {
  it('waits for the first token, and goes out as its user', async () => {
    const fakes = createFakes();
    const server = handling(fakes);
    fakes.server.user = 'alice';
    const client = await open(fakes, { token: null });
    const reply = client.sendMessage('n', 'a');
    await fakes.clock.advance(0);
    client.setToken('of-alice');
    await fakes.clock.advance(0);
    expect([await reply, server.handled]).toEqual(['did a', ['a']]);
  });

  it('bears the mark of the token that the function then gives: the next page with it sends it', async () => {
    const fakes = createFakes();
    const server = handling(fakes);
    fakes.server.mode = 'hang';
    fakes.server.user = 'alice';
    const before = createClient({ windowEvents: false, token: async () => 'of-alice' }, fakes.roles);
    quiet(before.sendMessage('n', 'a'));
    before.connect();
    await fakes.clock.advance(0);
    before.close();
    fakes.server.mode = 'accept';
    await open(fakes, { token: async () => 'of-alice' });
    expect(server.handled).toEqual(['a']);
  });

  it('is not sent as the next one, whose token comes while rows are looked for', async () => {
    const fakes = createFakes();
    const server = handling(fakes);
    const inner = new MemoryOutbox();
    fakes.server.mode = 'hang';
    const roles = { ...fakes.roles, outbox: inner };
    for (const payload of ['from alice', 'from her other tab']) {
      const before = createClient({ windowEvents: false, token: 'of-alice' }, roles);
      before.connect();
      quiet(before.sendMessage('n', payload));
      await fakes.clock.advance(0);
      before.close();
    }
    fakes.server.mode = 'accept';
    fakes.server.user = 'alice';
    const slow = storeOver(inner, { rows: async (...key) => (await new Promise<void>((done) => fakes.clock.setTimer(done, 1_000)), inner.rows(...key)) });
    const client = createClient({ windowEvents: false, token: 'of-alice' }, { ...roles, outbox: slow });
    client.connect();
    await fakes.clock.advance(1_500);
    fakes.server.mode = 'hang';
    fakes.server.user = 'bob';
    client.setToken('of-bob');
    await fakes.clock.advance(1_000);
    fakes.server.mode = 'accept';
    await fakes.clock.advance(30_000);
    expect([client.state.status, server.handled, client.outbox.messages, client.outbox.ofOthers]).toEqual(['ready', [], [], 2]);
  });
});

describe('a page that is still ending when the next one looks', () => {
  it('gives its rows up within moments, not after a whole interval', async () => {
    const fakes = createFakes();
    const server = handling(fakes);
    const before = await waiting(fakes, 'a');
    fakes.server.mode = 'accept';
    const [producer = ''] = await fakes.outbox.producers('/wse');
    before.close();
    await fakes.clock.advance(0);
    const release = await fakes.outbox.claim(producer);
    await open(fakes);
    await fakes.clock.advance(500);
    expect(server.handled).toEqual([]);
    release?.();
    await fakes.clock.advance(1_000);
    expect(server.handled).toEqual(['a']);
  });
});
