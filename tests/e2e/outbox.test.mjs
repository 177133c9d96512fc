// Messages that are kept until the server has handled them: reloads, restarts, crashes, several tabs and users, counted by their effects.
import assert from 'node:assert/strict';
import { once } from 'node:events';
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
/** The page has no Web Locks, as one without https. */
const withoutLocks = () => Object.defineProperty(navigator, 'locks', { value: undefined });
const upTo = (count) => numbered(count).map(({ n }) => n);

/** The page's clock is so far ahead. */
const setClock = (ms) => `{ const now = Date.now; Date.now = () => now() + ${ms}; }`;

/** Longer than a lease lasts. */
const SLEEP = 200_000;

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

  for (const [what, prepare] of [['', undefined], [', on a page without Web Locks', withoutLocks]]) {
    test(`G3: 100 messages that were not sent before a reload are handled once, in order${what}`, LIMIT, async () => {
      await open();
      const tab = await Tab.open(context, site, { prepare });
      await tab.untilConnected();
      await tab.away(site);
      await tab.send('order', numbered(100));
      await tab.untilCounts({ queued: 100, isDurable: true });
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

  test('G3: a message whose acknowledgement is lost is handled once, and acknowledged in a tab that is opened an hour later', LIMIT, async () => {
    await open();
    const tab = await Tab.open(context, site);
    await tab.untilConnected();
    await tab.send('order', [{ n: 1, nap: 0.5 }]);
    await site.untilEffects(1);
    site.gate.cut();
    await new Promise((done) => setTimeout(done, 700));
    await tab.page.close();
    site.gate.mend();
    const later = await Tab.open(context, site, { prepare: setClock(3_600_000) });
    await later.untilCounts({ queued: 0, sent: 0, failed: 0, isDurable: true });
    await until('the acknowledgement', async () => (await later.told()).length === 2);
    assert.deepEqual((await later.told()).map(({ n, status, isEarlier, reply }) => [n, status, isEarlier, reply ?? null]), [[1, 'sent', true, null], [1, 'acknowledged', true, { done: 1 }]]);
    assert.deepEqual([site.effects(), later.sent('order').length], [lines('ada', 'order', [1]), 1]);
  });

  test('G3: what nobody sent for a day is told as expired, and not handled', LIMIT, async () => {
    await open();
    const tab = await Tab.open(context, site);
    await tab.untilConnected();
    await tab.away(site);
    await tab.send('order', numbered(3));
    await tab.untilCounts({ queued: 3, isDurable: true });
    await tab.page.close();
    site.gate.mend();
    const later = await Tab.open(context, site, { prepare: setClock(86_400_000) });
    await later.untilCounts({ queued: 0, sent: 0, failed: 3 });
    assert.deepEqual((await later.told()).map(({ n, status, code }) => [n, status, code]), upTo(3).map((n) => [n, 'failed', 'EXPIRED']));
    assert.deepEqual([site.effects(), later.sent('order')], [[], []]);
  });

  test('G3: of two tabs that find the rows of a third, one sends each, once; a living tab keeps its own', LIMIT, async () => {
    await open();
    const gone = await Tab.open(context, site);
    await gone.untilConnected();
    await gone.away(site);
    await gone.send('order', numbered(50));
    await gone.untilCounts({ queued: 50, isDurable: true });
    const living = await Tab.open(context, site, { options: { backoffBaseMs: 600_000, backoffCapMs: 600_000 } });
    await living.send('order', [{ n: 51 }]);
    await living.untilCounts({ queued: 1, isDurable: true });
    await gone.page.close();
    site.gate.mend();
    const tabs = await Promise.all([Tab.open(context, site), Tab.open(context, site)]);
    await site.untilEffects(50);
    for (const tab of tabs) await tab.untilCounts({ queued: 0, sent: 0, failed: 0 });
    const sent = tabs.flatMap((tab) => tab.sent('order'));
    assert.deepEqual([sent.length, new Set(sent).size], [50, 50]);
    assert.deepEqual(site.effects(), lines('ada', 'order', upTo(50)));
    // The one that waited is closed: within a look of the others its row is theirs.
    await living.page.close();
    await site.untilEffects(51, 25_000);
    for (const tab of tabs) await tab.untilCounts({ queued: 0, sent: 0, failed: 0 });
    await until('its frame to be seen', () => tabs.flatMap((tab) => tab.sent('order')).length > 50);
    assert.deepEqual([site.effects().slice(50), tabs.flatMap((tab) => tab.sent('order')).length], [['ada order 51'], 51]);
  });

  test('G3: a living tab keeps its own rows on a page without Web Locks, and leaves them to another when it goes', LIMIT, async () => {
    await open();
    site.gate.shut();
    const living = await Tab.open(context, site, { prepare: withoutLocks, options: { backoffBaseMs: 600_000, backoffCapMs: 600_000, breakerFailures: 1 } });
    await living.send('order', numbered(3));
    await living.untilCounts({ queued: 3, isDurable: true });
    site.gate.mend();
    const other = await Tab.open(context, site, { prepare: withoutLocks });
    // It looks for rows of others before it sends its own.
    await other.send('order', [{ n: 4 }]);
    await site.untilEffects(1);
    await other.untilCounts({ queued: 0, sent: 0, failed: 0 });
    assert.deepEqual([site.effects(), other.sent('order').length], [['ada order 4'], 1]);
    await living.page.goto('about:blank');
    await site.untilEffects(4, 25_000);
    assert.deepEqual(site.effects(), ['ada order 4', ...lines('ada', 'order', upTo(3))]);
  });

  for (const [what, isTaken, isGone] of [['has them, sends none of them', true, false], ['had them and is gone, sends none of them', true, true], ['had, sends them itself', false, false]]) {
    test(`G3: a page without Web Locks that slept, and finds that ${isTaken ? 'another' : 'no other'} ${what}: no row is sent twice`, LIMIT, async () => {
      await open();
      const sleeper = await Tab.open(context, site, { prepare: withoutLocks, canSleep: true });
      await sleeper.untilConnected();
      await sleeper.away(site);
      await sleeper.send('order', [{ n: 1, nap: isGone ? 0 : 3 }, { n: 2 }, { n: 3 }]);
      await sleeper.untilCounts({ queued: 3, isDurable: true });
      await sleeper.page.evaluate(() => window.sleep());
      await site.gate.untilStill();
      site.gate.mend();
      const tabs = [sleeper];
      if (isTaken) {
        const other = await Tab.open(context, site, { prepare: `(${withoutLocks})(); ${setClock(SLEEP)}` });
        tabs.push(other);
        await site.untilEffects(isGone ? 3 : 1);
        if (isGone) {
          await until('its rows to be gone', async () => (await other.rows()) === 0);
          await other.page.goto('about:blank');
        }
      }
      await sleeper.page.evaluate((ms) => window.wake(ms), SLEEP);
      await sleeper.send('order', [{ n: 4 }]);
      await until('all outcomes', async () => Object.keys(await sleeper.replies()).length === 4);
      assert.deepEqual(await sleeper.replies(), isTaken ? { 1: 'TAKEN_OVER', 2: 'TAKEN_OVER', 3: 'TAKEN_OVER', 4: { done: 4 } } : { 1: { done: 1 }, 2: { done: 2 }, 3: { done: 3 }, 4: { done: 4 } });
      await site.untilEffects(4);
      for (const tab of isGone ? [sleeper] : tabs) await tab.untilCounts({ queued: 0, sent: 0, failed: 0 });
      assert.deepEqual(site.effects().sort(), lines('ada', 'order', upTo(4)));
      // Not only handled once: once on the wire.
      await until('all frames to be seen', () => tabs.flatMap((tab) => tab.sent('order')).length >= 4);
      const sent = tabs.flatMap((tab) => tab.sent('order'));
      assert.deepEqual([sent.length, new Set(sent).size], [4, 4]);
      const { begun, repeats_answered: repeats } = await site.health();
      assert.deepEqual({ begun, repeats }, { begun: 4, repeats: 0 });
    });
  }

  test('G3: another user neither sends nor sees what is left; its writer does, later', LIMIT, async () => {
    await open();
    const alice = await Tab.open(context, site, { options: { token: 'alice' } });
    await alice.untilConnected();
    await alice.away(site);
    await alice.send('order', numbered(3));
    await alice.untilCounts({ queued: 3, isDurable: true });
    site.gate.mend();
    await alice.load(site, { token: 'bob' });
    await alice.untilConnected();
    await alice.send('order', [{ n: 4 }]);
    await site.untilEffects(1);
    await alice.untilCounts({ queued: 0, sent: 0, failed: 0, ofOthers: 3 });
    assert.deepEqual([site.effects(), (await alice.told()).map(({ n }) => n)], [['bob order 4'], [4, 4, 4]]);
    await alice.load(site, { token: 'alice' });
    await site.untilEffects(4);
    assert.deepEqual(site.effects(), ['bob order 4', ...lines('alice', 'order', upTo(3))]);
  });

  test('G3: a page that may not store says so once, and its messages survive lost connections', LIMIT, async () => {
    await open();
    const tab = await Tab.open(context, site, { prepare: () => Object.defineProperty(window, 'indexedDB', { value: undefined }) });
    await tab.untilConnected();
    await tab.away(site);
    await tab.send('order', numbered(3));
    await tab.untilCounts({ queued: 3, isDurable: false });
    site.gate.mend();
    await site.untilEffects(3);
    await tab.untilCounts({ queued: 0, sent: 0, failed: 0, isDurable: false });
    assert.deepEqual(site.effects(), lines('ada', 'order', upTo(3)));
    assert.deepEqual((await tab.errors()).filter((code) => code !== 'CONNECTION_LOST'), ['OUTBOX_NOT_KEPT']);
  });

  test('G3: what failed is there after a reload, and is sent anew or discarded by the page', LIMIT, async () => {
    await open();
    const tab = await Tab.open(context, site);
    await tab.untilConnected();
    await tab.send('flaky', numbered(2));
    await tab.untilCounts({ failed: 2 });
    assert.deepEqual(await tab.replies(), { 1: 'HANDLER_FAILED', 2: 'HANDLER_FAILED' });
    await tab.load(site);
    await tab.untilCounts({ failed: 2 });
    site.mendHandler();
    const [first, second] = await tab.page.locator('li').evaluateAll((items) => items.map((item) => item.dataset.id));
    assert.deepEqual(await tab.page.evaluate((id) => window.retry(id), first), { done: 1 });
    assert.equal(await tab.page.evaluate((id) => window.cancel(id), second), true);
    await tab.untilCounts({ queued: 0, sent: 0, failed: 0 });
    await tab.load(site);
    await tab.untilConnected();
    await tab.untilCounts({ queued: 0, sent: 0, failed: 0, isDurable: true });
    assert.deepEqual(site.effects(), ['ada flaky 1']);
  });

  for (const [type, outcome] of [['order', 'OUTCOME_UNKNOWN'], ['set', { done: 1 }]]) {
    test(`G3: a server that is killed in its handler: ${type} is ${outcome === 'OUTCOME_UNKNOWN' ? 'told as unknown' : 'idempotent, and runs again'}; what waited behind it is handled`, LIMIT, async () => {
      await open({ redis: bus.url });
      const tab = await Tab.open(context, site);
      await tab.untilConnected();
      await tab.send(type, [{ n: 1, nap: 30 }, { n: 2 }]);
      await site.untilEffects(1);
      await site.kill();
      await site.start({ RESTARTED: '1' });
      await until('both outcomes', async () => Object.keys(await tab.replies()).length === 2, 20_000);
      assert.deepEqual(await tab.replies(), { 1: outcome, 2: { done: 2 } });
      assert.deepEqual(site.effects(), lines('ada', type, outcome === 'OUTCOME_UNKNOWN' ? [1, 2] : [1, 1, 2]));
    });
  }

  test('G3: a server on the in-process bus that is killed: what had been sent is told as unknown, and the rest is handled', LIMIT, async () => {
    await open();
    const tab = await Tab.open(context, site);
    await tab.untilConnected();
    await tab.send('order', [{ n: 1, nap: 30 }]);
    await site.untilEffects(1);
    await site.kill();
    await tab.untilAway();
    await tab.send('order', [{ n: 2 }]);
    await tab.untilCounts({ queued: 1, sent: 1 });
    await tab.page.goto('about:blank');
    await site.start();
    await tab.load(site);
    await site.untilEffects(2);
    await tab.untilCounts({ queued: 0, sent: 0, failed: 1 });
    assert.deepEqual(site.effects(), lines('ada', 'order', [1, 2]));
    assert.deepEqual((await tab.told()).filter(({ status }) => status === 'failed').map(({ n, code }) => [n, code]), [[1, 'OUTCOME_UNKNOWN']]);
  });
});

describe('the outbox and a browser that ends', { concurrency: false }, () => {
  test('G3: what was not sent before the browser ended is handled once, in order, after it is started again', LIMIT, async () => {
    site = await Site.open({ page });
    const profile = temporaryFolder('profile');
    const before = await launchWithProfile(profile);
    try {
      const tab = await Tab.open(before, site);
      await tab.untilConnected();
      await tab.away(site);
      await tab.send('order', numbered(20));
      await tab.untilCounts({ queued: 20, isDurable: true });
      const session = await before.newCDPSession(tab.page);
      // Not closed: it goes as when it is killed.
      session.send('Browser.crash').catch(() => undefined);
      await once(before, 'close');
    } finally {
      await before.close();
    }
    site.gate.mend();
    const after = await launchWithProfile(profile);
    try {
      const tab = await Tab.open(after, site);
      await site.untilEffects(20);
      await tab.untilCounts({ queued: 0, sent: 0, failed: 0, isDurable: true });
      assert.deepEqual(site.effects(), lines('ada', 'order', upTo(20)));
    } finally {
      await after.close();
    }
  });
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

  test('G3: a message that a lost connection had no time to send is new to the server that starts anew', LIMIT, async () => {
    site = await Site.open({});
    const outbox = new MemoryOutbox();
    const write = outbox.write.bind(outbox);
    let goOn;
    const away = new Promise((resolve) => (goOn = resolve));
    // It is sent once its row is written, and the connection is gone by then.
    outbox.write = (...step) => away.then(() => write(...step));
    const first = connect(outbox);
    await until('the client to be ready', () => first.state.isConnected);
    const left = first.sendMessage('order', { n: 1 }).catch(({ code }) => code);
    await site.kill();
    await until('the client to be away', () => !first.state.isConnected);
    goOn();
    first.close();
    assert.equal(await left, 'CLOSED');
    await site.start();
    const second = connect(outbox);
    await site.untilEffects(1);
    await until('the outbox to be empty', () => second.outbox.messages.length === 0);
    assert.deepEqual(site.effects(), lines('ada', 'order', [1]));
  });
});
