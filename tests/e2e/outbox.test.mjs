// Messages that are kept until the server has handled them: reloads, restarts, crashes, several tabs and users, counted by their effects.
import assert from 'node:assert/strict';
import { after, afterEach, before, describe, test } from 'node:test';
import { WebSocket } from 'ws';
import { createClient, MemoryOutbox, webSocketTransport } from 'wse-client/core';
import { launch, launchWithProfile } from './lib/browser.mjs';
import { temporaryFolder } from './lib/fresh.mjs';
import { builtPage } from './lib/page.mjs';
import { until } from './lib/process.mjs';
import { redis } from './lib/redis.mjs';
import { numbered, Site, Tab } from './outbox/site.mjs';

const LIMIT = { timeout: 60_000 };
const lines = (user, type, ns) => ns.map((n) => `${user} ${type} ${n}`);
const upTo = (count) => numbered(count).map(({ n }) => n);

let bus, page, site;
before(async () => {
  [bus, page] = await Promise.all([redis(), builtPage('outbox')]);
});
after(() => bus?.stop());
afterEach(async () => {
  await site?.close();
  site = undefined;
});

describe('the outbox in Chromium', { concurrency: false }, () => {
  let browser, context;
  before(async () => {
    browser = await launch();
  });
  after(() => browser?.close());
  const open = async (options = {}) => {
    site = await Site.open({ page, ...options });
    context = await browser.newContext();
  };
  afterEach(() => context?.close());

  for (const [what, prepare] of [['', undefined], [', on a page without Web Locks', () => Object.defineProperty(navigator, 'locks', { value: undefined })]]) {
    test(`G3: 100 messages that were not sent before a reload are handled once, in order${what}`, LIMIT, async () => {
      await open();
      const tab = await Tab.open(context, site, { prepare });
      await tab.untilConnected();
      site.gate.cut();
      await tab.send('order', numbered(100));
      await tab.untilCounts({ isDurable: true });
      await tab.load(site);
      site.gate.mend();
      await tab.untilConnected();
      await tab.send('order', [{ n: 101 }]);
      await site.untilEffects(101);
      await tab.untilCounts({ queued: 0, sent: 0, failed: 0 });
      assert.deepEqual(site.effects(), lines('ada', 'order', upTo(101)));
      const acknowledged = (await tab.told()).filter(({ status }) => status === 'acknowledged');
      assert.deepEqual(acknowledged.map(({ n, isEarlier, reply }) => [n, isEarlier, reply.done]), upTo(101).map((n) => [n, n <= 100, n]));
      assert.deepEqual((await tab.replies())[101], { done: 101 });
    });
  }
});

describe('the outbox in Node', { concurrency: false }, () => {
  const clients = [];
  const connect = (outbox) => {
    const client = createClient({ endpoints: site.endpoint, token: 'ada', backoffBaseMs: 50, backoffCapMs: 200, connectTimeoutMs: 1_000 }, { transport: webSocketTransport(WebSocket), outbox });
    clients.push(client);
    client.connect();
    return client;
  };
  afterEach(() => {
    for (const client of clients.splice(0)) client.close();
  });

  test('G3: a message whose acknowledgement is lost is handled once and answered; what a client leaves, the next one sends', LIMIT, async () => {
    site = await Site.open({});
    const outbox = new MemoryOutbox();
    const first = connect(outbox);
    await until('the client to be ready', () => first.state.isConnected);
    const reply = first.sendMessage('order', { n: 1, nap: 0.5 });
    await site.untilEffects(1);
    site.gate.cut();
    await new Promise((done) => setTimeout(done, 700));
    site.gate.mend();
    assert.deepEqual(await reply, { done: 1 });
    site.gate.cut();
    const left = numbered(3).map(({ n }) => first.sendMessage('order', { n: n + 1 }).catch(({ code }) => code));
    first.close();
    assert.deepEqual(await Promise.all(left), ['CLOSED', 'CLOSED', 'CLOSED']);
    site.gate.mend();
    const second = connect(outbox);
    await site.untilEffects(4);
    await until('the outbox to be empty', () => second.outbox.messages.length === 0 && second.state.isConnected);
    assert.deepEqual(site.effects(), lines('ada', 'order', upTo(4)));
  });
});
