// `make demo` as its script runs it: prints where the page is and serves it; says one sentence when it cannot.
import assert from 'node:assert/strict';
import net from 'node:net';
import { join } from 'node:path';
import { after, test } from 'node:test';
import { ROOT } from './lib/paths.mjs';
import { freePort, start, until } from './lib/process.mjs';

const DEMO = join(ROOT, 'tools/demo.sh');
const stops = [];
after(() => Promise.all(stops.map((stop) => stop())));

function demo(port) {
  const running = start('demo', DEMO, [], { cwd: ROOT, env: { PORT: port } });
  stops.push(() => running.stop());
  return running;
}

test('the demo prints its address, and serves the page and its health there, on the in-process bus', async () => {
  const port = await freePort();
  const running = demo(String(port));
  await until('the address', () => running.output().includes(`The dashboard is at  http://localhost:${port}`) || running.isOver());
  assert.equal(running.isOver(), false, running.output());
  assert.match(running.output(), /==> Dashboard page: unchanged/);
  const page = await until('the page', async () => (await fetch(`http://localhost:${port}/`)).text());
  assert.match(page, /<div id="root">/);
  const health = await (await fetch(`http://localhost:${port}/wse/health`)).json();
  assert.deepEqual([health.status, health.bus], ['ok', 'memory']);
});

test('a port in use is said in one sentence that names the way out, before anything is built', async () => {
  const taken = net.createServer();
  await new Promise((done) => taken.listen(0, '127.0.0.1', done));
  const { port } = taken.address();
  const running = demo(String(port));
  const { code } = await running.ended;
  taken.close();
  assert.equal(code, 1);
  assert.equal(running.output(), `Port ${port} cannot be used (address already in use): stop what listens there, or choose another port, as in PORT=8080 make demo.\n`);
});

test('a port that is no number is said in one sentence', async () => {
  const running = demo('eighty');
  const { code } = await running.ended;
  assert.deepEqual([code, running.output()], [1, "PORT must be a number, not 'eighty'.\n"]);
});
