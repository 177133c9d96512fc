// A Redis of a test's own.
import { temporaryFolder } from './fresh.mjs';
import { freePort, isTaken, start, until } from './process.mjs';

/** Starts one; `url` is where, `stop` ends it. */
export async function redis() {
  const port = await freePort();
  const server = start('redis', 'redis-server', ['--port', String(port), '--save', '', '--appendonly', 'no', '--dir', temporaryFolder('redis')]);
  await until('redis-server', () => isTaken(port));
  return { url: `redis://127.0.0.1:${port}`, stop: () => server.stop() };
}
