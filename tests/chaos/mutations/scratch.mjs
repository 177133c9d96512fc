// A mutated copy, built as users get it: a wheel and the packed client.
import { cpSync, existsSync, mkdirSync, mkdtempSync, readdirSync, rmSync, symlinkSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { ROOT } from '../lib/processes.mjs';
import { copyMutated, run } from './copy.mjs';

/** Copies, mutates and builds; gives where it is and how it is run. It is removed at the end, unless the caller names a place for it: there it is built once. */
export function buildScratch(ground, mutations, place) {
  const root = place ?? mkdtempSync(join(tmpdir(), 'wse-mutants-'));
  const built = { root, site: join(root, 'site'), chaos: join(root, 'tests/chaos') };
  if (existsSync(built.site)) return built;
  if (place === undefined) process.on('exit', () => rmSync(root, { recursive: true, force: true }));
  copyMutated(root, ground, mutations);
  lend(root);
  run(root, 'tools/dist.sh', [], { RUSTFLAGS: '' });
  install(built);
  return built;
}

/** What was built and installed already serves the copy too; only our own crates are compiled anew. */
function lend(root) {
  for (const name of ['.venv', 'wse-client-ts/node_modules']) if (existsSync(join(ROOT, name))) symlinkSync(join(ROOT, name), join(root, name));
  cpSync(join(ROOT, 'tests/chaos/node_modules'), join(root, 'tests/chaos/node_modules'), { recursive: true });
  if (!existsSync(join(ROOT, 'target/release'))) return;
  mkdirSync(join(root, 'target'));
  run(root, 'cp', ['-a', '--reflink=auto', join(ROOT, 'target/release'), join(root, 'target/release')]);
}

/** Puts the wheel where PYTHONPATH finds it first, and the client into its package's place. */
function install({ root, site, chaos }) {
  const dist = join(root, 'dist');
  const named = (ending) => join(dist, readdirSync(dist).find((name) => name.endsWith(ending)));
  run(root, 'tar', ['xzf', named('.tgz'), '-C', join(chaos, 'node_modules/wse-client'), '--strip-components=1']);
  run(root, 'python3', ['-m', 'zipfile', '-e', named('.whl'), site]);
}
