// The connection: handshake, reconnects, liveness, endpoints, as counted at the fake server.
import { describe, expect, it } from 'vitest';
import { createClient } from '../../src/core';
import { DEFAULTS } from '../../src/core/defaults.gen';
import { createTestClient } from '../../src/testing';

describe('handshake', () => {
  it('opens nothing before connect is called', async () => {
    const { server, clock } = createTestClient({ topics: ['a'] });
    await clock.advance(60_000);
    expect(server.connections).toHaveLength(0);
    expect(clock.waiting).toBe(0);
  });

  it('offers wse.v2, says hello first with versions, formats, token, topics and its name, and is connected only after server_ready', async () => {
    const { client, server, clock } = createTestClient({ topics: ['a', 'b'], token: 'secret' });
    server.mode = 'mute';
    client.connect();
    await clock.advance(100);
    expect(server.last.protocols).toEqual(['wse.v2']);
    expect(server.last.url).toBe('ws://localhost:8000/wse');
    expect(server.last.received).toHaveLength(1);
    expect(server.last.received[0]).toMatchObject({
      v: 2,
      t: 'client_hello',
      c: 'WSE',
      p: { versions: [2], formats: ['json'], token: 'secret', topics: ['a', 'b'], client: 'wse-client/0.1.0' },
    });
    expect(client.state).toMatchObject({ status: 'authenticating', isConnected: false, connectionHealth: 'offline' });
    server.last.send({ t: 'server_hello', c: 'WSE', p: {} });
    expect(client.state.isConnected).toBe(false);
    server.last.send({ t: 'server_ready', c: 'WSE', p: { connection: 'c1', user: 'u1' } });
    expect(client.state).toMatchObject({ status: 'ready', isConnected: true, user: 'u1', connection: 'c1' });
  });

  it('sends no token key when it is anonymous, and opens no socket while the token is null', async () => {
    const anonymous = createTestClient();
    anonymous.client.connect();
    await anonymous.clock.advance(0);
    expect(anonymous.server.last.received[0]?.p).not.toHaveProperty('token');

    const waiting = createTestClient({ token: null });
    waiting.client.connect();
    await waiting.clock.advance(60_000);
    expect(waiting.server.connections).toHaveLength(0);
    waiting.client.setToken('now');
    await waiting.clock.advance(0);
    expect(waiting.server.connections).toHaveLength(1);
    expect(waiting.server.last.received[0]?.p).toMatchObject({ token: 'now' });
  });

  it('asks an async token function at every attempt', async () => {
    let calls = 0;
    const { client, server, clock } = createTestClient({ token: async () => `token-${++calls}` });
    client.connect();
    await clock.advance(0);
    server.drop();
    await clock.advance(1_000);
    expect(server.connections.map(({ received }) => (received[0]?.p as { token: string }).token)).toEqual(['token-1', 'token-2']);
  });

  it('lets the socket go when the token becomes null, also after a refusal, and returns with the next one', async () => {
    const { client, server, clock } = createTestClient({ token: 'one' });
    client.connect();
    await clock.advance(0);
    server.drop(4401);
    client.setToken(null);
    await clock.advance(60_000);
    expect(client.state.status).toBe('idle');
    expect(server.connections).toHaveLength(1);
    client.setToken('two');
    await clock.advance(0);
    expect(client.state.isConnected).toBe(true);
    client.setToken(null);
    expect(server.open).toHaveLength(0);
  });

  it('reconnects at once with another token', async () => {
    const { client, server, clock } = createTestClient({ token: 'one' });
    client.connect();
    await clock.advance(0);
    client.setToken('two');
    await clock.advance(0);
    expect(server.connections).toHaveLength(2);
    expect(server.open).toHaveLength(1);
    expect(server.last.received[0]?.p).toMatchObject({ token: 'two' });
  });
});

