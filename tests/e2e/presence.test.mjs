// Who has the dashboard open, in real browsers: others come and go, a reload is not seen, a browser that is offline for longer is.
import assert from 'node:assert/strict';
import { after, afterEach, before, beforeEach, describe, test } from 'node:test';
import { launch, openPage, untilLink } from './lib/browser.mjs';
import { freePort, until } from './lib/process.mjs';
import { uvicorn } from './lib/server.mjs';

/** The server's default grace, and what it takes for a lost socket to be noticed and told. */
const GRACE = 15_000;
const TOLD = 8_000;

/** The dashboard's: a socket that falls silent is taken for lost. */
const IDLE = 10_000;

describe('who is here', { concurrency: false }, () => {
  let browser, server, url;
  before(async () => (browser = await launch()));
  after(() => browser?.close());
  // One for each test: who was in the last one's would be here for the grace.
  beforeEach(async () => {
    const port = await freePort();
    server = await uvicorn({ name: 'presence', port });
    url = `http://localhost:${port}/`;
  });
  afterEach(() => server?.stop());

  /** A page that keeps what it showed of how many are here. */
  async function visit() {
    const opened = await openPage(browser, url);
    await untilLink(opened.page, 'live');
    await count(opened, 1, 5_000).catch(() => undefined);
    await opened.page.evaluate(() => {
      const here = document.querySelector('[data-testid=here]');
      window.counts = [here.dataset.count];
      new MutationObserver(() => window.counts.at(-1) !== here.dataset.count && window.counts.push(here.dataset.count)).observe(here, { attributes: true });
    });
    return opened;
  }
  const count = ({ page }, n, within = TOLD) => until(`${n} to be here`, async () => (await page.getByTestId('here').getAttribute('data-count')) === String(n), within);
  const counts = ({ page }) => page.evaluate(() => window.counts);
  const own = ({ page }) => page.locator('.face.own').getAttribute('title');
  const other = ({ page }) => page.locator('.face:not(.own):not(.more)').getAttribute('title');

  test('[P-60] [P-64] two browsers see each other, by name, and what the other looks at', async () => {
    const [one, two] = [await visit(), await visit()];
    try {
      await count(one, 2);
      await count(two, 2);
      const [name] = (await own(two)).split(' (you)');
      assert.equal(await other(one), `${name}, looking at BTC`);
      await two.page.locator('[data-symbol=ETH]').click();
      await until('the other to look at ETH', async () => (await other(one)) === `${name}, looking at ETH`, TOLD);
      assert.equal(await one.page.locator('[data-symbol=ETH] .symbol i').count(), 1);
      assert.deepEqual([...one.faults, ...two.faults], []);
    } finally {
      await one.context.close();
      await two.context.close();
    }
  });

  test('[P-62] a reload is seen by nobody, and a page that is closed is gone after the grace', async () => {
    const [one, two] = [await visit(), await visit()];
    try {
      await count(one, 2);
      const name = await own(two);
      for (let n = 0; n < 3; n += 1) {
        await two.page.reload();
        await untilLink(two.page, 'live');
      }
      await count(two, 2);
      assert.equal(await own(two), name);
      await one.page.waitForTimeout(3_000);
      assert.deepEqual((await counts(one)).at(-1), '2');
      const before = (await counts(one)).length;
      await two.context.close();
      await one.page.waitForTimeout(5_000);
      assert.equal((await counts(one)).length, before, 'nothing is to be seen within the grace');
      await count(one, 1, GRACE);
      assert.deepEqual((await counts(one)).slice(before), ['1']);
    } finally {
      await one.context.close();
    }
  });

  test('[P-62] a browser that is offline for longer than the grace leaves once, and is back once', { timeout: 90_000 }, async () => {
    const [one, two] = [await visit(), await visit()];
    try {
      await count(one, 2);
      const before = (await counts(one)).length;
      const devtools = await two.context.newCDPSession(two.page);
      await devtools.send('Network.enable');
      const network = (offline) => devtools.send('Network.emulateNetworkConditions', { offline, latency: 0, downloadThroughput: -1, uploadThroughput: -1 });
      await network(true);
      await count(one, 1, IDLE + GRACE + TOLD);
      await one.page.waitForTimeout(2_000);
      await network(false);
      await count(one, 2, 15_000);
      await count(two, 2);
      assert.deepEqual((await counts(one)).slice(before), ['1', '2']);
      assert.deepEqual([...one.faults, ...two.faults], []);
    } finally {
      await one.context.close();
      await two.context.close();
    }
  });
});
