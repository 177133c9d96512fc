// Cases by name of what a client keeps until the server has handled it: effects are counted in a file outside of the server. Every test names the clause that it proves.
import assert from 'node:assert/strict';
import { existsSync, readFileSync, rmSync } from 'node:fs';
import { after, before, describe, test } from 'node:test';
import { MemoryOutbox } from 'wse-client/core';
import { inNode } from './lib/clients.mjs';
import { env, follow, fresh, PATIENCE_MS, PYTHON } from './lib/following.mjs';
import { redis, until, worker } from './lib/processes.mjs';

for (const bus of ['memory', 'redis']) {
  describe(`a client with an outbox, on ${bus === 'redis' ? 'Redis' : 'the in-process bus'}`, () => {
    const { EFFECTS: file, ...rest } = env(`sends-${bus}`);
    let broker, server;
    before(async () => {
      rmSync(file, { force: true });
      if (bus === 'redis') broker = await redis();
      server = await worker(`sends-${bus}`, PYTHON, { EFFECTS: file, ...rest, ...(broker ? { REDIS_URL: broker.url } : {}) });
    });
    // Those of a case that failed too: they would go on for ever.
    const pages = [];
    after(async () => {
      for (const { client, network } of pages) {
        await client.close();
        network.close();
      }
      await server?.stop();
      await broker?.stop();
    });

    /** The numbers of the messages of a client that had their effect, in that order. */
    const effects = (name) => (existsSync(file) ? readFileSync(file, 'utf8') : '').split('\n').flatMap((line) => (line.startsWith(`${name} `) ? [Number(line.split(' ')[1])] : []));
    /** One page of a browser: those that have the same rows come one after the other. */
    const page = async (name, rows = new MemoryOutbox(), options = {}) => {
      const one = await follow(server, [], { name, options: { outboxName: name, ...options }, where: (plan) => inNode(plan, { outbox: rows }) });
      pages.push(one);
      return one;
    };
    const outcome = async (one, n) => {
      const of = async () => (await one.client.seen()).sends.find((send) => send.n === n).outcome;
      return (await until(of, PATIENCE_MS)) ?? 'none';
    };
    const send = (one, n, how = 'plain') => one.client.send({ n, how, keep: true });
    const counts = async (one) => (await one.client.seen()).outbox;

    test('[G3] ends with a message on its way that never arrived: the next page has it handled, once', async () => {
      const [name, rows] = [fresh('sender'), new MemoryOutbox()];
      const one = await page(name, rows);
      await send(one, 1);
      assert.equal(await outcome(one, 1), 'acknowledged');
      one.network.halfOpen();
      await send(one, 2);
      assert.ok(await until(async () => (await counts(one)).sent === 1, PATIENCE_MS), 'it is on its way');
      await one.end();
      assert.deepEqual(effects(name), [1]);
      const two = await page(name, rows);
      assert.ok(await until(() => effects(name).length > 1, PATIENCE_MS), 'it is sent again');
      await send(two, 3);
      assert.equal(await outcome(two, 3), 'acknowledged');
      assert.deepEqual(effects(name), [1, 2, 3]);
      assert.deepEqual(await counts(two), { queued: 0, sent: 0, failed: 0 });
      await two.end();
    });

    test('[G3] was away until a message got too old: it is told so, and the message is not sent', async () => {
      const name = fresh('sender');
      const one = await page(name, new MemoryOutbox(), { outboxAgeMs: 2_000 });
      await send(one, 1);
      assert.equal(await outcome(one, 1), 'acknowledged');
      one.network.refuse();
      one.network.cut();
      await send(one, 2);
      assert.equal(await outcome(one, 2), 'failed: EXPIRED');
      assert.deepEqual(await counts(one), { queued: 0, sent: 0, failed: 1 });
      one.network.heal();
      await send(one, 3);
      assert.equal(await outcome(one, 3), 'acknowledged');
      assert.deepEqual(effects(name), [1, 3]);
      await one.end();
    });

    test('[G3] has its server killed in its handler: the outcome is unknown, nothing is done again, and what follows is done', async () => {
      const name = fresh('sender');
      const one = await page(name);
      await send(one, 1, 'long');
      await send(one, 2);
      assert.ok(await until(() => effects(name).length > 0, PATIENCE_MS), 'it is being handled');
      await server.restart();
      assert.equal(await outcome(one, 1), 'failed: OUTCOME_UNKNOWN');
      assert.match(await outcome(one, 2), bus === 'redis' ? /^acknowledged$/ : /^failed: OUTCOME_UNKNOWN$/);
      await send(one, 3);
      assert.equal(await outcome(one, 3), 'acknowledged');
      assert.deepEqual(effects(name), bus === 'redis' ? [1, 2, 3] : [1, 3]);
      await one.end();
    });
  });
}
