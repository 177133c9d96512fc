// Cases by name: one fault each, at the moment that hurts most. Every test names the clause that it proves.
import assert from 'node:assert/strict';
import { readFileSync, rmSync } from 'node:fs';
import { after, before, describe, test } from 'node:test';
import { openBrowser } from './lib/clients.mjs';
import { env, follow, fresh, health, numbers, PATIENCE_MS, publish, PYTHON, serving } from './lib/following.mjs';
import { redis, until, worker } from './lib/processes.mjs';
import { openProxy } from './lib/proxy.mjs';
import { post } from './lib/publish.mjs';

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

    test('[G1] [G2] is cut twice within 100 ms, and was back between the two', async () => {
      const topic = fresh();
      const one = await follow(server, [{ topic }], { options: { backoffBaseMs: 10, backoffCapMs: 20 } });
      const statuses = async () => (await one.notes('status')).map(({ status }) => status);
      let [n, twice] = [0, 0];
      const end = Date.now() + PATIENCE_MS;
      while (twice < 3 && Date.now() < end) {
        const before = (await statuses()).length;
        const cutAt = Date.now();
        one.network.cut();
        // What is published meanwhile is replayed when the second cut comes.
        const busy = publish(server, topic, n + 1, (n += 200));
        const isBack = async () => (await statuses()).slice(before).includes('waiting') && (await statuses()).at(-1) === 'ready';
        assert.ok(await until(isBack, PATIENCE_MS), 'the client returns');
        if (Date.now() - cutAt <= 100) twice += 1;
        one.network.cut();
        await busy;
        await one.ready();
      }
      assert.equal(twice, 3, 'the client was back within 100 ms three times');
      await publish(server, topic, n + 1, (n += 1));
      await one.reaches(topic, n);
      assert.deepEqual(await one.got(topic), numbers(1, n));
      assert.deepEqual(await one.notes('resync'), []);
      await one.end();
    });

    test('[G1] [G2] returns while others publish: what comes between its subscription and the end of its replay follows, in order', async () => {
      const topic = fresh();
      const one = await follow(server, [{ topic }], { options: { compression: false } });
      await publish(server, topic, 1, 1);
      await one.reaches(topic, 1);
      one.network.refuse();
      one.network.cut();
      await publish(server, topic, 2, 600, { size: 1_000 });
      one.network.heal();
      one.network.throttle(100_000);
      assert.ok(await until(async () => (await one.got(topic)).length > 1, PATIENCE_MS), 'the replay has begun');
      one.network.stall();
      for (let n = 601; n <= 1_000; n += 10) await publish(server, topic, n, n + 9, { size: 1_000 });
      const before = (await one.got(topic)).length;
      assert.ok(before < 600, `all was published before the replay was at its end: the client has ${before}`);
      one.network.heal();
      await one.reaches(topic, 1_000);
      assert.deepEqual(await one.got(topic), numbers(1, 1_000));
      assert.deepEqual(await one.notes('resync'), []);
      await one.end();
    });

    test('[P-20] [G2] resumes 100 topics within two round trips: the upgrade, and the hello', async () => {
      const topics = numbers(1, 100).map(() => fresh());
      const publishTo = async (from, to) => {
        for (const topic of topics) await publish(server, topic, from, to);
      };
      const one = await follow(server, topics.map((topic) => ({ topic })));
      await publishTo(1, 2);
      for (const topic of topics) await one.reaches(topic, 2);
      one.network.refuse();
      one.network.cut();
      await publishTo(3, 5);
      one.network.letSpeak(2);
      one.network.heal();
      for (const topic of topics) await one.reaches(topic, 5);
      one.network.letSpeak(Infinity);
      one.network.cut();
      await publishTo(6, 6);
      for (const topic of topics) await one.reaches(topic, 6);
      for (const topic of topics) assert.deepEqual(await one.got(topic), numbers(1, 6));
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
  const serve = serving('cases');
  before(async () => (broker = await redis()));
  after(async () => broker?.stop());

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
    await until(async () => (await one.notes('resync', topic)).length > 0, PATIENCE_MS);
    await publish(server, topic, 6, 10);
    await one.reaches(topic, 10);
    assert.deepEqual((await one.notes('resync', topic)).map(({ reason }) => reason), ['epoch']);
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
    // What was sent to the client itself may be lost too, which it is told of its session.
    assert.deepEqual((await one.notes('resync')).map(({ topic: of }) => of).filter((of) => !of.startsWith('@session:')), [topic]);
    assert.deepEqual(await one.got(topic), numbers(1, 15));
    const places = (await one.notes('message', topic)).map(({ epoch, seq }) => `${epoch} ${seq}`);
    assert.equal(new Set(places).size, places.length);
    await one.end();
    await own.stop();
  });
  test('[G1] [G2] what is published between its subscription and its replay, which the log is slow to give, is kept for the client and follows', async () => {
    const way = await openProxy(new URL(broker.url).port);
    const server = await serve('window', { REDIS_URL: `redis://127.0.0.1:${way.port}`, SETTINGS: JSON.stringify({ shards: 1 }) });
    const well = await serve('window-well', { REDIS_URL: broker.url });
    const topic = fresh();
    const [stays, returns] = [await follow(server, [{ topic }]), await follow(server, [{ topic }])];
    await publish(well, topic, 1, 5);
    for (const one of [stays, returns]) await one.reaches(topic, 5);
    returns.network.refuse();
    returns.network.cut();
    await publish(well, topic, 6, 50);
    await stays.reaches(topic, 50);
    let isRead = false;
    void way.holdAnswers(topic).then(() => (isRead = true));
    returns.network.heal();
    assert.ok(await until(() => isRead, PATIENCE_MS), 'its log is read');
    await publish(well, topic, 51, 100);
    // Of one shard: what one of its connections has got, all of them were brought.
    await stays.reaches(topic, 100);
    assert.deepEqual([await returns.got(topic), await returns.client.isReady()], [numbers(1, 5), false], 'its replay has not begun when all is published');
    way.heal();
    await returns.reaches(topic, 100);
    assert.deepEqual(await returns.got(topic), numbers(1, 100));
    assert.deepEqual(await returns.notes('resync'), []);
    await stays.end();
    await returns.end();
    way.close();
  });

  test('[P-39] [G2] a topic that was born under its pattern while it was away is refused for the time being, as Redis is out of reach: the client asks again, and gets it from its first message', async () => {
    const way = await openProxy(new URL(broker.url).port);
    const server = await serve('partial', { REDIS_URL: `redis://127.0.0.1:${way.port}` });
    const well = await serve('partial-well', { REDIS_URL: broker.url });
    const [pattern, old, born] = ['*', 'old', 'born'].map((name) => `partial${process.pid}:${name}`);
    const one = await follow(server, [{ topic: pattern }]);
    await publish(well, old, 1, 3);
    await one.reaches(old, 3);
    one.network.refuse();
    one.network.cut();
    assert.ok(await until(async () => (await health(server)).connections === 0, PATIENCE_MS), 'the server follows the pattern for nobody');
    await publish(well, born, 1, 50);
    await publish(well, old, 4, 5);
    // Of what names the new topic the reading of its log alone names that key: the pattern is answered, and this one topic is not to be had.
    const broke = way.breakAt(`${born}}:log`);
    one.network.heal();
    await broke;
    const isRefused = async () => (await one.notes('error', born)).some(({ code }) => code === 'UNAVAILABLE');
    assert.ok(await until(isRefused, PATIENCE_MS), 'it is refused for the time being');
    assert.deepEqual(await one.got(born), []);
    way.heal();
    await one.reaches(born, 50);
    await publish(well, born, 51, 60);
    await one.reaches(born, 60);
    await one.reaches(old, 5);
    assert.deepEqual([await one.got(old), await one.got(born)], [numbers(1, 5), numbers(1, 60)]);
    assert.deepEqual((await one.notes('resync')).filter(({ topic }) => !topic.startsWith('@')), []);
    await one.end();
    way.close();
  });

  test('[G2] Redis is out of reach while a client resumes a topic that another follows: it gets all that it missed, and is told of no loss', async () => {
    const way = await openProxy(new URL(broker.url).port);
    const server = await serve('unreachable', { REDIS_URL: `redis://127.0.0.1:${way.port}` });
    const topic = fresh();
    const [stays, returns] = [await follow(server, [{ topic }]), await follow(server, [{ topic }])];
    await publish(server, topic, 1, 5);
    await returns.reaches(topic, 5);
    returns.network.refuse();
    returns.network.cut();
    await publish(server, topic, 6, 50);
    await stays.reaches(topic, 50);
    way.refuse();
    way.cut();
    returns.network.heal();
    const isAnswered = async () => (await returns.notes('topic', topic)).at(-1).status === 'recovered';
    assert.ok(await until(isAnswered, PATIENCE_MS), 'it is answered while Redis is out of reach');
    assert.deepEqual(await returns.got(topic), numbers(1, 5), 'what it missed is out of reach too');
    way.heal();
    await returns.reaches(topic, 50);
    await publish(server, topic, 51, 60);
    await returns.reaches(topic, 60);
    assert.deepEqual(await returns.got(topic), numbers(1, 60));
    assert.deepEqual(await returns.notes('resync', topic), []);
    await stays.end();
    await returns.end();
    way.close();
  });
});

