// The examples that need no page, as their READMEs run them: the built packages, a server, and what is printed.
import assert from 'node:assert/strict';
import { cpSync, existsSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { test } from 'node:test';
import { TARBALL, temporaryFolder } from './lib/fresh.mjs';
import { ROOT, distFile } from './lib/paths.mjs';
import { freePort, run, start, until } from './lib/process.mjs';
import { uvicorn } from './lib/server.mjs';

const FILTERS = join(ROOT, 'examples/filters');
const DIRECT = join(ROOT, 'examples/direct');
const OUTBOX = join(ROOT, 'examples/outbox');

test('examples/filters: the client shows what passes its filters and the server’s own, and nothing else is encoded for it', async () => {
  const folder = temporaryFolder('filters');
  cpSync(FILTERS, folder, { recursive: true, filter: (path) => !path.includes('node_modules') });
  await run('filters-install', 'npm', ['install', '--no-save', '--no-audit', '--no-fund', '--prefer-offline', 'ws', distFile(TARBALL)], { cwd: folder });
  const port = await freePort();
  const server = await uvicorn({ name: 'filters', folder, port });
  const watch = start('watch', process.execPath, ['watch.mjs', `ws://127.0.0.1:${port}/wse`], { cwd: folder });
  const url = `http://127.0.0.1:${port}`;
  const post = async (path, body) => assert.equal((await fetch(url + path, { method: 'POST', headers: { 'content-type': 'application/json' }, body: JSON.stringify(body) })).status, 200);
  const shown = () => watch.output().split('\n').filter((line) => /^(price|order|left out|load anew) /.test(line));
  try {
    await until('both subscriptions', () => watch.output().includes('topics prices live, orders:* live'));
    for (const path of ['/prices/AAPL?price=187.5', '/prices/AAPL?price=99', '/prices/GOOG?price=140']) await post(path);
    await post('/orders/1', { total: 60 });
    await post('/orders/2', { total: 5, customer: { name: 'Ada L' } });
    await post('/orders/2', { total: 70, internal: true });
    await post('/orders/3', { total: 7 });
    await post('/orders/3', { total: 51 });
    await until('the last of them', () => shown().some((line) => line.includes('51')));
    assert.deepEqual(shown(), [
      'price AAPL 187.5',
      'order orders:1 {"total":60}',
      'order orders:2 {"total":5,"customer":{"name":"Ada L"}}',
      'order orders:3 {"total":51}',
    ]);
    assert.ok((await (await fetch(`${url}/wse/health`)).json()).filter_classes > 0);
  } finally {
    await watch.stop();
    await server.stop();
  }
});

test('examples/direct: a client shows what is sent to its user and its session, and nothing of another user', async () => {
  const folder = temporaryFolder('direct');
  cpSync(DIRECT, folder, { recursive: true, filter: (path) => !path.includes('node_modules') });
  await run('direct-install', 'npm', ['install', '--no-save', '--no-audit', '--no-fund', '--prefer-offline', 'ws', distFile(TARBALL)], { cwd: folder });
  const port = await freePort();
  const server = await uvicorn({ name: 'direct', folder, port });
  const inbox = start('inbox', process.execPath, ['inbox.mjs', 'ada', `ws://127.0.0.1:${port}/wse`], { cwd: folder });
  const post = async (user, text) => assert.equal((await fetch(`http://127.0.0.1:${port}/notes/${user}?text=${text}`, { method: 'POST' })).status, 200);
  try {
    await until('the session', () => inbox.output().includes('messages to the session live') && inbox.output().includes('export done'));
    await post('bob', 'not-hers');
    await post('ada', 'one');
    await post('ada', 'two');
    await until('the last of them', () => inbox.output().includes('two'));
    const shown = inbox.output().split('\n').filter((line) => /^(note|progress) /.test(line));
    assert.deepEqual(shown.sort(), ['note 1 one', 'note 2 two', 'progress 100']);
  } finally {
    await inbox.stop();
    await server.stop();
  }
});

test('examples/outbox: readings taken while the server is away, over a kill -9 of the client, arrive once and in order', async () => {
  const folder = temporaryFolder('outbox');
  cpSync(OUTBOX, folder, { recursive: true, filter: (path) => !path.includes('node_modules') });
  await run('outbox-install', 'npm', ['install', '--no-save', '--no-audit', '--no-fund', '--prefer-offline', 'ws', distFile(TARBALL)], { cwd: folder });
  const port = await freePort();
  const meter = () => start('meter', process.execPath, ['meter.mjs', 'kitchen', `ws://127.0.0.1:${port}/wse`], { cwd: folder });
  const told = (process, status) => process.output().split('\n').filter((line) => line.startsWith(status)).map((line) => line.split(' ')[1]);
  const first = meter();
  // It is told as queued when it is taken, and in the file a moment later.
  const file = join(folder, 'kitchen.json');
  const kept = () => (existsSync(file) ? JSON.parse(readFileSync(file, 'utf8')).map(({ payload }) => JSON.parse(payload).at) : []);
  await until('readings in the file', () => kept().length >= 3);
  first.kill('SIGKILL');
  await first.ended;
  const waiting = kept();
  const second = meter();
  const server = await uvicorn({ name: 'outbox-example', folder, port });
  try {
    await until('all to be acknowledged', () => told(second, 'acknowledged').length >= 5);
    await second.stop();
    const taken = (await (await fetch(`http://127.0.0.1:${port}/readings`)).json()).map(({ at }) => at);
    assert.deepEqual(waiting, told(first, 'queued').slice(0, waiting.length));
    assert.deepEqual(taken.slice(0, waiting.length), waiting);
    assert.deepEqual(taken, [...new Set(taken)].sort());
  } finally {
    await second.stop();
    await server.stop();
  }
});
