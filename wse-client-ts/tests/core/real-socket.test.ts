// The client over real sockets against a small server that speaks the protocol.
import { once } from 'node:events';
import type { AddressInfo } from 'node:net';
import { afterEach, beforeEach, expect, it } from 'vitest';
import { WebSocket as NodeWebSocket, WebSocketServer, type WebSocket as ServerSocket } from 'ws';
import { createClient, webSocketTransport, type Envelope, type WSEClient } from '../../src/core';

let server: WebSocketServer;
let client: WSEClient;
let sockets: { socket: ServerSocket; frames: Envelope[]; protocol: string }[];

const roles = { transport: webSocketTransport(NodeWebSocket as unknown as typeof WebSocket) };

function send(socket: ServerSocket, t: string, p: unknown, rest: Partial<Envelope> = {}): void {
  socket.send(JSON.stringify({ v: 2, t, c: 'WSE', p, ...rest }));
}

function answer(socket: ServerSocket, { t, c, p, cid }: Envelope): void {
  const reference = cid === undefined ? {} : { cid };
  const topics = (p as { topics?: string[]; positions?: Record<string, { seq: number }> } | null)?.topics ?? [];
  const updates = topics.map((tp) => ({ tp, status: 'live', e: 'e1', seq: (p as { positions?: Record<string, { seq: number }> }).positions?.[tp]?.seq ?? 0 }));
  if (t === 'client_hello') {
    send(socket, 'server_hello', { heartbeat_ms: 50 });
    send(socket, 'server_ready', { connection: 'c', user: null, retry_ms: 20 });
  }
  if (updates.length > 0) send(socket, 'subscription_update', { topics: updates }, reference);
  if (t === 'ping') send(socket, 'pong', p);
  if (c !== 'WSE') send(socket, 'reply', { echo: p }, reference);
}

function publish(socket: ServerSocket, seq: number): void {
  socket.send(JSON.stringify({ v: 2, t: 'a', tp: 'a', e: 'e1', seq, id: `i${seq}`, ts: '2026-01-15T10:30:00.000Z', p: seq }));
}

async function until(done: () => boolean): Promise<void> {
  const end = Date.now() + 5_000;
  while (!done()) {
    if (Date.now() > end) throw new Error('waited five seconds in vain');
    await new Promise((resolve) => setTimeout(resolve, 5));
  }
}

beforeEach(async () => {
  sockets = [];
  server = new WebSocketServer({ port: 0, host: '127.0.0.1' });
  server.on('connection', (socket) => {
    const frames: Envelope[] = [];
    sockets.push({ socket, frames, protocol: socket.protocol });
    socket.on('message', (data: Buffer) => {
      const frame = JSON.parse(data.toString()) as Envelope;
      frames.push(frame);
      answer(socket, frame);
    });
  });
  await once(server, 'listening');
  const { port } = server.address() as AddressInfo;
  client = createClient({ endpoints: [`http://127.0.0.1:${port}/wse`], topics: ['a'], backoffBaseMs: 20 }, roles);
});

afterEach(async () => {
  client.close();
  await new Promise((resolve) => server.close(resolve));
});

it('shakes hands, delivers, replies, measures, and closes with 1000', async () => {
  const seen: unknown[] = [];
  client.on('a', (payload) => seen.push(payload));
  client.connect();
  await until(() => client.topics.get('a')?.status === 'live');
  expect(sockets).toHaveLength(1);
  expect(sockets[0]?.protocol).toBe('wse.v2');
  expect(sockets[0]?.frames[0]).toMatchObject({ t: 'client_hello', p: { topics: ['a'] } });
  for (const seq of [1, 2, 3]) if (sockets[0]) publish(sockets[0].socket, seq);
  expect(await client.sendMessage('echo', 'x')).toEqual({ echo: 'x' });
  await until(() => client.state.rttMs !== null);
  expect(seen).toEqual([1, 2, 3]);
  expect(client.state.connectionHealth).toBe('excellent');
  const closed = sockets[0] ? once(sockets[0].socket, 'close') : Promise.reject(new Error('no socket'));
  client.close();
  expect((await closed)[0]).toBe(1000);
});

it('returns with its position after the server terminates it, and after 1012, with one socket at a time', async () => {
  client.connect();
  await until(() => client.topics.get('a')?.status === 'live');
  if (sockets[0]) publish(sockets[0].socket, 1);
  await until(() => (sockets[0]?.frames.filter(({ t }) => t === 'ping').length ?? 0) > 1);
  sockets[0]?.socket.terminate();
  await until(() => sockets.length === 2 && client.state.isConnected);
  await until(() => client.topics.get('a')?.status === 'live');
  sockets[1]?.socket.close(1012);
  await until(() => sockets.length === 3 && client.topics.get('a')?.status === 'live');
  expect(sockets[2]?.frames[0]).toMatchObject({ t: 'client_hello', p: { topics: ['a'], positions: { a: { e: 'e1', seq: 1 } } } });
  expect(server.clients.size).toBe(1);
});

it('drops a server that reads and says nothing any more', async () => {
  client.connect();
  await until(() => client.topics.get('a')?.status === 'live');
  sockets[0]?.socket.removeAllListeners('message');
  await until(() => sockets.length === 2 && client.state.isConnected);
});
