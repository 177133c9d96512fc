// sendMessage: replies, errors, bounds, and what a lost connection means.
import { describe, expect, it } from 'vitest';
import type { WSEError } from '../../src/core';
import { createTestClient } from '../../src/testing';

describe('sendMessage', () => {
  it('resolves with the reply of the handler, and send is the same', async () => {
    const { client, server, clock } = createTestClient();
    server.on('add', (p) => (p as number[]).reduce((a, b) => a + b));
    client.connect();
    await clock.advance(0);
    const replies = Promise.all([client.sendMessage<number>('add', [1, 2]), client.send<number>('add', [3, 4], { timeout: 5_000 })]);
    await clock.advance(0);
    expect(await replies).toEqual([3, 7]);
    const [first, second] = server.last.of('add');
    expect(first?.cid).not.toBe(second?.cid);
    expect(second).not.toHaveProperty('pri');
  });

  it('sends what waited, in order, once server_ready has come', async () => {
    const { client, server, clock } = createTestClient();
    server.on('n', (p) => p);
    const replies = Promise.all([1, 2, 3].map((n) => client.sendMessage('n', n)));
    client.connect();
    await clock.advance(0);
    expect(await replies).toEqual([1, 2, 3]);
    expect(server.last.of('n').map(({ p }) => p)).toEqual([1, 2, 3]);
    expect(client.pending).toBe(0);
  });

  it('rejects with the code of the server', async () => {
    const { client, server, clock } = createTestClient();
    server.on('boom', () => {
      throw new Error('broken');
    });
    client.connect();
    const [failed, missing] = [client.sendMessage('boom'), client.sendMessage('nothing')];
    const outcome = Promise.all([
      expect(failed).rejects.toMatchObject({ name: 'WSEError', code: 'HANDLER_FAILED', fault: 'server' }),
      expect(missing).rejects.toMatchObject({ code: 'NO_HANDLER' }),
    ]);
    await clock.advance(0);
    await outcome;
  });

  it('that is not kept rejects with OUTCOME_UNKNOWN when the connection drops before the reply, and is not sent again', async () => {
    const { client, server, clock } = createTestClient();
    server.on('pay', () => undefined);
    client.connect();
    await clock.advance(0);
    const outcome = expect(client.sendMessage('pay', null, { keep: false })).rejects.toMatchObject({ code: 'OUTCOME_UNKNOWN' });
    await clock.advance(0);
    server.drop();
    await clock.advance(5_000);
    await outcome;
    expect(server.connections.flatMap((connection) => connection.of('pay'))).toHaveLength(1);
  });

  it('rejects with TIMEOUT after its own time, and after the default', async () => {
    const { client, server, clock } = createTestClient({ keep: false, requestTimeoutMs: 2_000 });
    server.on('slow', () => undefined);
    client.connect();
    const codes: string[] = [];
    const note = (which: string) => (error: unknown) => codes.push(`${which} ${(error as WSEError).code}`);
    client.sendMessage('slow', null, { timeout: 500 }).catch(note('own'));
    client.sendMessage('slow').catch(note('default'));
    await clock.advance(500);
    expect(codes).toEqual(['own TIMEOUT']);
    await clock.advance(1_500);
    expect(codes).toEqual(['own TIMEOUT', 'default TIMEOUT']);
  });

  it('takes no more than pendingRequests', async () => {
    const { client } = createTestClient({ keep: false, pendingRequests: 2 });
    client.sendMessage('a').catch(() => undefined);
    client.sendMessage('a').catch(() => undefined);
    await expect(client.sendMessage('a')).rejects.toMatchObject({ code: 'QUEUE_FULL' });
    expect(client.pending).toBe(2);
  });

  it('refuses what cannot be sent before it is sent', async () => {
    const { client, server, clock } = createTestClient();
    server.messageBytes = 200;
    client.connect();
    await clock.advance(0);
    const circle: Record<string, unknown> = {};
    circle['self'] = circle;
    await expect(client.sendMessage('a', circle)).rejects.toMatchObject({ code: 'INVALID_PAYLOAD', fault: 'application' });
    await expect(client.sendMessage('a', 'ä'.repeat(100))).rejects.toMatchObject({ code: 'MESSAGE_TOO_LARGE' });
    await expect(client.sendMessage('')).rejects.toMatchObject({ code: 'INVALID_MESSAGE' });
    // The server could not say whose these are.
    await expect(client.sendMessage('a', 'half \ud83d')).rejects.toMatchObject({ code: 'INVALID_PAYLOAD' });
    const nested = (levels: number): unknown => (levels === 0 ? 1 : [nested(levels - 1)]);
    await expect(client.sendMessage('a', nested(64))).rejects.toMatchObject({ code: 'TOO_DEEP', fault: 'application' });
    expect(server.last.received.map(({ t }) => t)).toEqual(['client_hello', 'ping']);
  });

  it('rejects what waited and turns out to be more than the server takes, and sends the rest', async () => {
    const { client, server, clock } = createTestClient();
    server.messageBytes = 200;
    const outcome = expect(client.sendMessage('a', 'x'.repeat(200))).rejects.toMatchObject({ code: 'MESSAGE_TOO_LARGE' });
    void client.sendMessage('b').catch(() => undefined);
    client.connect();
    await clock.advance(0);
    await outcome;
    expect(server.last.received.filter(({ c }) => c !== 'WSE').map(({ t }) => t)).toEqual(['b']);
  });

  it('rejects everything when the client is closed, and what comes after', async () => {
    const { client, server, clock } = createTestClient();
    server.mode = 'hang';
    client.connect();
    const outcome = expect(client.sendMessage('a')).rejects.toMatchObject({ code: 'CLOSED' });
    await clock.advance(0);
    client.close();
    await outcome;
    await expect(client.sendMessage('a')).rejects.toMatchObject({ code: 'CLOSED' });
  });

  it('never sends as one user what was written as another', async () => {
    const { client, server, clock } = createTestClient({ token: 'one' });
    server.mode = 'hang';
    client.connect();
    const outcome = expect(client.sendMessage('a')).rejects.toMatchObject({ code: 'TOKEN_CHANGED' });
    server.mode = 'accept';
    client.setToken('two');
    await clock.advance(0);
    await outcome;
    expect(server.last.of('a')).toHaveLength(0);
  });
});

