// Cases by name of who is in a room: breaks within and beyond the grace, and workers that die or stand still with members. Every test names the clause that it proves.
import assert from 'node:assert/strict';
import { after, before, describe, test } from 'node:test';
import { env, follow, fresh, PATIENCE_MS, PYTHON, serving } from './lib/following.mjs';
import { redis, until, worker } from './lib/processes.mjs';

const OPTIONS = { format: 'json', compression: false };

const attending = [];
// Those of a case that failed too: they would go on for ever.
after(async () => {
  for (const { client, network } of attending) {
    await client.close();
    network.close();
  }
});

/** A client that attends a room through a server, and notes all that is told of it. */
async function attend(server, topic, watches = []) {
  const one = await follow(server, [], { options: OPTIONS, room: { topic, watches } });
  attending.push(one);
  const isWatching = async () => Object.values((await one.client.seen()).shown).every(({ status }) => status === 'live');
  assert.ok(await until(isWatching, PATIENCE_MS), 'who is there is known before anybody else comes');
  return one;
}

/** What a watcher was told, message by message: who came or has other data, and who left. */
async function changes(one) {
  const told = (await one.notes('told')).filter(({ what, log }) => what === 'change' && log.startsWith('@presence:'));
  return told.flatMap(({ p }) => [...p.set.map(({ id, data }) => ['set', id, data.n]), ...p.gone.map((id) => ['gone', id])]);
}

async function begins(one, watcher) {
  await one.client.act('enter');
  await reaches(watcher, 'set', async () => (await idOf(one)) !== undefined);
  return idOf(one);
}

async function idOf(one) {
  return (await one.notes('in')).at(-1)?.id;
}

async function reaches(watcher, what, is = async () => (await changes(watcher)).at(-1)?.[0] === what) {
  assert.ok(await until(async () => (await is()) && (await changes(watcher)).at(-1)?.[0] === what, PATIENCE_MS), `the watcher is told ${what}: ${JSON.stringify(await changes(watcher))}`);
}

const listed = async (one) => (await one.client.seen()).shown.list.members.map(({ id }) => id);
const sleep = (ms) => new Promise((done) => setTimeout(done, ms));

for (const bus of ['memory', 'redis']) {
  describe(`a member of a room, on ${bus === 'redis' ? 'Redis' : 'the in-process bus'}`, () => {
    let broker, server;
    before(async () => {
      if (bus === 'redis') broker = await redis();
      server = await worker(`rooms-${bus}`, PYTHON, env(`rooms-${bus}`, broker ? { REDIS_URL: broker.url } : {}));
    });
    after(async () => {
      await server?.stop();
      await broker?.stop();
    });

    test('[P-62] whose connection breaks is seen to leave by nobody, but where it is away for longer than the grace: then once', async () => {
      const topic = fresh('room');
      const watcher = await attend(server, topic, ['list']);
      const one = await attend(server, topic);
      const id = await begins(one, watcher);
      one.network.refuse();
      one.network.cut();
      await sleep(400);
      one.network.heal();
      assert.ok(await until(async () => (await one.notes('in')).length === 3, PATIENCE_MS), 'it enters again');
      await sleep(1_500);
      assert.deepEqual(await changes(watcher), [['set', id, 1]]);
      one.network.refuse();
      one.network.cut();
      await reaches(watcher, 'gone');
      one.network.heal();
      await reaches(watcher, 'set');
      assert.deepEqual(await changes(watcher), [['set', id, 1], ['gone', id], ['set', id, 1]]);
      assert.deepEqual(await listed(watcher), [id]);
      for (const each of [one, watcher]) await each.end();
    });
  });
}

describe('a server with members', () => {
  let broker;
  const serve = serving('rooms');
  before(async () => (broker = await redis()));
  after(async () => broker?.stop());

  test('[P-62] a worker is killed with a member that does not come back: others are told that it left, once, after the lease', async () => {
    const [dies, lives] = await Promise.all([serve('dies', { REDIS_URL: broker.url }), serve('lives', { REDIS_URL: broker.url })]);
    const topic = fresh('room');
    const watcher = await attend(lives, topic, ['list', 'count']);
    const [goes, stays] = [await attend(dies, topic), await attend(lives, topic)];
    const id = await begins(goes, watcher);
    const other = await begins(stays, watcher);
    goes.network.vanish(true);
    const killedAt = Date.now();
    await dies.restart();
    await reaches(watcher, 'gone');
    assert.ok(Date.now() - killedAt >= 1_200, 'the lease ran on');
    // Both workers have looked after what is left of it.
    await sleep(2_000);
    assert.deepEqual(await changes(watcher), [['set', id, 1], ['set', other, 1], ['gone', id]]);
    assert.deepEqual(await listed(watcher), [other]);
    for (const each of [goes, stays, watcher]) await each.end();
  });

  test('[P-62] a worker stands still for longer than its lease: its member is told to have left, comes again when it goes on, and leaves when it says so', async () => {
    // Nobody gives up the worker's connections meanwhile.
    const more = { REDIS_URL: broker.url, SETTINGS: JSON.stringify({ heartbeat: 10, idle_timeout: 30, presence_lease: 1 }) };
    const [stalled, well] = await Promise.all([serve('stalled', more), serve('well', more)]);
    const topic = fresh('room');
    const watcher = await attend(well, topic, ['list']);
    const one = await attend(stalled, topic);
    const id = await begins(one, watcher);
    stalled.stall();
    await reaches(watcher, 'gone');
    stalled.wake();
    await reaches(watcher, 'set');
    await one.client.act('update');
    await reaches(watcher, 'set', async () => (await changes(watcher)).at(-1)?.[2] === 2);
    await one.client.act('leave');
    await reaches(watcher, 'gone');
    assert.deepEqual(await changes(watcher), [['set', id, 1], ['gone', id], ['set', id, 1], ['set', id, 2], ['gone', id]]);
    assert.deepEqual(await listed(watcher), []);
    for (const each of [one, watcher]) await each.end();
  });

  test('[P-62] [P-64] a server with the in-process bus is killed while a member goes for good: who watches sees those who came again, and no others', async () => {
    const server = await serve('memory', {});
    const topic = fresh('room');
    const watcher = await attend(server, topic, ['list', 'count']);
    const [goes, stays] = [await attend(server, topic), await attend(server, topic)];
    await begins(goes, watcher);
    const id = await begins(stays, watcher);
    goes.network.vanish(true);
    await server.restart();
    const isIt = async () => JSON.stringify(await listed(watcher)) === JSON.stringify([id]) && (await watcher.client.seen()).shown.list.status === 'live';
    assert.ok(await until(isIt, PATIENCE_MS), `the watcher sees ${id} alone: ${await listed(watcher)}`);
    assert.equal((await watcher.client.seen()).shown.count.count, 1);
    for (const each of [goes, stays, watcher]) await each.end();
  });
});