describe('reconnect', () => {
  it('returns after full-jitter waits that double up to the cap, then waits the whole cap', async () => {
    const { client, server, clock, environment } = createTestClient({ backoffBaseMs: 1_000, backoffCapMs: 8_000, breakerFailures: 6 });
    server.mode = 'refuse';
    environment.draw = 0.5;
    const opened: number[] = [];
    client.onNotice('status', ({ status }) => status === 'connecting' && opened.push(clock.now()));
    client.connect();
    await clock.advance(60_000);
    const waits = opened.slice(1).map((at, index) => at - (opened[index] ?? 0));
    expect(waits.slice(0, 7)).toEqual([500, 1_000, 2_000, 4_000, 4_000, 8_000, 8_000]);
    expect(server.connections).toHaveLength(opened.length);
  });

  it('counts tries from the first again once a connection was ready for long enough, and no sooner', async () => {
    const { client, server, clock, environment } = createTestClient();
    environment.draw = 0.5;
    client.connect();
    const stable = DEFAULTS.backoffStableMs;
    for (const [ready, wait] of [
      [stable - 1, 500],
      [stable - 1, 1_000],
      [stable, 500],
    ] as const) {
      await clock.advance(ready);
      const before = server.connections.length;
      server.drop(1006);
      await clock.advance(wait - 1);
      expect(server.connections).toHaveLength(before);
      await clock.advance(1);
      expect(server.connections).toHaveLength(before + 1);
    }
  });

  it.each([1000, 1001, 1006, 1011, 1013, 4001, 4002, 4003])('returns after close %i', async (code) => {
    const { client, server, clock } = createTestClient();
    client.connect();
    await clock.advance(0);
    server.drop(code);
    expect(client.state).toMatchObject({ status: 'waiting', isConnected: false, connectionHealth: 'offline' });
    await clock.advance(1_000);
    expect(server.connections).toHaveLength(2);
    expect(client.state.isConnected).toBe(true);
  });

  it.each([4400, 4401, 4403, 4406, 4429, 4499])('stays away after the fatal close %i until connect is called', async (code) => {
    const { client, server, clock } = createTestClient();
    client.connect();
    await clock.advance(0);
    server.drop(code);
    await clock.advance(600_000);
    expect(server.connections).toHaveLength(1);
    expect(client.state).toMatchObject({ status: 'closed', error: { code: 'CONNECTION_REFUSED' } });
    client.connect();
    await clock.advance(0);
    expect(server.connections).toHaveLength(2);
  });

  it('reports the error that came before a fatal close', async () => {
    const { client, server, clock } = createTestClient({ token: 'bad' });
    server.refusal = { code: 'AUTH_FAILED', close: 4401, message: 'no such user' };
    client.connect();
    const reply = client.sendMessage('x');
    await clock.advance(60_000);
    await expect(reply).rejects.toMatchObject({ code: 'AUTH_FAILED', message: 'no such user', fault: 'peer' });
    expect(client.state).toMatchObject({ status: 'closed', error: { code: 'AUTH_FAILED' } });
    expect(server.connections).toHaveLength(1);
  });

  it('does not take the error of some message for the reason why the network broke', async () => {
    const { client, server, clock } = createTestClient();
    client.connect();
    await clock.advance(0);
    server.last.send({ t: 'error', c: 'WSE', p: { code: 'HANDLER_FAILED', message: 'it raised' } });
    server.drop();
    expect(client.state.error).toMatchObject({ code: 'CONNECTION_LOST' });
    await clock.advance(1_000);
    server.last.send({ t: 'error', c: 'WSE', p: { code: 'SLOW_CONSUMER', message: 'too slow' } });
    server.drop(4001);
    expect(client.state.error).toMatchObject({ code: 'SLOW_CONSUMER', message: 'too slow' });
    await clock.advance(1_000);
    server.last.send({ t: 'error', c: 'WSE', p: { code: 'SLOW_CONSUMER', message: 'too slow' } });
    server.last.send({ t: 'ping', c: 'WSE', p: 1 });
    server.drop(4401);
    expect(client.state.error).toMatchObject({ code: 'CONNECTION_REFUSED' });
  });

  it('backs off from a server that closes with 1012 time and again and is never ready ([P-22])', async () => {
    const { server, clock, waits } = await returning();
    server.mode = 'mute';
    server.drop(1012);
    for (let tries = 0; tries < 13; tries += 1) {
      await clock.advance(tries < 10 ? 100 : 500 * 2 ** (tries - 10));
      server.drop(1012);
    }
    expect(waits()).toEqual([...Array<number>(10).fill(100), 500, 1_000, 2_000]);
  });

  it('spreads its return over retry_ms for ten tries after close 1012, then backs off as usual', async () => {
    const { server, clock, waits } = await returning();
    server.mode = 'refuse';
    server.drop(1012);
    await clock.advance(4_000);
    expect(waits().slice(0, 12)).toEqual([...Array<number>(10).fill(100), 500, 1_000]);
  });

  it('gives an attempt up that is not ready within the connect timeout, also when the socket is open', async () => {
    for (const mode of ['hang', 'mute'] as const) {
      const { client, server, clock } = createTestClient({ connectTimeoutMs: 3_000 });
      server.mode = mode;
      client.connect();
      await clock.advance(2_999);
      expect(server.open).toHaveLength(1);
      await clock.advance(1);
      expect(server.open).toHaveLength(0);
      expect(client.state.status).toBe('waiting');
      await clock.advance(500);
      expect(server.connections).toHaveLength(2);
    }
  });

  it('never has two sockets at a time, whatever calls and events come', async () => {
    const { client, server, clock, environment } = createTestClient();
    let most = 0;
    for (let step = 0; step < 40; step += 1) {
      client.connect();
      environment.emit('online');
      environment.emit('visible');
      environment.emit('wake');
      if (step % 3 === 0) server.drop();
      if (step % 7 === 0) client.setToken(`token-${step}`);
      await clock.advance(step % 5 === 0 ? 700 : 0);
      most = Math.max(most, server.open.length);
    }
    expect(most).toBe(1);
  });

  it('returns at once when the network or the page comes back', async () => {
    for (const event of ['online', 'visible', 'wake', 'pageshow'] as const) {
      const { client, server, clock, environment } = createTestClient();
      environment.draw = 0.999;
      client.connect();
      await clock.advance(0);
      server.drop();
      await clock.advance(1);
      expect(server.connections).toHaveLength(1);
      environment.emit(event);
      await clock.advance(0);
      expect(server.connections).toHaveLength(2);
    }
  });

  it('lets go of socket, timers and page events when it is closed', async () => {
    const { client, server, clock, environment } = createTestClient({ topics: ['a'] });
    client.connect();
    await clock.advance(20_000);
    client.close();
    await clock.advance(0);
    expect(server.open).toHaveLength(0);
    expect(server.last.clientCloseCode).toBe(1000);
    expect(environment.watchers).toBe(0);
    expect(clock.waiting).toBe(0);
    expect(client.state).toMatchObject({ status: 'closed', error: null });
  });
});