describe('a client that reads nothing while more is published than is on the way to it', () => {
  const serve = serving('slow');
  // What has to be kept, the newest of each key or all that is critical, is less than the server may hold for a client.
  const [KEYS, LAST] = [2, 1_000];

  /** The client, once it has read all that was not left out; `of` as in `publish`. */
  async function flooded(name, topic, of) {
    // A silence as long as this takes is not to end the connection.
    const server = await serve(name, { SETTINGS: JSON.stringify({ heartbeat: 30, idle_timeout: 120 }) });
    const one = await follow(server, [{ topic }], { options: { compression: false } });
    await publish(server, topic, 1, 5, { of });
    await one.reaches(topic, 5);
    one.network.stall();
    // The buffers of both sockets and of the network hold a part of these 20 MB, the server 64 KiB more.
    await publish(server, topic, 6, LAST, { of, size: 20_000 });
    one.network.heal();
    return one;
  }

  test('[P-43] of a topic that keeps the latest it gets the newest message of each key, and is told what was left out', async () => {
    const topic = fresh('latest');
    const one = await flooded('latest', topic, (n) => ({ key: `k${n % KEYS}` }));
    for (const newest of numbers(LAST - KEYS + 1, LAST)) await one.reaches(topic, newest);
    await accounts(one, topic, 'latest');
  });

  test('[P-43] of a topic that drops the low it gets every message of the highest priority, and is told what was left out', async () => {
    const topic = fresh('low');
    const isCritical = (n) => n % 50 === 0;
    const one = await flooded('low', topic, (n) => (isCritical(n) ? { priority: 10, payload: { n, group: 0 } } : { priority: [1, 3, 8][n % 3] }));
    for (const critical of numbers(6, LAST).filter(isCritical)) await one.reaches(topic, critical);
    await accounts(one, topic, 'drop_low');
  });

  /** What came and what it was told of is all there is, each once. */
  async function accounts(one, topic, reason) {
    const skips = await one.notes('skip', topic);
    const told = skips.flatMap(({ from, to }) => numbers(from, to));
    assert.ok(told.length > 100, `much was left out: ${told.length}`);
    assert.deepEqual([...new Set(skips.map((skip) => skip.reason))], [reason]);
    const all = async () => [...(await one.got(topic)), ...told].sort((a, b) => a - b);
    await until(async () => (await all()).length >= LAST, PATIENCE_MS);
    assert.deepEqual(await all(), numbers(1, LAST));
    await one.end();
  }
});

