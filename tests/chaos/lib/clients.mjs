// Where clients run: in this process, with the sockets of `ws`, or in a page of Chromium. Both use the package as it is built.
import { existsSync, readFileSync } from 'node:fs';
import http from 'node:http';
import { extname, join } from 'node:path';
import { chromium } from 'playwright-core';
import { WebSocket } from 'ws';
import * as wse from 'wse-client/core';
import { record } from './recorder.mjs';
import { ROOT } from './processes.mjs';

const HERE = join(ROOT, 'tests/chaos');
const CHROMIUM = [process.env.CHROMIUM, '/usr/bin/chromium', '/usr/bin/chromium-browser', '/usr/bin/google-chrome'];

/** Starts a client in this process; `roles` as of `createClient`, such as the rows of an outbox that outlive it. */
export async function inNode(plan, roles = {}) {
  const client = record(wse, { transport: wse.webSocketTransport(WebSocket), ...roles }, plan);
  return {
    send: async (message) => client.send(message),
    session: () => client.session(),
    act: async (what) => client.act(what),
    setToken: async (token) => client.setToken(token),
    isReady: async () => client.isReady(),
    seen: async () => client.seen(),
    close: async () => client.close(),
  };
}

/** One browser and one file server for all pages. */
export async function openBrowser() {
  const executablePath = CHROMIUM.find((path) => path !== undefined && existsSync(path));
  if (executablePath === undefined) throw new Error('Chromium is missing: run tools/setup.sh apt chromium, or name it with CHROMIUM=');
  const browser = await chromium.launch({ executablePath, args: ['--no-sandbox', '--disable-gpu', '--no-first-run', '--disable-background-networking'] });
  const files = await serveFiles();
  return {
    /** Starts a client in a page of its own. */
    async inPage(plan) {
      const context = await browser.newContext();
      const page = await context.newPage();
      // Mutations look for their name where Node has it.
      await page.addInitScript((name) => { if (name !== null) globalThis.process = { env: { WSE_MUTATION: name } }; }, process.env.WSE_MUTATION ?? null);
      await page.goto(`http://127.0.0.1:${files.address().port}/`);
      const devtools = await context.newCDPSession(page);
      await devtools.send('Network.enable');
      await page.evaluate((told) => window.begin(told), plan);
      return {
        send: (message) => page.evaluate((told) => window.client.send(told), message),
        session: () => page.evaluate(() => window.client.session()),
        act: (what) => page.evaluate((told) => window.client.act(told), what),
        setToken: (token) => page.evaluate((told) => window.client.setToken(told), token),
        isReady: () => page.evaluate(() => window.client.isReady()),
        seen: () => page.evaluate(() => window.client.seen()),
        close: () => context.close(),
        /** No packet passes, and no connection is closed: what a cable that was pulled looks like. */
        async offline(is) {
          await devtools.send('Network.emulateNetworkConditions', { offline: is, latency: 0, downloadThroughput: -1, uploadThroughput: -1 });
        },
        /** The wall clock of the page goes back, as when a user or a time server sets it. */
        setClockBack: (ms) => page.evaluate((back) => {
          const real = Date.now;
          Date.now = () => real() - back;
        }, ms),
      };
    },
    async close() {
      await browser.close();
      files.close();
    },
  };
}

const PAGE = `<!doctype html><script type="importmap">{"imports":{"wse-client/core":"/node_modules/wse-client/dist/core.js","zustand/vanilla":"/node_modules/zustand/esm/vanilla.mjs"}}</script>
<script type="module">import * as wse from 'wse-client/core'; import { record } from '/lib/recorder.mjs'; window.begin = (plan) => { window.client = record(wse, {}, plan); };</script>`;
const TYPES = { '.js': 'text/javascript', '.mjs': 'text/javascript' };

function serveFiles() {
  const server = http.createServer(({ url }, answer) => {
    const path = join(HERE, url.split('?')[0]);
    if (url === '/') return answer.setHeader('content-type', 'text/html').end(PAGE);
    if (!path.startsWith(HERE) || !existsSync(path)) return answer.writeHead(404).end();
    answer.setHeader('content-type', TYPES[extname(path)] ?? 'application/octet-stream').end(readFileSync(path));
  });
  return new Promise((done) => server.listen(0, '127.0.0.1', () => done(server)));
}
