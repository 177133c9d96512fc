// Cases by name: one fault each, at the moment that hurts most. Every test names the clause that it proves.
import assert from 'node:assert/strict';
import { after, before, describe, test } from 'node:test';
import { inNode, openBrowser } from './lib/clients.mjs';
import { OUT, redis, until, worker } from './lib/processes.mjs';
import { openProxy } from './lib/proxy.mjs';
import { post } from './lib/publish.mjs';

const PYTHON = process.env.PYTHON ?? 'python3';
const PATIENCE_MS = 10_000;

let names = 0;

/** A topic that no other case has. */
function fresh(prefix = 'rec') {
  return `${prefix}:case${process.pid}x${(names += 1)}`;
}

function numbers(from, to) {
  return Array.from({ length: to - from + 1 }, (_, i) => from + i);
}

async function publish({ port }, topic, from, to, { size = 0, groups = 10 } = {}) {
  for (let at = from; at <= to; at += 200) {
    const messages = numbers(at, Math.min(to, at + 199)).map((n) => ({ topic, priority: 5, key: null, retry: `${topic}-${n}`, payload: { n, group: n % groups, pad: 'x'.repeat(size) } }));
    assert.ok((await post(port, messages)) !== null, 'the worker stores what is published');
  }
}

/** A client behind a network of its own, and what its application saw of one topic. */
async function follow(target, holds, { where = inNode, options = {} } = {}) {
  const network = await openProxy(target.port);
  const client = await where({ name: 'case', endpoints: [`ws://127.0.0.1:${network.port}/wse`], options, holds });
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
      await client.close();
      network.close();
    },
  };
  await followed.ready();
  return followed;
}

function env(name, more) {
  return { EFFECTS: `${OUT}/effects-cases-${name}`, ...more };
}

for (const bus of ['memory', 'redis']) {
  describe(`a client whose connection breaks, on ${bus === 'redis' ? 'Redis' : 'the in-process bus'}`, () => {
    let broker, server;
    before(async () => {
      if (bus === 'redis') broker = await redis();
      server = await worker(`cases-${bus}`, PYTHON, env(bus, broker ? { REDIS_URL: broker.url } : {}));
    });
    after(async () => {
      await server?.stop();
      await broker?.stop();
    });

    test('[G1] [G2] is cut in the middle of the replay, and again in the next one: it gets everything once, in order', async () => {
      const topic = fresh();
      const one = await follow(server, [{ topic }], { options: { compression: false } });
      await publish(server, topic, 1, 5);
      await one.reaches(topic, 5);
      one.network.refuse();
      one.network.cut();
      await publish(server, topic, 6, 1_000, { size: 500 });
      one.network.cutAfter(100_000);
      one.network.heal();
      await until(async () => (await one.got(topic)).length > 5, PATIENCE_MS);
      one.network.cutAfter(150_000);
      await one.reaches(topic, 1_000);
      assert.deepEqual(await one.got(topic), numbers(1, 1_000));
      assert.deepEqual(await one.notes('resync'), []);
      assert.ok((await one.notes('status')).filter(({ status }) => status === 'waiting').length >= 3, 'it was cut three times');
      await one.end();
    });

    test('[G1] [G2] is cut twice within 100 ms', async () => {
      const topic = fresh();
      const one = await follow(server, [{ topic }], { options: { backoffBaseMs: 10, backoffCapMs: 20 } });
      const busy = publish(server, topic, 1, 3_000);
      for (let cut = 0; cut < 5; cut += 1) {
        one.network.cut();
        await new Promise((done) => setTimeout(done, 80));
        one.network.cut();
      }
      await busy;
      await publish(server, topic, 3_001, 3_001);
      await one.reaches(topic, 3_001);
      assert.deepEqual(await one.got(topic), numbers(1, 3_001));
      assert.deepEqual(await one.notes('resync'), []);
      await one.end();
    });

    test('[G1] [G2] returns while others publish: what comes between its subscription and the end of its replay follows, in order', async () => {
      const topic = fresh();
      const one = await follow(server, [{ topic }]);
      await publish(server, topic, 1, 1);
      await one.reaches(topic, 1);
      one.network.refuse();
      one.network.cut();
      await publish(server, topic, 2, 600, { size: 1_000 });
      one.network.heal();
      one.network.throttle(2_000_000);
      for (let n = 601; n <= 1_000; n += 10) await publish(server, topic, n, n + 9, { size: 1_000 });
      one.network.heal();
      await one.reaches(topic, 1_000);
      assert.deepEqual(await one.got(topic), numbers(1, 1_000));
      assert.deepEqual(await one.notes('resync'), []);
      await one.end();
    });

    test('[P-39] was away while a topic of its pattern was born: it gets it from its first message', async () => {
      const namespace = `born${process.pid}${bus}`;
      const one = await follow(server, [{ topic: `${namespace}:*` }]);
      await publish(server, `${namespace}:old`, 1, 3);
      await one.reaches(`${namespace}:old`, 3);
      one.network.refuse();
      one.network.cut();
      await publish(server, `${namespace}:new`, 1, 50);
      await publish(server, `${namespace}:old`, 4, 5);
      one.network.heal();
      await one.reaches(`${namespace}:new`, 50);
      await one.reaches(`${namespace}:old`, 5);
      assert.deepEqual(await one.got(`${namespace}:new`), numbers(1, 50));
      assert.deepEqual(await one.got(`${namespace}:old`), numbers(1, 5));
      assert.deepEqual(await one.notes('resync'), []);
      await one.end();
    });

    test('[P-38] [P-70] has a filter that passes one in 1,000: it is cut, and nothing is missing, and nothing is taken for lost', async () => {
      const topic = fresh();
      const one = await follow(server, [{ topic, filter: { group: 0 } }]);
      await publish(server, topic, 1, 2_500, { groups: 1_000 });
      await one.reaches(topic, 2_000);
      one.network.refuse();
      one.network.cut();
      await publish(server, topic, 2_501, 4_500, { groups: 1_000 });
      one.network.heal();
      await one.reaches(topic, 4_000);
      await publish(server, topic, 4_501, 5_000, { groups: 1_000 });
      await one.reaches(topic, 5_000);
      assert.deepEqual(await one.got(topic), [1_000, 2_000, 3_000, 4_000, 5_000]);
      assert.deepEqual(await one.notes('resync'), []);
      await one.end();
    });
  });
}

