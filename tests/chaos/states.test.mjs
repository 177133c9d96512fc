// Cases by name: snapshots that are slow or somebody else's, and what breaks behind the server. Every test names the clause that it proves.
import assert from 'node:assert/strict';
import { after, before, describe, test } from 'node:test';
import { env, follow, fresh, numbers, PATIENCE_MS, publish, PYTHON, serving } from './lib/following.mjs';
import { redis, until, worker } from './lib/processes.mjs';
import { openProxy } from './lib/proxy.mjs';

const HISTORY = 20;

/** How often the server was asked for a topic's state. */
async function calls({ port }, topic) {
  return (await fetch(`http://127.0.0.1:${port}/calls/${topic}`)).json();
}

function letGo({ port }, topic) {
  return fetch(`http://127.0.0.1:${port}/let-go/${topic}`, { method: 'POST' });
}

for (const bus of ['memory', 'redis']) {
  describe(`a snapshot that is held back, on ${bus === 'redis' ? 'Redis' : 'the in-process bus'}`, () => {
    let broker, server;
    before(async () => {
      if (bus === 'redis') broker = await redis();
      const settings = { SETTINGS: JSON.stringify({ history_messages: HISTORY, snapshot_timeout: 60 }), USERS: '1' };
      server = await worker(`states-${bus}`, PYTHON, env(`states-${bus}`, { ...settings, ...(broker ? { REDIS_URL: broker.url } : {}) }));
    });
    after(async () => {
      await server?.stop();
      await broker?.stop();
    });

    const asked = async (topic, count) => assert.ok(await until(async () => (await calls(server, topic)) >= count, PATIENCE_MS), `the state of ${topic} is asked for`);
    const states = async (one, topic) => (await one.notes('snapshot', topic)).map(({ state }) => state.user);

    test(`[P-56] [P-57] is slower than 1,000 live messages, of which the log keeps ${HISTORY}: it comes first, then all of them`, async () => {
      const topic = fresh('held');
      const one = await follow(server, [{ topic }], { options: { token: 'alice' }, isReady: false });
      await asked(topic, 1);
      await publish(server, topic, 1, 1_000);
      assert.deepEqual([await one.got(topic), await one.client.isReady()], [[], false]);
      await letGo(server, topic);
      await one.reaches(topic, 1_000);
      assert.deepEqual(await one.got(topic), numbers(1, 1_000));
      const seen = (await one.client.seen()).log.filter(({ kind }) => ['message', 'snapshot', 'resync', 'error'].includes(kind));
      assert.deepEqual([seen[0].kind, seen[0].seq], ['snapshot', 0]);
      assert.equal(seen.length, 1_001, 'no resync, no error, no second state');
      await one.end();
    });

    test('[P-56] [P-57] is not there yet when the connection breaks: the client has no place without it, and gets it on the next connection', async () => {
      const topic = fresh('held');
      const one = await follow(server, [{ topic }], { options: { token: 'alice' }, isReady: false });
      await asked(topic, 1);
      await publish(server, topic, 1, 3);
      const before = (await one.notes('status')).length;
      one.network.cut();
      const since = async () => (await one.notes('status')).slice(before).map(({ status }) => status);
      assert.ok(await until(async () => (await since()).includes('waiting') && (await since()).at(-1) === 'ready', PATIENCE_MS), 'the client returns');
      await publish(server, topic, 4, 6);
      assert.deepEqual([await one.got(topic), await one.client.isReady()], [[], false]);
      await letGo(server, topic);
      await one.reaches(topic, 6);
      const [state] = await one.notes('snapshot', topic);
      assert.deepEqual([await states(one, topic), await one.got(topic)], [['alice'], numbers(state?.seq + 1, 6)]);
      await one.end();
    });

    test("[G7] [P-57] is Alice's: it never reaches Bob, who asks for the same topic at the same moment", async () => {
      const topic = fresh('held');
      const everyone = await Promise.all(['alice', 'bob', 'alice', 'bob'].map((token) => follow(server, [{ topic }], { options: { token }, isReady: false })));
      await asked(topic, 2);
      await letGo(server, topic);
      for (const one of everyone) await one.ready();
      assert.deepEqual(await Promise.all(everyone.map((one) => states(one, topic))), [['alice'], ['bob'], ['alice'], ['bob']]);
      assert.ok((await calls(server, topic)) >= 2, 'one call for each user at least');
      for (const one of everyone) await one.end();
    });

    test("[G7] [P-57] is Alice's, and Bob takes her place at the keyboard before it is there: he gets his own and never hers", async () => {
      const topic = fresh('held');
      const one = await follow(server, [{ topic }], { options: { token: 'alice' }, isReady: false });
      await asked(topic, 1);
      await one.client.setToken('bob');
      await asked(topic, 2);
      await letGo(server, topic);
      await one.ready();
      await publish(server, topic, 1, 5);
      await one.reaches(topic, 5);
      assert.deepEqual([await states(one, topic), await one.got(topic)], [['bob'], numbers(1, 5)]);
      await one.end();
    });
  });
}

describe('what breaks behind the server', () => {
  let broker;
  const start = serving('states');
  before(async () => (broker = await redis()));
  after(async () => broker?.stop());
  const serve = (name, url) => start(name, { REDIS_URL: url });

  test("[G2] [G8] a worker's connections to Redis are cut, stalled and half-open while another one publishes: nothing is missing", async () => {
    const way = await openProxy(Number(new URL(broker.url).port));
    const [broken, well] = await Promise.all([serve('broken', `redis://127.0.0.1:${way.port}`), serve('well', broker.url)]);
    const topic = fresh();
    const one = await follow(broken, [{ topic }]);
    let n = 0;
    const more = (count) => publish(well, topic, n + 1, (n += count));
    await more(5);
    await one.reaches(topic, n);
    for (const strike of [way.cut, way.stall, way.cut, way.halfOpen]) {
      await more(200);
      strike();
      await more(200);
      way.heal();
      await more(10);
      await one.reaches(topic, n);
    }
    assert.deepEqual(await one.got(topic), numbers(1, n));
    assert.deepEqual(await one.notes('resync'), []);
    await one.end();
    way.close();
  });

  test('[G2] [G8] a worker stands still with its sockets open: the client goes to another one, and nothing is missing or doubled when it wakes', async () => {
    const [stalled, well] = await Promise.all([serve('stalled', broker.url), serve('second', broker.url)]);
    const topic = fresh();
    const one = await follow(stalled, [{ topic }], { others: [well] });
    await publish(well, topic, 1, 5);
    await one.reaches(topic, 5);
    stalled.stall();
    await publish(well, topic, 6, 500);
    await one.reaches(topic, 500);
    stalled.wake();
    await publish(stalled, topic, 501, 600);
    await one.reaches(topic, 600);
    assert.deepEqual(await one.got(topic), numbers(1, 600));
    assert.deepEqual(await one.notes('resync'), []);
    await one.end();
  });
});
