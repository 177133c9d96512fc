// Test projects: the core in Node, the hooks in a DOM under React 19 and again under React 18.
import { cpSync, rmSync } from 'node:fs';
import { join } from 'node:path';
import { defineConfig } from 'vitest/config';

/** React 18 in a folder of its own: its `require('react')` must find React 18 beside it, not 19 above it. */
function react18(): { find: RegExp; replacement: string }[] {
  const modules = join(import.meta.dirname, 'node_modules');
  const home = join(modules, '.react-18', 'node_modules');
  rmSync(home, { recursive: true, force: true });
  for (const name of ['react', 'react-dom']) cpSync(join(modules, `${name}-18`), join(home, name), { recursive: true });
  return [
    { find: /^react$/, replacement: join(home, 'react/index.js') },
    { find: /^react\/jsx-(dev-)?runtime$/, replacement: join(home, 'react/jsx-$1runtime.js') },
    { find: /^react-dom\/(client|server)$/, replacement: join(home, 'react-dom/$1.js') },
  ];
}

const hooks = { environment: 'happy-dom', include: ['tests/react/**/*.test.tsx'] };

export default defineConfig({
  test: {
    projects: [
      { test: { name: 'core', environment: 'node', include: ['tests/**/*.test.ts'] } },
      { test: { ...hooks, name: 'react-19', env: { EXPECTED_REACT: '19' } } },
      { test: { ...hooks, name: 'react-18', env: { EXPECTED_REACT: '18' } }, resolve: { alias: react18() } },
    ],
  },
});