describe('what the log cannot bring back is told', () => {
  let broker;
  const servers = [];
  before(async () => (broker = await redis()));
  after(async () => {
    for (const server of servers) await server.stop();
    await broker?.stop();
  });
  const serve = async (name, more) => {
    const server = await worker(`cases-${name}`, PYTHON, env(name, more));
    servers.push(server);
    return server;
  };

  for (const bus of ['memory', 'redis']) {
    test(`[G2] history trimmed while the client was away, on ${bus}: one resync, and everything after it`, async () => {
      const settings = JSON.stringify({ history_messages: 20 });
      const server = await serve(`trimmed-${bus}`, { SETTINGS: settings, ...(bus === 'redis' ? { REDIS_URL: broker.url } : {}) });
      const topic = fresh();
      const one = await follow(server, [{ topic }]);
      await publish(server, topic, 1, 5);
      await one.reaches(topic, 5);
      one.network.refuse();
      one.network.cut();
      await publish(server, topic, 6, 1_000);
      one.network.heal();
      await until(async () => (await one.notes('resync')).length > 0, PATIENCE_MS);
      await publish(server, topic, 1_001, 1_010);
      await one.reaches(topic, 1_010);
      assert.deepEqual((await one.notes('resync')).map(({ reason }) => reason), ['history']);
      assert.deepEqual(await one.got(topic), [...numbers(1, 5), ...numbers(1_001, 1_010)]);
      await one.end();
    });
  }

  test('[G2] a server with the in-process bus is killed: one resync with the reason epoch, and everything after it', async () => {
    const server = await serve('epoch', {});
    const topic = fresh();
    const one = await follow(server, [{ topic }]);
    await publish(server, topic, 1, 5);
    await one.reaches(topic, 5);
    await server.restart();
    await until(async () => (await one.notes('resync')).length > 0, PATIENCE_MS);
    await publish(server, topic, 6, 10);
    await one.reaches(topic, 10);
    assert.deepEqual((await one.notes('resync')).map(({ reason }) => reason), ['epoch']);
    assert.deepEqual(await one.got(topic), numbers(1, 10));
    await one.end();
  });

  test('[G2] Redis comes back with an older copy: the client is told once that the log began anew, and no position means two messages', async () => {
    const own = await redis();
    const server = await serve('older', { REDIS_URL: own.url });
    const topic = fresh();
    const one = await follow(server, [{ topic }]);
    await publish(server, topic, 1, 5);
    await own.save();
    await publish(server, topic, 6, 10);
    await one.reaches(topic, 10);
    await own.restart();
    assert.ok(await until(async () => (await post(server.port, [{ topic, priority: 5, key: null, retry: `${topic}-again`, payload: { n: 11, group: 1 } }])) !== null, PATIENCE_MS));
    await one.reaches(topic, 11);
    await publish(server, topic, 12, 15);
    await one.reaches(topic, 15);
    assert.deepEqual((await one.notes('resync')).map(({ topic: of }) => of), [topic]);
    assert.deepEqual(await one.got(topic), numbers(1, 15));
    const places = (await one.notes('message', topic)).map(({ epoch, seq }) => `${epoch} ${seq}`);
    assert.equal(new Set(places).size, places.length);
    await one.end();
    await own.stop();
  });
});

describe('a page in Chromium', () => {
  let broker, browser, server;
  before(async () => {
    [broker, browser] = await Promise.all([redis(), openBrowser()]);
    server = await worker('cases-page', PYTHON, env('page', { REDIS_URL: broker.url }));
  });
  after(async () => {
    await browser?.close();
    await server?.stop();
    await broker?.stop();
  });

  test('[G2] [G8] is offline for longer than the heartbeat: it notices, returns, and misses nothing', async () => {
    const topic = fresh();
    const one = await follow(server, [{ topic }], { where: browser.inPage });
    await publish(server, topic, 1, 5);
    await one.reaches(topic, 5);
    await one.client.offline(true);
    await publish(server, topic, 6, 300);
    assert.ok(await until(async () => (await one.notes('status')).at(-1).status !== 'ready', PATIENCE_MS), 'the silence is noticed');
    await one.client.offline(false);
    await one.reaches(topic, 300);
    assert.deepEqual(await one.got(topic), numbers(1, 300));
    assert.deepEqual(await one.notes('resync'), []);
    await one.end();
  });

  test('[G8] has its clock set back an hour: nothing stops, and a silence is still noticed', async () => {
    const topic = fresh();
    const one = await follow(server, [{ topic }], { where: browser.inPage });
    await publish(server, topic, 1, 5);
    await one.reaches(topic, 5);
    await one.client.setClockBack(3_600_000);
    await publish(server, topic, 6, 10);
    await one.reaches(topic, 10);
    one.network.halfOpen();
    await publish(server, topic, 11, 20);
    await one.reaches(topic, 20);
    assert.deepEqual(await one.got(topic), numbers(1, 20));
    assert.deepEqual(await one.notes('resync'), []);
    await one.end();
  });
});
