// What named cases stand on: topics of their own, and a client behind a network of its own.
import assert from 'node:assert/strict';
import { after } from 'node:test';
import { inNode } from './clients.mjs';
import { OUT, until, worker } from './processes.mjs';
import { openProxy } from './proxy.mjs';
import { post } from './publish.mjs';

export const PYTHON = process.env.PYTHON ?? 'python3';
export const PATIENCE_MS = 30_000;

let names = 0;

/** A topic that no other case has. */
export function fresh(prefix = 'rec') {
  return `${prefix}:case${process.pid}x${(names += 1)}`;
}

export function numbers(from, to) {
  return Array.from({ length: to - from + 1 }, (_, i) => from + i);
}

/** Publishes the messages of these numbers; `of` says what of the number n is other than usual. */
export async function publish({ port }, topic, from, to, { size = 0, groups = 10, of = () => ({}) } = {}) {
  const message = (n) => ({ topic, priority: 5, key: null, retry: `${topic}-${n}`, payload: { n, group: n % groups, pad: 'x'.repeat(size) }, ...of(n) });
  for (let at = from; at <= to; at += 200) {
    const messages = numbers(at, Math.min(to, at + 199)).map(message);
    assert.ok((await post(port, messages)) !== null, 'the worker stores what is published');
  }
}

/** What a worker says of itself. */
export async function health({ port }) {
  return (await fetch(`http://127.0.0.1:${port}/wse/health`, { signal: AbortSignal.timeout(5_000) })).json();
}

/** A client behind a network of its own, which may go to `others` too, and what its application saw of one topic. */
export async function follow(target, holds, { name = 'case', where = inNode, options = {}, others = [], isReady = true, room = null } = {}) {
  const network = await openProxy(target.port);
  const ports = [network, ...others].map(({ port }) => port);
  const client = await where({ name, endpoints: ports.map((port) => `ws://127.0.0.1:${port}/wse`), options, holds, room, isTapped: room !== null });
  const notes = async (kind, topic) => (await client.seen()).log.filter((note) => note.kind === kind && (topic === undefined || note.topic === topic));
  const followed = {
    network,
    client,
    notes,
    got: async (topic) => (await notes('message', topic)).map(({ n }) => n),
    /** Waits for the message `n` of a topic; everything before it has come by then, or never will. */
    async reaches(topic, n) {
      const came = await until(async () => (await followed.got(topic)).includes(n), PATIENCE_MS);
      assert.ok(came, `message ${n} of ${topic} did not come; the last was ${(await followed.got(topic)).at(-1)}`);
    },
    ready: async () => assert.ok(await until(() => client.isReady(), PATIENCE_MS), 'the client is ready'),
    async end() {
      // [P-33]: whatever broke, on no connection did it have to put right what came.
      const { reordered } = await client.seen();
      assert.deepEqual(Object.entries(reordered).filter(([, count]) => count > 0), []);
      await client.close();
      network.close();
    },
  };
  if (isReady) await followed.ready();
  return followed;
}

export function env(name, more) {
  return { EFFECTS: `${OUT}/effects-cases-${name}`, ...more };
}

/** Starts workers of a suite, which end with it; to be called in its `describe`, before what they need is ended. */
export function serving(suite) {
  const servers = [];
  after(async () => {
    for (const server of servers) await server.stop();
  });
  return async (name, more) => {
    const server = await worker(`${suite}-${name}`, PYTHON, env(`${suite}-${name}`, more));
    servers.push(server);
    return server;
  };
}
