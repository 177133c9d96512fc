// Workers that end while others serve behind the same port: nobody sees a reconnect, nothing is lost or doubled, requests are answered.
import assert from 'node:assert/strict';
import { join } from 'node:path';
import { after, before, describe, test } from 'node:test';
import { ofType } from './lib/frames.mjs';
import { builtPage } from './lib/page.mjs';
import { FIXTURES } from './lib/paths.mjs';
import { NodePeer, PagePeer } from './lib/peers.mjs';
import { freePort, until } from './lib/process.mjs';
import { redis } from './lib/redis.mjs';
import { uvicorn } from './lib/server.mjs';
import { Stage } from './lib/stage.mjs';
import { chosen } from './lib/ways.mjs';

const folder = join(FIXTURES, 'client');
const WAYS = [
  { name: 'in Node on taken sockets', takeover: 'always', Peer: NodePeer },
  { name: 'in Node by ASGI', takeover: 'never', Peer: NodePeer },
  { name: 'in Chromium, through the hooks under StrictMode', takeover: 'always', Peer: PagePeer },
];

let store;
before(async () => (store = await redis()));
after(async () => {
  await PagePeer.end();
  await store?.stop();
});

for (const { name, takeover, Peer } of chosen(WAYS)) {
  describe(`workers that end, and the client ${name}`, { concurrency: false }, () => {
    let server, port, env;
    before(async () => {
      port = await freePort();
      env = { TAKEOVER: takeover, REDIS: store.url, DRAIN_WINDOW: '1', ...(Peer === PagePeer ? { PAGE: await builtPage() } : {}) };
      server = await uvicorn({ name: `drain-${takeover}`, folder, port, env, args: ['--workers', '2'] });
    });
    after(() => server?.stop());

    test(`[P-67] [P-68] two workers end one after the other under load, and it does not show (${name})`, { timeout: 120_000 }, async () => {
      const stage = new Stage(port, Peer);
      try {
        const [room, ada] = [stage.name('room:'), stage.name('ada')];
        const { peer } = await stage.open({ token: ada });
        await stage.attend(peer, 'room', room, { data: 'here' });
        await stage.shows(peer, 'room', [[ada, 'here']]);
        const told = await peer.told('room');
        const [topic, space] = [stage.name('ticks'), stage.name('space')];
        await stage.follow(peer, 'topic', topic);
        await stage.follow(peer, 'pattern', `${space}:*`);
        const load = new Load(port, peer, [topic, `${space}:a`]);
        const settled = (await peer.shown()).length;
        const asked = ofType(peer.frames('out'), 'subscription').length;
        for (const _ of ['first', 'second']) {
          await bothServe(port);
          await endsItsWorker(peer);
        }
        const published = await load.stop();
        await stage.heardOf(peer, Object.fromEntries([topic, `${space}:a`].map((each) => [each, published])));
        const shown = [...new Set((await peer.shown()).slice(settled))];
        assert.deepEqual(shown.filter((what) => !/ (true|live)$/.test(what)), [], 'nothing but connected and live was shown');
        assert.deepEqual(await peer.told('room'), told, 'nobody left or came');
        assert.equal(ofType(peer.frames('out'), 'subscription').length, asked, 'the hello of each connection asked for all of it');
        const { error, resync, skip } = await peer.notices();
        assert.deepEqual([error, resync, skip], [[], [], []]);
        assert.ok(peer.frames('in').filter(({ envelope }) => envelope.t === 'move').length >= 2);
      } finally {
        await stage.close();
      }
    });
  });
}

