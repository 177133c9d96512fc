// A copy of the sources with every mutation in it, each asleep until WSE_MUTATION names it: one build for all of them.
import { execFileSync, spawnSync } from 'node:child_process';
import { cpSync, existsSync, mkdirSync, mkdtempSync, readdirSync, readFileSync, rmSync, symlinkSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import { ROOT } from '../lib/processes.mjs';

/** Copies, mutates and builds; gives where it is and how it is run. It is removed at the end, unless the caller names a place for it: there it is built once. */
export function buildScratch(ground, mutations, place) {
  const root = place ?? mkdtempSync(join(tmpdir(), 'wse-mutants-'));
  const built = { root, site: join(root, 'site'), chaos: join(root, 'tests/chaos') };
  if (existsSync(built.site)) return built;
  if (place === undefined) process.on('exit', () => rmSync(root, { recursive: true, force: true }));
  copySources(root);
  for (const { file, append } of ground) writeFileSync(join(root, file), readFileSync(join(root, file), 'utf8') + append);
  for (const { name, edits } of mutations) for (const edit of edits) apply(root, name, edit);
  lend(root);
  run(root, 'tools/dist.sh', [], { RUSTFLAGS: '' });
  install(built);
  return built;
}

function copySources(root) {
  const listed = execFileSync('git', ['ls-files', '-z', '--cached', '--others', '--exclude-standard'], { cwd: ROOT }).toString().split('\0');
  for (const file of listed.filter((name) => name !== '' && existsSync(join(ROOT, name)))) {
    mkdirSync(dirname(join(root, file)), { recursive: true });
    cpSync(join(ROOT, file), join(root, file));
  }
}

/** An edit fits in exactly one place, or the list is out of date. */
function apply(root, name, { file, old, new: mutated }) {
  const path = join(root, file);
  const parts = readFileSync(path, 'utf8').split(old);
  if (parts.length !== 2) throw new Error(`mutation ${name}: its text stands ${parts.length - 1} times in ${file}`);
  writeFileSync(path, parts.join(mutated));
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

function run(cwd, command, args, env = {}) {
  const { status } = spawnSync(command, args, { cwd, env: { ...process.env, ...env }, stdio: ['ignore', 'inherit', 'inherit'] });
  if (status !== 0) throw new Error(`${command} ${args.join(' ')}: ${status}`);
}
