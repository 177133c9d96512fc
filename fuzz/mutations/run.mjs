// Shows that fuzzing and the tests of the core find mistakes: `node fuzz/mutations/run.mjs [--seconds 60] [--only NAME,...] [--scratch FOLDER]`. A target has so
// long for each, from its kept corpus; the tests are those of the crate that it is in. Prints what found what, and writes a table of it to .work/fuzz-mutations.md. `--fits` only
// says whether the list fits the sources as they are; `--without-tests` leaves the tests out. A folder that is named keeps the mutated build for the next call.
import { spawnSync } from 'node:child_process';
import { existsSync, mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { parseArgs } from 'node:util';
import { ROOT, copyMutated } from '../../tests/chaos/mutations/copy.mjs';
import { GROUND } from '../../tests/chaos/mutations/server.mjs';
import { MUTATIONS } from './list.mjs';

const { values } = parseArgs({
  options: {
    seconds: { type: 'string', default: '60' },
    only: { type: 'string' },
    scratch: { type: 'string' },
    fits: { type: 'boolean', default: false },
    'without-tests': { type: 'boolean', default: false },
  },
});
const MODEL = 'whatever_is_done_to_a_session_its_peer_is_told_of_all_that_it_misses';
const only = values.only?.split(',');
const copy = scratch();
if (values.fits) {
  console.log(`${MUTATIONS.length} mutations of the core fit the sources`);
  process.exit(0);
}

function scratch() {
  const root = values.scratch ?? mkdtempSync(join(tmpdir(), 'wse-core-mutants-'));
  if (values.scratch === undefined) process.on('exit', () => rmSync(root, { recursive: true, force: true }));
  if (!existsSync(join(root, 'fuzz'))) copyMutated(root, GROUND, MUTATIONS);
  return root;
}

function run(name, command, args) {
  const env = { ...process.env, CARGO_INCREMENTAL: '0', RUST_BACKTRACE: '0', PROPTEST_MAX_SHRINK_ITERS: '0', WSE_MUTATION: name };
  const { status, stdout, stderr } = spawnSync(command, args, { cwd: copy, env, maxBuffer: 1 << 28 });
  return { isGreen: status === 0, text: `${stdout}${stderr}` };
}

/** What a fuzz target makes of a mutation: null where it finds nothing. */
function fuzz(name, target) {
  const found = join(copy, 'fuzz/target/found', target);
  rmSync(found, { recursive: true, force: true });
  const from = performance.now();
  const { isGreen, text } = run(name, 'fuzz/run.sh', [values.seconds, target]);
  if (isGreen) return null;
  if (!text.includes('its input is')) throw new Error(`${target} did not run: ${text.slice(-2_000)}`);
  return text.includes('INITED') ? `after ${Math.ceil((performance.now() - from) / 1_000)} s` : 'by the kept corpus';
}

/** The names of the tests that fail, of the crate that the mutation is in. */
function tests(name, edits) {
  if (values['without-tests']) return [];
  const crates = new Set(edits.map(({ file }) => file.split('/')[0]));
  const { isGreen, text } = run(name, 'cargo', ['test', '--locked', '--no-fail-fast', ...[...crates].flatMap((crate) => ['-p', crate]), '--lib', '--tests']);
  const failed = [...text.matchAll(/^test (\S+) \.\.\. FAILED/gm)].map(([, test]) => test);
  if (!isGreen && failed.length === 0) throw new Error(`the tests did not run: ${text.slice(-2_000)}`);
  return failed;
}

function judge({ name, is, edits, target = 'session' }) {
  const found = target === null ? null : fuzz(name, target);
  const failed = tests(name, edits);
  const others = failed.filter((test) => test !== MODEL);
  const isFound = target === null ? failed.length > 0 : found !== null;
  const verdict = { name, is, isFound, target, found, model: failed.includes(MODEL), others };
  console.log(`${isFound ? 'found' : 'NOT FOUND'} ${name}: ${target} ${found ?? 'did not find it'}; ${failed.length} tests fail: ${failed.join(' ')}`);
  return verdict;
}

function row({ name, is, target, found, model, others }) {
  const byTarget = target === null ? '-' : `\`${target}\` ${found ?? '**not**'}`;
  const byTests = [model ? 'the model' : '', others.length > 0 ? `${others.length} of their own` : ''].filter((part) => part !== '').join(', ');
  return `| \`${name}\` | ${is} | ${byTarget} | ${byTests || '-'} |`;
}

if (only === undefined) {
  const green = fuzz('none', 'session') === null && tests('none', MUTATIONS.flatMap(({ edits }) => edits)).length === 0;
  if (!green) throw new Error('without a mutation the copy is not green');
  console.log('green without a mutation');
}
const verdicts = MUTATIONS.filter(({ name }) => only === undefined || only.includes(name)).map(judge);
mkdirSync(join(ROOT, '.work'), { recursive: true });
const table = ['| mutation | what it does | fuzzing finds it | tests that fail |', '|---|---|---|---|', ...verdicts.map(row)];
writeFileSync(join(ROOT, '.work/fuzz-mutations.md'), `${table.join('\n')}\n`);
console.log(`${verdicts.filter(({ isFound }) => isFound).length} of ${verdicts.length} found; the table is in .work/fuzz-mutations.md`);
process.exit(verdicts.every(({ isFound }) => isFound) ? 0 : 1);
