// A copy of the sources with mutations in it. A mutation is one mistake that a maintainer could make: `edits` of the text as it stands, each asleep until WSE_MUTATION
// names it, so that one build serves all of them.
import { execFileSync, spawnSync } from 'node:child_process';
import { cpSync, existsSync, mkdirSync, readFileSync, writeFileSync } from 'node:fs';
import { dirname, join, resolve } from 'node:path';
import { fileURLToPath } from 'node:url';

export const ROOT = resolve(fileURLToPath(new URL('../../..', import.meta.url)));

/** Copies the sources to a folder, and mutates them there. */
export function copyMutated(root, ground, mutations) {
  copySources(root);
  for (const { file, append } of ground) writeFileSync(join(root, file), readFileSync(join(root, file), 'utf8') + append);
  for (const { name, edits } of mutations) for (const edit of edits) apply(root, name, edit);
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

/** Runs a command there; it must succeed. */
export function run(cwd, command, args, env = {}) {
  const { status } = spawnSync(command, args, { cwd, env: { ...process.env, ...env }, stdio: ['ignore', 'inherit', 'inherit'] });
  if (status !== 0) throw new Error(`${command} ${args.join(' ')}: ${status}`);
}
