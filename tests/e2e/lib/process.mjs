// Processes that a test starts, and ends by their own ids.
import { spawn } from 'node:child_process';
import { createWriteStream } from 'node:fs';
import net from 'node:net';
import { join } from 'node:path';
import { OUT } from './paths.mjs';

const running = new Set();
process.on('exit', () => {
  for (const child of running) signalGroup(child, 'SIGKILL');
});
for (const signal of ['SIGINT', 'SIGTERM']) process.on(signal, () => process.exit(1));

/** A free port; nothing holds it when this returns. */
export function freePort() {
  return new Promise((done, fail) => {
    const server = net.createServer();
    server.once('error', fail);
    server.listen(0, '127.0.0.1', () => {
      const { port } = server.address();
      server.close(() => done(port));
    });
  });
}

/** Whether something listens on the port. */
export function isTaken(port) {
  return new Promise((done) => {
    const socket = net.connect(port, '127.0.0.1');
    socket.once('connect', () => (socket.destroy(), done(true)));
    socket.once('error', () => done(false));
  });
}

/** Starts a command in its own process group, its output in a log. */
export function start(name, command, args, options = {}) {
  const log = join(OUT, `${name}.log`);
  const child = spawn(command, args, { ...options, env: { ...process.env, ...options.env }, detached: true, stdio: ['ignore', 'pipe', 'pipe'] });
  const file = createWriteStream(log, { flags: 'a' });
  file.write(`--- ${new Date().toISOString()} ${command} ${args.join(' ')}\n`);
  let output = '';
  for (const stream of [child.stdout, child.stderr]) {
    stream.on('data', (chunk) => {
      output = (output + chunk).slice(-20_000);
      file.write(chunk);
    });
  }
  running.add(child);
  const ended = new Promise((done) => {
    child.once('error', (error) => done({ code: null, error }));
    child.once('close', (code, signal) => done({ code, signal }));
  }).then((result) => {
    running.delete(child);
    file.end();
    return result;
  });
  const state = { over: false };
  void ended.then(() => (state.over = true));
  return {
    pid: child.pid,
    ended,
    output: () => output,
    isOver: () => state.over,
    kill(signal = 'SIGKILL') {
      process.kill(child.pid, signal);
    },
    /** Asks it to end, and its group a few seconds later. */
    async stop() {
      if (!state.over) child.kill('SIGTERM');
      const timer = setTimeout(() => signalGroup(child, 'SIGKILL'), 8_000);
      await ended;
      clearTimeout(timer);
      signalGroup(child, 'SIGKILL');
    },
  };
}

/** Runs a command to its end; throws with its output when it fails. */
export async function run(name, command, args, options = {}) {
  const child = start(name, command, args, options);
  const timer = setTimeout(() => child.stop(), options.timeout ?? 120_000);
  const { code, error } = await child.ended;
  clearTimeout(timer);
  if (code !== 0) throw new Error(`${command} ${args.join(' ')} failed (${error?.message ?? `exit ${code}`}):\n${child.output()}`);
  return child.output();
}

/** Waits until `probe` gives something true. */
export async function until(what, probe, timeout = 20_000) {
  const end = Date.now() + timeout;
  let last;
  while (Date.now() < end) {
    try {
      const value = await probe();
      if (value) return value;
    } catch (error) {
      last = error;
    }
    await new Promise((done) => setTimeout(done, 50));
  }
  throw new Error(`waited ${timeout} ms for ${what}${last ? ` (${last.message})` : ''}`);
}

function signalGroup(child, signal) {
  try {
    process.kill(-child.pid, signal);
  } catch {
    // all of them are gone
  }
}
