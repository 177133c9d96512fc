// What a user has after "Install": a clean environment with the wheel, and a fresh Vite + React + TypeScript application.
import { mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { DASHBOARD, FIXTURES, PYTHON, QUICKSTART, distFile } from './paths.mjs';
import { run } from './process.mjs';

export const WHEEL = /^wse_server-.*\.whl$/;
export const TARBALL = /^wse-client-.*\.tgz$/;

export function temporaryFolder(name) {
  const folder = mkdtempSync(join(tmpdir(), `wse-${name}-`));
  process.on('exit', () => rmSync(folder, { recursive: true, force: true }));
  return folder;
}

/** A new virtual environment with the built wheel and uvicorn from the package index; gives its python. */
export async function cleanVenv() {
  const folder = temporaryFolder('venv');
  await run('venv', PYTHON, ['-m', 'venv', folder]);
  const python = join(folder, 'bin/python');
  await run('venv', python, ['-m', 'pip', 'install', '--disable-pip-version-check', distFile(WHEEL), 'uvicorn[standard]'], { timeout: 180_000 });
  return python;
}

/** The files of `npm create vite` with React and TypeScript, with the packed client and the quick start's Dashboard.tsx. */
export async function freshApp() {
  const folder = temporaryFolder('app');
  const { dependencies, devDependencies } = JSON.parse(readFileSync(join(DASHBOARD, 'web/package.json'), 'utf8'));
  const { react, 'react-dom': reactDom } = dependencies;
  const files = {
    'package.json': JSON.stringify({
      name: 'fresh-app',
      private: true,
      type: 'module',
      dependencies: { react, 'react-dom': reactDom, 'wse-client': `file:${distFile(TARBALL)}` },
      devDependencies,
    }),
    'index.html': '<!doctype html><html lang="en"><body><div id="root"></div><script type="module" src="/src/main.tsx"></script></body></html>\n',
    'vite.config.ts': "import react from '@vitejs/plugin-react'\nimport { defineConfig } from 'vite'\nexport default defineConfig({ plugins: [react()] })\n",
    'tsconfig.json': JSON.stringify({
      compilerOptions: { target: 'ES2022', lib: ['ES2022', 'DOM', 'DOM.Iterable'], module: 'ESNext', moduleResolution: 'bundler', jsx: 'react-jsx', types: [], strict: true, noEmit: true, skipLibCheck: false },
      include: ['src'],
    }),
    // The quick start's file as it stands, and what mounts it: it exports nothing, as the lines of the quick start do not.
    'src/main.tsx': `${readFileSync(join(QUICKSTART, 'Dashboard.tsx'), 'utf8')}
import { StrictMode } from 'react';
import { createRoot } from 'react-dom/client';
createRoot(document.getElementById('root') as HTMLElement).render(<StrictMode><Dashboard /></StrictMode>);
`,
    'src/Dashboard.tsx': readFileSync(join(QUICKSTART, 'Dashboard.tsx'), 'utf8'),
    'token.html': '<!doctype html><html lang="en"><body><div id="root"></div><script type="module" src="/src/token.tsx"></script></body></html>\n',
    'src/token.tsx': readFileSync(join(FIXTURES, 'token.tsx'), 'utf8'),
  };
  mkdirSync(join(folder, 'src'));
  for (const [name, content] of Object.entries(files)) writeFileSync(join(folder, name), content);
  await run('fresh-app', 'npm', ['install', '--no-audit', '--no-fund', '--prefer-offline'], { cwd: folder, timeout: 180_000 });
  return folder;
}

/** The quick start's main.py in a folder of its own, as it stands or without its redis_url. */
export function quickstartFolder({ redis }) {
  const folder = temporaryFolder('quickstart');
  const whole = readFileSync(join(QUICKSTART, 'main.py'), 'utf8');
  writeFileSync(join(folder, 'main.py'), redis ? whole : whole.replace(/^ *redis_url=.*\n/m, ''));
  return folder;
}