describe('a worker whose clients find no other', { concurrency: false }, () => {
  test('[P-68] they stay and are served until it closes with 1012, and return to the next one with nothing lost', { timeout: 60_000 }, async () => {
    const env = { TAKEOVER: 'always', REDIS: store.url, DRAIN_WINDOW: '1', DRAIN_TIMEOUT: '2' };
    const [port, elsewhere] = [await freePort(), await freePort()];
    const other = await uvicorn({ name: 'drain-other', folder, port: elsewhere, env });
    let server = await uvicorn({ name: 'drain-alone', folder, port, env });
    const stage = new Stage(port, NodePeer);
    const away = new Stage(elsewhere, NodePeer);
    try {
      const { peer } = await stage.open();
      const topic = stage.name('alone');
      await stage.follow(peer, 'topic', topic);
      server.kill('SIGTERM');
      await until('the word to move', () => peer.frames('in').some(({ envelope }) => envelope.t === 'move'));
      await until('a worker that takes no one', async () => (await fetch(`http://127.0.0.1:${port}/wse/health`)).status === 503);
      await away.publish([topic, 1]);
      await stage.heard(peer, [1]);
      assert.ok(await peer.isConnected());
      await until('the end of it', async () => !(await peer.isConnected()));
      await server.ended;
      await away.publish([topic, 2]);
      server = await uvicorn({ name: 'drain-alone', folder, port, env });
      await until('the client to be back', () => peer.isConnected());
      await away.publish([topic, 3]);
      await stage.heard(peer, [1, 2, 3]);
      await stage.quiet(peer);
    } finally {
      await stage.close();
      await Promise.all([server.stop(), other.stop()]);
    }
  });
});

/** Waits until two workers answer: uvicorn starts another for one that has ended. */
async function bothServe(port) {
  const pids = new Set();
  await until('both workers', async () => {
    const response = await fetch(`http://127.0.0.1:${port}/pid`, { headers: { connection: 'close' } });
    const pid = await response.json();
    for (const other of pids) if (isGone(other)) pids.delete(other);
    return pids.add(pid).size === 2;
  }, 30_000);
}

/** Ends the worker that serves the client, with a request in flight that it must answer itself; returns when another serves. */
async function endsItsWorker(peer) {
  const pid = await peer.send('pid', 0);
  const slow = peer.send('pid', 1.5);
  await until('the request to be on its way', () => peer.frames('out').filter(({ envelope }) => envelope.t === 'pid' && envelope.p === 1.5).length > 0);
  process.kill(pid, 'SIGTERM');
  assert.equal(await slow, pid, 'answered by the worker that it was sent to');
  await until('another worker', async () => (await peer.send('pid', 0)) !== pid, 30_000);
  await until('the end of the first', () => isGone(pid), 30_000);
}

function isGone(pid) {
  try {
    process.kill(pid, 0);
    return false;
  } catch {
    return true;
  }
}

/** Publishes numbers to every topic, and sends numbers that must come back, one after the other, without a pause. */
class Load {
  #port;
  #topics;
  #stopped = false;
  #published = [];
  #running;

  constructor(port, peer, topics) {
    [this.#port, this.#topics] = [port, topics];
    this.#running = Promise.all([this.#publish(), this.#echo(peer)]);
  }

  /** Ends it; the numbers that were published, in order. */
  async stop() {
    this.#stopped = true;
    await this.#running;
    return this.#published;
  }

  async #publish() {
    for (let n = 1; !this.#stopped; n += 1) {
      const messages = this.#topics.map((topic) => ({ topic, payload: n, idempotency_key: `${topic}-${n}` }));
      // A worker may end with the request on its way: the keys make the repetition the same messages.
      await until(`message ${n} to be published`, () => this.#post(messages));
      this.#published.push(n);
      await new Promise((done) => setTimeout(done, 5));
    }
  }

  async #post(messages) {
    const headers = { 'content-type': 'application/json', connection: 'close' };
    const response = await fetch(`http://127.0.0.1:${this.#port}/publish`, { method: 'POST', headers, body: JSON.stringify(messages) });
    return response.ok;
  }

  async #echo(peer) {
    for (let n = 1; !this.#stopped; n += 1) assert.equal(await peer.send('echo', n), n);
  }
}
