// Both packages as a user installs them, and the README's files on them: the literal addresses, the literal lines.
import assert from 'node:assert/strict';
import { createHash } from 'node:crypto';
import { existsSync, readFileSync } from 'node:fs';
import { basename, dirname, join } from 'node:path';
import { after, before, describe, test } from 'node:test';
import { launch, openPage } from './lib/browser.mjs';
import { WHEEL, cleanVenv, freshApp, quickstartFolder } from './lib/fresh.mjs';
import { FIXTURES, QUICKSTART, ROOT, distFile } from './lib/paths.mjs';
import { freePort, isTaken, run, start, until } from './lib/process.mjs';
import { uvicorn } from './lib/server.mjs';

const PORT = 8000; // the README's
const REDIS = 6379; // the README's

// What is promised to the reader, line by line; the files may add a coroutine and an import.
const PYTHON_LINES = `from fastapi import FastAPI
from wse_server import create_wse_router, WSEConfig
app = FastAPI()
wse = create_wse_router(WSEConfig(
    redis_url="redis://localhost:6379",     # leave it out: in-process, no server needed
))
app.include_router(wse, prefix="/wse")
# Publish from anywhere in your app
await wse.publish("notifications", {"text": "Order shipped!", "order_id": 42})`.split('\n');
const PYTHON_ADDED = ['# main.py', '@app.post("/ship")', 'async def ship():'];
const TSX_LINES = `import { useWSE } from 'wse-client';
function Dashboard() {
  const { isConnected, connectionHealth } = useWSE({
    topics: ['notifications', 'live_data'],
    endpoints: ['ws://localhost:8000/wse'],
  });
  useEffect(() => {
    const handler = (e: CustomEvent) => { console.log('New notification:', e.detail); };   // e.detail is the payload
    window.addEventListener('notifications', handler);
    return () => window.removeEventListener('notifications', handler);
  }, []);
  return <div>Status: {connectionHealth}</div>;
}`.split('\n');
const TSX_ADDED = ['// Dashboard.tsx', "import { useEffect } from 'react';"];

describe('the quick start, installed', { concurrency: false }, () => {
  let python, app, browser;
  before(async () => {
    assert.equal(await isTaken(PORT), false, `port ${PORT} is in use, and the README's address names it: stop what listens there`);
    [python, app] = await Promise.all([cleanVenv(), freshApp()]);
    browser = await launch();
  });
  after(() => browser?.close());

  test('main.py and Dashboard.tsx hold the promised lines and nothing else but a coroutine and an import', () => {
    assert.deepEqual(added('main.py', PYTHON_LINES), PYTHON_ADDED);
    assert.deepEqual(added('Dashboard.tsx', TSX_LINES), TSX_ADDED);
  });

  test('wse_server comes from the built wheel, in the version that its name says', async () => {
    const said = JSON.parse(
      await run('import', python, ['-c', 'import json, wse_server, wse_server._native as n; print(json.dumps([wse_server.__file__, n.__file__, n.__version__]))'], { cwd: app }),
    );
    const home = dirname(dirname(python));
    assert.ok(said[0].startsWith(`${home}/`) && said[1].startsWith(`${home}/`), `imported from ${said[0]} and ${said[1]}, not from ${home}`);
    assert.equal(said[2], basename(distFile(WHEEL)).split('-')[1]);
    const name = said[1].slice(said[1].indexOf('wse_server/'));
    const packed = await run('unzip', python, ['-c', 'import sys, zipfile, hashlib; print(hashlib.sha256(zipfile.ZipFile(sys.argv[1]).read(sys.argv[2])).hexdigest())', distFile(WHEEL), name]);
    assert.equal(createHash('sha256').update(readFileSync(said[1])).digest('hex'), packed.trim());
  });

  test('Dashboard.tsx type-checks under tsc --strict against the packed client', async () => {
    await run('tsc', join(app, 'node_modules/.bin/tsc'), ['--noEmit', '-p', app]);
  });

  test('main.py without redis_url under `uvicorn main:app`: the fresh app becomes connected and hears a notification', async () => {
    await heard({ redis: false });
  });

  test('main.py as it stands, with Redis: the fresh app becomes connected and hears a notification', async () => {
    const own = await startRedis();
    try {
      await heard({ redis: true });
    } finally {
      await own?.stop();
    }
  });

  test('the token of useWSE(token, topics, config) arrives at auth_handler, and a refused one is closed with 4401 and does not come back', async () => {
    const [port, pagePort] = [await freePort(), await freePort()];
    const server = await uvicorn({ name: 'token', folder: join(FIXTURES, 'token'), port, python });
    const vite = start('fresh-vite', process.execPath, ['node_modules/vite/bin/vite.js', '--port', String(pagePort), '--strictPort'], { cwd: app });
    const seen = async () => (await fetch(`http://localhost:${port}/tokens`)).json();
    try {
      await until('the Vite server', async () => (await fetch(`http://localhost:${pagePort}/token.html`)).ok);
      const { context, page, sockets, faults } = await openPage(browser, `http://localhost:${pagePort}/token.html?port=${port}&token=of-ada`);
      await until('the user', async () => (await page.locator('#user').innerText()) === 'ada');
      assert.equal(await page.locator('#status').innerText(), 'ready');
      await until('what is published', async () => (await page.locator('#notice').innerText()) === 'hello ada');
      assert.deepEqual([await seen(), sockets.length, faults], [['of-ada'], 1, []]);

      await page.addInitScript(() => {
        const Native = WebSocket;
        window.closes = [];
        window.WebSocket = class extends Native {
          constructor(...parameters) {
            super(...parameters);
            this.addEventListener('close', ({ code }) => window.closes.push(code));
          }
        };
      });
      await page.goto(`http://localhost:${pagePort}/token.html?port=${port}&token=of-mallory`);
      await until('the refusal', async () => (await page.locator('#status').innerText()) === 'closed AUTH_FAILED');
      await page.waitForTimeout(4_000); // the first wait of the backoff is a second at most
      assert.deepEqual(await page.evaluate(() => window.closes.filter((code) => code !== 1006)), [4401]);
      assert.deepEqual([await seen(), sockets.length, faults], [['of-ada', 'of-mallory'], 2, []]);
      await context.close();
    } finally {
      await vite.stop();
      await server.stop();
    }
  });

  async function heard({ redis }) {
    const pagePort = await freePort();
    const server = await uvicorn({ name: `quickstart-${redis ? 'redis' : 'memory'}`, folder: quickstartFolder({ redis }), port: PORT, python });
    const vite = start('fresh-vite', process.execPath, ['node_modules/vite/bin/vite.js', '--port', String(pagePort), '--strictPort'], { cwd: app });
    let opened;
    try {
      const health = await (await fetch(`http://localhost:${PORT}/wse/health`)).json();
      assert.equal(health.bus, redis ? 'redis' : 'memory');
      await until('the Vite server', async () => (await fetch(`http://localhost:${pagePort}/`)).ok);
      opened = await openPage(browser, 'about:blank');
      const { page, sockets, faults } = opened;
      const heard = [];
      page.on('console', async (message) => {
        const [first, second] = message.args();
        if (message.text().startsWith('New notification:')) heard.push([await first.jsonValue(), await second.jsonValue()]);
      });
      await page.goto(`http://localhost:${pagePort}/`);
      await until('the page to say that it is connected', async () => /^Status: (excellent|good|fair)$/.test(await page.locator('#root').innerText()));
      assert.equal(sockets.length, 1);
      assert.equal((await fetch(`http://localhost:${PORT}/ship`, { method: 'POST' })).status, 200);
      await until('the notification', () => heard.length > 0, 5_000);
      await page.waitForTimeout(300);
      assert.deepEqual(heard, [['New notification:', { text: 'Order shipped!', order_id: 42 }]]);
      assert.deepEqual(faults, []);
    } finally {
      await opened?.context.close();
      await vite.stop();
      await server.stop();
    }
  }
});

