// The real parts of a run: Redis, workers under uvicorn, and a page in Chromium; each ends by its own id.
import { execFile, spawn } from 'node:child_process';
import { createWriteStream, mkdirSync, mkdtempSync, rmSync } from 'node:fs';
import net from 'node:net';
import { tmpdir } from 'node:os';
import { join, resolve } from 'node:path';
import { fileURLToPath } from 'node:url';
import { promisify } from 'node:util';

export const ROOT = resolve(fileURLToPath(new URL('../../..', import.meta.url)));
export const OUT = join(ROOT, '.work/chaos');
const APP = join(ROOT, 'tests/chaos/app');
mkdirSync(OUT, { recursive: true });

/** The database of every service: a folder of tables. */
const tables = mkdtempSync(join(tmpdir(), 'wse-chaos-tables-'));
process.on('exit', () => rmSync(tables, { recursive: true, force: true }));

const running = new Set();
process.on('exit', () => running.forEach((child) => child.kill('SIGKILL')));
for (const signal of ['SIGINT', 'SIGTERM']) process.on(signal, () => process.exit(1));

function start(name, command, args, options = {}) {
  const child = spawn(command, args, { ...options, env: { ...process.env, ...options.env }, stdio: ['ignore', 'pipe', 'pipe'] });
  const log = createWriteStream(join(OUT, `${name}.log`), { flags: 'a' });
  for (const stream of [child.stdout, child.stderr]) stream.pipe(log, { end: false });
  running.add(child);
  const ended = new Promise((done) => child.once('close', done)).then(() => running.delete(child));
  return { child, ended, end: async (signal) => (child.kill(signal), ended) };
}

/** A free port; nothing holds it when this returns. */
export function freePort() {
  return new Promise((done, fail) => {
    const server = net.createServer().once('error', fail);
    server.listen(0, '127.0.0.1', () => {
      const { port } = server.address();
      server.close(() => done(port));
    });
  });
}

/** Waits until `probe` gives something true; null after the time. */
export async function until(probe, timeout) {
  const end = Date.now() + timeout;
  while (Date.now() < end) {
    const value = await probe();
    if (value) return value;
    await new Promise((done) => setTimeout(done, 10));
  }
  return null;
}

function listens(port) {
  return new Promise((done) => {
    const socket = net.connect(port, '127.0.0.1');
    socket.once('connect', () => (socket.destroy(), done(true)));
    socket.once('error', () => done(false));
  });
}

/** A Redis of its own, which keeps on disk only what `save` was asked for. */
export async function redis() {
  const port = await freePort();
  const folder = mkdtempSync(join(tmpdir(), 'wse-chaos-redis-'));
  process.on('exit', () => rmSync(folder, { recursive: true, force: true }));
  const boot = async () => {
    const server = start('redis', 'redis-server', ['--port', port, '--bind', '127.0.0.1', '--save', '', '--appendonly', 'no', '--dir', folder]);
    if (!(await until(() => listens(port), 5_000))) throw new Error('redis-server does not answer');
    return server;
  };
  let server = await boot();
  return {
    url: `redis://127.0.0.1:${port}`,
    /** A copy of what it holds now, which a restart reads again. */
    save: () => promisify(execFile)('redis-cli', ['-p', String(port), 'save']),
    /** `kill -9`, and a new process that knows the last copy and no more. */
    async restart() {
      await server.end('SIGKILL');
      server = await boot();
    },
    stop: () => server.end('SIGTERM'),
  };
}

/** How often a worker is started that ends before it listens: one that finds no Redis in two seconds ends, and has a supervisor. */
const STARTS = 3;

/** A worker that can be killed and comes back on the same port. */
export async function worker(name, python, env) {
  const port = await freePort();
  env = { TABLES: tables, ...env };
  const args = ['-m', 'uvicorn', 'main:app', '--port', String(port), '--log-level', 'warning', '--no-access-log'];
  const boot = async () => {
    for (let starts = 0; starts < STARTS; starts++) {
      if (await listens(port)) throw new Error(`another process has the port of ${name}`);
      const server = start(name, python, args, { cwd: APP, env });
      if (!(await until(() => server.child.exitCode !== null || listens(port), 20_000))) break;
      if (server.child.exitCode === null) return server;
    }
    throw new Error(`${name} does not start: see ${OUT}`);
  };
  let server = await boot();
  let turn = Promise.resolve();
  /** One after the other: what is to end while it starts ends as soon as it has started. `onSignal` hears when that is. */
  const again = (signal, onSignal) => {
    const next = turn.then(async () => {
      if (server.child.exitCode !== null || server.child.signalCode !== null) throw new Error(`${name} was to get ${signal}, and did not run`);
      onSignal();
      await server.end(signal);
      server = await boot();
    });
    turn = next.catch(() => undefined);
    return next;
  };
  return {
    port,
    /** `kill -9`, and a new process on the same port. */
    restart: (onSignal = () => undefined) => again('SIGKILL', onSignal),
    /** It is told to end, has its clients go on elsewhere, and a new process comes on the same port. */
    drain: (onSignal = () => undefined) => again('SIGTERM', onSignal),
    /** The process stands still, with all its sockets open, until `wake`. */
    stall: () => server.child.kill('SIGSTOP'),
    wake: () => server.child.kill('SIGCONT'),
    stop: () => server.end('SIGTERM'),
  };
}