describe('a page in Chromium', () => {
  let broker, browser, server;
  before(async () => {
    // What an earlier run left: its names are of the process, and an id comes again.
    rmSync(env('page').EFFECTS, { force: true });
    [broker, browser] = await Promise.all([redis(), openBrowser()]);
    server = await worker('cases-page', PYTHON, env('page', { REDIS_URL: broker.url }));
  });
  const effectsOf = (name) => readFileSync(env('page').EFFECTS, 'utf8').split('\n').flatMap((line) => (line.startsWith(`${name} `) ? [Number(line.split(' ')[1])] : []));
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

  test('[G3] [G8] has its clock set back an hour: a silence is still noticed, nothing stops, and what was sent before and after is done, once', async () => {
    const [topic, name] = [fresh(), fresh('sender')];
    // An hour is more than a message of the outbox may wait.
    const one = await follow(server, [{ topic }], { name, where: browser.inPage, options: { outboxAgeMs: 600_000 } });
    await publish(server, topic, 1, 5);
    await one.reaches(topic, 5);
    one.network.halfOpen();
    await one.client.send({ n: 1, how: 'plain', keep: true });
    await one.client.setClockBack(3_600_000);
    await one.client.send({ n: 2, how: 'plain', keep: true });
    await publish(server, topic, 6, 10);
    await one.reaches(topic, 10);
    const outcomes = async () => (await one.client.seen()).sends.map(({ outcome }) => outcome);
    assert.ok(await until(async () => (await outcomes()).every((outcome) => outcome !== null), PATIENCE_MS), 'both have an outcome');
    assert.deepEqual(await outcomes(), ['acknowledged', 'acknowledged']);
    assert.deepEqual(effectsOf(name), [1, 2]);
    await publish(server, topic, 11, 20);
    await one.reaches(topic, 20);
    assert.deepEqual(await one.got(topic), numbers(1, 20));
    assert.deepEqual(await one.notes('resync'), []);
    await one.end();
  });
});