describe('listeners', () => {
  it('get the payload and where it came from, by type or all', async () => {
    const { client, server, clock } = createTestClient({ topics: ['orders'] });
    const calls: unknown[] = [];
    const stop = client.on('shipped', (payload, meta) => calls.push([payload, meta]));
    client.on('*', (_payload, { type, topic }) => calls.push([type, topic]));
    client.connect();
    await clock.advance(0);
    server.publish('orders', { order: 1 }, 'shipped');
    stop();
    server.publish('orders', { order: 2 }, 'shipped');
    const meta = { type: 'shipped', topic: 'orders', id: 'orders-1', seq: 1, epoch: 'e1', ts: '2026-01-15T10:30:00.000Z', category: 'U', key: undefined };
    expect(calls).toEqual([[{ order: 1 }, meta], ['shipped', 'orders'], ['shipped', 'orders']]);
  });

  it('that throw are reported and harm nobody', async () => {
    const { client, server, clock, environment } = createTestClient({
      topics: ['a'],
      onError: () => {
        throw new Error('onError');
      },
    });
    const seen: unknown[] = [];
    client.on('a', () => {
      throw new Error('listener');
    });
    client.on('a', (payload) => seen.push(payload));
    client.onNotice('status', () => {
      throw new Error('notice');
    });
    client.connect();
    await clock.advance(0);
    server.publish('a', 1);
    server.last.send({ t: 'error', c: 'WSE', p: { code: 'INTERNAL', message: 'oops' } });
    expect(seen).toEqual([1]);
    expect(client.state).toMatchObject({ isConnected: true, lastError: { code: 'INTERNAL', message: 'oops' } });
    expect(environment.reports.map(({ cause }) => (cause as Error).message)).toEqual(expect.arrayContaining(['listener', 'notice', 'onError']));
  });
});