describe('endpoints', () => {
  it('moves to the next endpoint after a failed attempt and remembers the one that worked', async () => {
    const fakes = createTestClient({ endpoints: ['http://one.test/wse', 'https://two.test/wse'] });
    const { client, server, clock } = fakes;
    server.mode = 'refuse';
    client.connect();
    await clock.advance(0);
    server.mode = 'accept';
    await clock.advance(1_000);
    expect(server.connections.map(({ url }) => url)).toEqual(['ws://one.test/wse', 'wss://two.test/wse']);
    expect(client.state.isConnected).toBe(true);
    server.drop();
    await clock.advance(1_000);
    expect(server.last.url).toBe('wss://two.test/wse');
    const nextPage = createClient({ endpoints: ['http://one.test/wse', 'https://two.test/wse'] }, fakes.roles);
    nextPage.connect();
    await clock.advance(0);
    expect(server.last.url).toBe('wss://two.test/wse');
    expect(server.connections).toHaveLength(4);
  });

  it('says what is wrong with an endpoint that is no URL', async () => {
    const { client, clock, environment } = createTestClient({ endpoints: 'ftp://host/' });
    environment.origin = null;
    client.connect();
    await clock.advance(0);
    expect(client.state.error).toMatchObject({ code: 'INVALID_ENDPOINT', fault: 'configuration' });
  });
});

