// The dashboard in Chromium, from the real server, through both drivers.
import assert from 'node:assert/strict';
import { copyFileSync, existsSync } from 'node:fs';
import { join } from 'node:path';
import { after, before, describe, test } from 'node:test';
import { launch, openPage, text, untilLink, untilValuesChange } from './lib/browser.mjs';
import { OUT, ROOT } from './lib/paths.mjs';
import { freePort, until } from './lib/process.mjs';
import { uvicorn } from './lib/server.mjs';

for (const [takeover, transport] of [['auto', 'native'], ['never', 'asgi']]) {
  describe(`dashboard with takeover=${takeover}`, () => {
    let browser, port, server, opened;
    const env = { WSE_TAKEOVER: takeover };

    before(async () => {
      [browser, port] = [await launch(), await freePort()];
      server = await uvicorn({ name: `dashboard-${takeover}`, port, env });
      opened = await openPage(browser, `http://localhost:${port}/`);
    });
    after(async () => {
      await browser?.close();
      await server?.stop();
    });

    test('the page shows live values that change', async () => {
      const { page } = opened;
      await untilLink(page, 'live');
      await untilValuesChange(page);
      await untilValuesChange(page);
      assert.match(await page.getByTestId('feed').innerText(), /#\d{4}/);
      assert.equal(await page.locator('.tile .spark polyline').count(), 5);
    });

    test(`the server serves it through the ${transport} driver`, async () => {
      await until('the transport', async () => (await text(opened.page, 'transport')) === transport, 5_000);
    });

    test('StrictMode in production opens exactly one socket', async () => {
      await opened.page.waitForTimeout(1_500);
      assert.equal(opened.sockets.length, 1);
    });

    test('a click sends an order, and the reply of the Python handler appears with its round trip', async () => {
      const { page } = opened;
      await page.getByTestId('submit').click();
      await page.locator('[data-testid=result][data-kind=filled]').waitFor({ timeout: 5_000 });
      assert.match(await text(page, 'result'), /Order #\d+ filled[\s\S]*Bought 2 BTC at [\d,]+\.\d\d/);
      assert.match(await text(page, 'order-ms'), /^<?[\d.]+ ms$/);
      await until('the order in the feed', async () => (await text(page, 'feed')).includes('Bought 2 BTC'), 3_000);
    });

    test('an order that the model refuses shows the sentence that names the field', async () => {
      const { page } = opened;
      await page.getByTestId('quantity').fill('500');
      await page.getByTestId('submit').click();
      await page.locator('[data-testid=result][data-kind=failed]').waitFor({ timeout: 5_000 });
      assert.match(await text(page, 'result'), /payload\.quantity: .*less than or equal to 100/);
      await page.getByTestId('quantity').fill('2');
    });

    test('the page survives the death of the server and is live again after its restart', async () => {
      const { page } = opened;
      const epoch = await text(page, 'epoch');
      server.kill('SIGKILL');
      await server.ended;
      await untilLink(page, 'reconnecting', 5_000);
      assert.equal(await page.getByTestId('badge').getByRole('status').innerText(), 'Reconnecting…');
      assert.match(await text(page, 'notice'), /server is away/);
      const frozen = await text(page, 'price');
      await page.waitForTimeout(1_200);
      assert.equal(await text(page, 'price'), frozen);
      if (takeover === 'auto') await page.screenshot({ path: join(OUT, 'dashboard-reconnecting.png') });

      server = await uvicorn({ name: `dashboard-${takeover}`, port, env });
      await untilLink(page, 'live', 12_000);
      await untilValuesChange(page);
      await until('another epoch', async () => (await text(page, 'epoch')) !== epoch, 5_000);
      assert.equal(await text(page, 'reconnects'), '1');
      await page.getByTestId('submit').click();
      await page.locator('[data-testid=result][data-kind=filled]').waitFor({ timeout: 5_000 });
    });

    test('the page threw nothing', () => {
      assert.deepEqual(opened.faults, []);
    });

    if (takeover === 'auto') {
      test('pictures: desktop and phone, light and dark, without horizontal overflow', async () => {
        for (const colorScheme of ['light', 'dark']) {
          for (const [device, width, height] of [['desktop', 1280, 900], ['phone', 390, 844]]) {
            const { context, page } = await openPage(browser, `http://localhost:${port}/`, { viewport: { width, height }, colorScheme, deviceScaleFactor: device === 'phone' ? 2 : 1 });
            await untilLink(page, 'live');
            await page.getByTestId('submit').click();
            await page.locator('[data-testid=result][data-kind=filled]').waitFor({ timeout: 5_000 });
            await page.waitForTimeout(colorScheme === 'dark' && device === 'desktop' ? 12_000 : 3_000);
            const wide = await page.evaluate(() => ({ page: document.documentElement.scrollWidth, view: document.documentElement.clientWidth }));
            assert.equal(wide.page, wide.view, `${device}: ${wide.page} px of content in ${wide.view} px`);
            await page.evaluate(() => scrollTo(0, 0));
            await page.screenshot({ path: join(OUT, `${device}-${colorScheme}.png`), fullPage: device === 'phone' });
            await context.close();
          }
        }
        const shown = join(ROOT, 'docs/dashboard.png');
        // Every run draws other prices: the picture in the repository changes only when it is meant to.
        if (process.env.UPDATE_SCREENSHOT || !existsSync(shown)) copyFileSync(join(OUT, 'desktop-dark.png'), shown);
      });

      test('nothing on the page moves when values change', async () => {
        const { context, page } = await openPage(browser, `http://localhost:${port}/`);
        await page.evaluate(() => {
          window.shift = 0;
          new PerformanceObserver((list) => {
            for (const entry of list.getEntries()) if (!entry.hadRecentInput) window.shift += entry.value;
          }).observe({ type: 'layout-shift', buffered: true });
        });
        await untilLink(page, 'live');
        await page.waitForTimeout(4_000);
        const shift = await page.evaluate(() => window.shift);
        assert.ok(shift < 0.02, `cumulative layout shift is ${shift}`);
        await context.close();
      });
    }
  });
}