describe('README.md', () => {
  const readme = join(ROOT, 'README.md');
  const blocks = existsSync(readme) ? fenced(readFileSync(readme, 'utf8')) : null;

  test('its main.py and Dashboard.tsx are the tested files, character by character', (t) => {
    if (blocks === null) return t.skip('there is no README.md yet');
    const named = blocks.filter(({ name }) => existsSync(join(QUICKSTART, name)));
    assert.deepEqual([...new Set(named.map(({ name }) => name))].sort(), ['Dashboard.tsx', 'main.py'], 'README.md must show both files, each in a fenced block whose first line is its name as a comment');
    for (const { name, text } of named) assert.equal(text, readFileSync(join(QUICKSTART, name), 'utf8'), `README.md shows another ${name} than examples/quickstart has`);
  });
});

/** The lines that a quick start file has beyond the promised ones; those must all be there, in order, but for indentation. */
function added(name, promised) {
  const rest = [];
  const waiting = [...promised];
  for (const line of readFileSync(join(QUICKSTART, name), 'utf8').split('\n')) {
    if (line === waiting[0] || (waiting[0] !== undefined && line.trim() === waiting[0].trim())) waiting.shift();
    else if (line.trim() !== '') rest.push(line);
  }
  assert.deepEqual(waiting, [], `${name} lacks promised lines`);
  return rest;
}

/** Fenced blocks whose first line is a comment with a file name. */
function fenced(markdown) {
  const found = [];
  for (const [, text] of markdown.matchAll(/^```\w*\n([\s\S]*?)^```$/gm)) {
    const name = /^(?:#|\/\/) ([\w./-]+\.\w+)$/.exec(text.split('\n', 1)[0])?.[1];
    if (name !== undefined) found.push({ name: basename(name), text });
  }
  return found;
}

/** A Redis on the README's port; one that runs there already is used. */
async function startRedis() {
  if (await isTaken(REDIS)) return null;
  const redis = start('redis', 'redis-server', ['--port', String(REDIS), '--bind', '127.0.0.1', '--save', '', '--appendonly', 'no']);
  await until('redis-server (tools/setup.sh apt redis-server installs it)', () => redis.isOver() || isTaken(REDIS));
  assert.equal(redis.isOver(), false, `redis-server ended at once:\n${redis.output()}`);
  return redis;
}
