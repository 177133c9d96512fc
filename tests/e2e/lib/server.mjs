// A real uvicorn.
import { DASHBOARD, PYTHON } from './paths.mjs';
import { start, until } from './process.mjs';

/** Starts `uvicorn main:app` in a folder and waits until it answers. */
export async function uvicorn({ name = 'uvicorn', folder = DASHBOARD, port, python = PYTHON, env = {}, args = [], path = '/wse/health' }) {
  const server = start(name, python, ['-m', 'uvicorn', 'main:app', '--port', String(port), '--no-access-log', ...args], { cwd: folder, env });
  try {
    await until(`uvicorn on port ${port}`, async () => {
      if (server.isOver()) return true;
      return (await fetch(`http://127.0.0.1:${port}${path}`, { signal: AbortSignal.timeout(2_000) })).ok;
    });
  } catch (error) {
    await server.stop();
    throw new Error(`${error.message}\n${server.output()}`);
  }
  if (server.isOver()) throw new Error(`uvicorn ended at once:\n${server.output()}`);
  return server;
}
