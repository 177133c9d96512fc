// Installs the packed package into a fresh project, type-checks the READMEs and the API there under --strict, and imports it in Node.
import { execFileSync } from 'node:child_process';
import { mkdirSync, mkdtempSync, readFileSync, rmSync, symlinkSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';

const home = join(import.meta.dirname, '..');
const project = mkdtempSync(join(tmpdir(), 'wse-consumer-'));
const modules = join(project, 'node_modules');

/** Components of the examples, and every block of the READMEs in a file of its own, as it stands; one that imports nothing is given what it speaks of. */
function documented() {
  const files = { 'Prices.tsx': readFileSync(join(home, '../examples/filters/Prices.tsx'), 'utf8'), 'Unsent.tsx': readFileSync(join(home, '../examples/outbox/Unsent.tsx'), 'utf8') };
  for (const [name, path] of [['client', join(home, 'README.md')], ['project', join(home, '..', 'README.md')]]) {
    const blocks = [...readFileSync(path, 'utf8').matchAll(/^```(tsx?)\n([\s\S]*?)^```$/gm)];
    if (blocks.length === 0) throw new Error(`${path} has no TypeScript`);
    for (const [at, [, kind, text]] of blocks.entries()) {
      const given = /^import /m.test(text) ? '' : "declare const sendMessage: import('wse-client').UseWSEResult['sendMessage'];\nexport {};\n";
      files[`${name}-${at}.${kind}`] = given + text;
    }
  }
  return files;
}

const TYPES = `import { useTopic, useWSE, useWSEEvent, type ConnectionHealth, type TopicStatus, type WSEError } from 'wse-client';
import { createClient } from 'wse-client/core';
import { createFakes } from 'wse-client/testing';

window.addEventListener('click', (event) => { const x: number = event.clientX; void x; });
window.addEventListener('click', (event: MouseEvent) => { void event; });
window.addEventListener('keydown', (event) => { const key: string = event.key; void key; });
window.addEventListener('resize', () => undefined, { passive: true });
window.addEventListener('notifications', (event) => { const event_: CustomEvent = event; void event_; });
window.addEventListener('notifications', (event: CustomEvent<{ text: string }>) => { const text: string = event.detail.text; void text; }, { once: true });
window.addEventListener('anything', { handleEvent() { return; } });
window.addEventListener('plain', (event: Event) => { void event; });
// @ts-expect-error a click is no CustomEvent
window.addEventListener('click', (event: CustomEvent) => { void event; });
// @ts-expect-error nor is it one when it is taken back
window.removeEventListener('click', (event: CustomEvent) => { void event; });
const name: string = 'dynamic';
window.addEventListener(name, (event: Event) => { void event; });

export function Types() {
  const result = useWSE('token', ['a'], { endpoints: ['/wse'] });
  const health: ConnectionHealth = result.connectionHealth;
  const reply: Promise<{ sum: number }> = result.sendMessage<{ sum: number }>('add', [1, 2], { timeout: 500, keep: false });
  const { data, topic, status, recovered, reason, error }: { data: { price: number } | undefined; topic: string | undefined; status: TopicStatus; recovered: number; reason: string | null; error: WSEError | null } = useTopic<{ price: number }>('price');
  useWSEEvent<{ text: string }>('notifications', (payload, { id, topic, seq, ts }) => { void [payload.text, id, topic, seq, ts]; });
  // @ts-expect-error what the client sends is handled in order, and has no priority
  void result.sendMessage('add', 1, { priority: 8 });
  useWSE(null);
  useWSE(async () => 'token');
  useWSE({ token: null, endpoints: () => 'ws://host/wse' });
  void [health, reply, data, topic, status, error, createClient, createFakes];
  return null;
}
`;

const RUN = `import { createClient, DEFAULTS } from 'wse-client/core';
import { renderToString } from 'react-dom/server';
import { createElement } from 'react';
import { useWSE } from 'wse-client';
import { createTestClient } from 'wse-client/testing';
const { client, server, clock } = createTestClient({ topics: ['a'] });
client.connect();
await clock.advance(0);
const html = renderToString(createElement(() => useWSE({ topics: ['a'] }).connectionHealth));
if (!client.state.isConnected || server.connections.length !== 1 || DEFAULTS.protocolVersion !== 2 || html !== 'offline') process.exit(1);
createClient();
`;

function run(command, args, cwd) {
  return execFileSync(command, args, { cwd, encoding: 'utf8', stdio: ['ignore', 'pipe', 'inherit'] });
}

try {
  mkdirSync(join(modules, 'wse-client'), { recursive: true });
  const [{ filename }] = JSON.parse(run('npm', ['pack', '--json', '--silent', '--pack-destination', project], home));
  run('tar', ['-xzf', join(project, filename), '-C', join(modules, 'wse-client'), '--strip-components=1'], project);
  mkdirSync(join(modules, '@types'));
  for (const name of ['react', 'react-dom', 'zustand', 'csstype', '@types/react']) symlinkSync(join(home, 'node_modules', name), join(modules, name));
  writeFileSync(join(project, 'package.json'), '{"type":"module"}');
  const blocks = documented();
  for (const [name, text] of Object.entries(blocks)) writeFileSync(join(project, name), text);
  writeFileSync(join(project, 'types.tsx'), TYPES);
  writeFileSync(join(project, 'run.js'), RUN);
  for (const resolution of ['bundler', 'nodenext']) {
    const module = resolution === 'bundler' ? 'esnext' : 'nodenext';
    const flags = ['--strict', '--noEmit', '--jsx', 'react-jsx', '--target', 'es2022', '--module', module, '--moduleResolution', resolution, '--types', 'react'];
    run(join(home, 'node_modules/.bin/tsc'), [...flags, ...Object.keys(blocks), 'types.tsx'], project);
    console.log(`types: ${Object.keys(blocks).length} examples and blocks of the READMEs and the API type-check under --strict, ${resolution} resolution`);
  }
  run(process.execPath, ['run.js'], project);
  console.log('node: imports, renders on a server, and exits by itself');
} catch (error) {
  console.error(error.stdout ?? '', error.message);
  process.exitCode = 1;
} finally {
  rmSync(project, { recursive: true, force: true });
}