describe('liveness', () => {
  it('pings at once and then every heartbeat of server_hello, and answers pings of the server', async () => {
    const { client, server, clock } = createTestClient();
    server.heartbeatMs = 4_000;
    client.connect();
    await clock.advance(12_100);
    expect(server.last.of('ping')).toHaveLength(4);
    server.last.send({ t: 'ping', c: 'WSE', p: 'hello' });
    await clock.advance(0);
    expect(server.last.of('pong').map(({ p }) => p)).toEqual(['hello']);
  });

  it('drops a half-open connection within two heartbeats and returns', async () => {
    const { client, server, clock } = createTestClient();
    client.connect();
    await clock.advance(1_000);
    const first = server.last;
    first.isDead = true;
    await clock.advance(30_000);
    expect(first.clientCloseCode).toBe(4002);
    expect(server.connections).toHaveLength(2);
    expect(client.state.isConnected).toBe(true);
  });

  it('keeps a connection on which messages come though pongs do not, and calls its health poor', async () => {
    const { client, server, clock } = createTestClient({ topics: ['a'] });
    server.answersPings = false;
    client.connect();
    for (let second = 0; second < 90; second += 5) {
      await clock.advance(5_000);
      server.publish('a', second);
    }
    expect(server.connections).toHaveLength(1);
    expect(client.state).toMatchObject({ isConnected: true, connectionHealth: 'poor' });
  });

  it('asks before it judges when the machine slept', async () => {
    const { client, server, clock } = createTestClient();
    client.connect();
    await clock.advance(15_000);
    server.last.isDead = true;
    await clock.advance(1);
    clock.sleep(3_600_000);
    server.last.isDead = false;
    await clock.advance(10_000);
    expect(server.connections).toHaveLength(1);
    expect(client.state.isConnected).toBe(true);
  });

  it('finds a connection that died in sleep within five seconds of coming back', async () => {
    const { client, server, clock, environment } = createTestClient();
    client.connect();
    await clock.advance(1_000);
    server.last.isDead = true;
    environment.emit('visible');
    await clock.advance(6_000);
    expect(server.connections).toHaveLength(2);
  });

  it('measures the round trip on one clock and judges from it', async () => {
    const { client, server, clock } = createTestClient();
    server.answersPings = false;
    client.connect();
    await clock.advance(40);
    server.last.send({ t: 'pong', c: 'WSE', p: server.last.of('ping')[0]?.p });
    expect(client.state).toMatchObject({ rttMs: 40, connectionHealth: 'excellent' });
  });

  it('lets the socket go on pagehide and returns on pageshow', async () => {
    const { client, server, clock, environment } = createTestClient();
    client.connect();
    await clock.advance(0);
    environment.emit('pagehide');
    expect(server.open).toHaveLength(0);
    environment.emit('pageshow');
    await clock.advance(0);
    expect(server.open).toHaveLength(1);
  });
});

describe('bad frames', () => {
  it('reports what it cannot read and stays connected', async () => {
    const { client, server, clock } = createTestClient();
    const codes: string[] = [];
    client.onNotice('error', ({ code }) => codes.push(code));
    client.connect();
    await clock.advance(0);
    server.last.sendRaw('{');
    server.last.sendRaw('[]');
    server.last.sendRaw('{"v":3,"t":"a"}');
    server.last.sendRaw('{"v":2}');
    server.last.sendRaw(new ArrayBuffer(4));
    server.last.sendRaw('{"v":2,"c":"WSE","t":"of_the_future"}');
    expect(codes).toEqual(['INVALID_JSON', 'INVALID_JSON', 'UNSUPPORTED_VERSION', 'INVALID_MESSAGE', 'UNSUPPORTED_FORMAT']);
    expect(client.state.isConnected).toBe(true);
  });
});

/** A connected client that draws the middle of each delay, and how long it waits before each return. */
async function returning() {
  const { client, server, clock, environment } = createTestClient();
  server.retryMs = 200;
  environment.draw = 0.5;
  client.connect();
  await clock.advance(0);
  const opened: number[] = [clock.now()];
  client.onNotice('status', ({ status }) => status === 'connecting' && opened.push(clock.now()));
  return { server, clock, waits: () => opened.slice(1).map((at, index) => at - (opened[index] ?? 0)) };
}
