// Deletes the call of each stage in a copy of the sources, one after the other, and holds the tests that docs/ARCHITECTURE.md names to failing:
// `node tests/stages/run.mjs --python PATH [--only NAME,...] [--scratch FOLDER]`. PATH has what tests/wire needs. `--fits` only says whether the list fits the
// sources as they are. A folder that is named keeps the build for the next call.
import { spawnSync } from 'node:child_process';
import { existsSync, mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { parseArgs } from 'node:util';
import { ROOT, copyMutated, run } from '../chaos/mutations/copy.mjs';
import { GROUND } from '../chaos/mutations/server.mjs';
import { STAGES } from './list.mjs';

const { values } = parseArgs({
  options: { python: { type: 'string', default: 'python3' }, only: { type: 'string' }, scratch: { type: 'string' }, fits: { type: 'boolean', default: false } },
});
const only = values.only?.split(',');
const named = STAGES.filter(({ name }) => only === undefined || only.includes(name));
const copy = scratch();
checkNames();
if (values.fits) {
  console.log(`the calls of ${STAGES.length} stages are where the list has them`);
  process.exit(0);
}
run(copy, 'cargo', ['build', '--locked', '--quiet', '-p', 'rust-service']);
const failures = [...control(), ...named.flatMap(judge)];
failures.forEach((failure) => console.log(`WRONG ${failure}`));
console.log(`${named.length} stages, ${failures.length} wrong`);
process.exit(failures.length === 0 ? 0 : 1);

function scratch() {
  const root = values.scratch ?? mkdtempSync(join(tmpdir(), 'wse-stages-'));
  if (values.scratch === undefined) process.on('exit', () => rmSync(root, { recursive: true, force: true }));
  if (!existsSync(join(root, 'Cargo.toml'))) copyMutated(root, GROUND, STAGES);
  return root;
}

/** The document names the tests of each stage. */
function checkNames() {
  const document = readFileSync(join(ROOT, 'docs/ARCHITECTURE.md'), 'utf8');
  const tests = STAGES.flatMap(({ wire = [], cargo = [] }) => [...wire.map((test) => test.split('::')[1]), ...cargo.map(([, test]) => test)]);
  const missing = tests.filter((test) => !document.includes(`\`${test}\``));
  if (missing.length > 0) throw new Error(`docs/ARCHITECTURE.md does not name ${missing.join(', ')}`);
}

function node(name, command, args, cwd) {
  const env = { ...process.env, CARGO_TARGET_DIR: join(copy, 'target'), WSE_MUTATION: name };
  const { stdout, stderr } = spawnSync(command, args, { cwd, env, maxBuffer: 1 << 28 });
  return `${stdout}${stderr}`;
}

/** What became of one test: passed, failed, or neither. */
function wire(name, test) {
  const text = node(name, values.python, ['-m', 'pytest', '-q', '-p', 'no:cacheprovider', test, '-k', 'rust'], join(copy, 'tests/wire'));
  const [, failed] = /(\d+) failed/.exec(text) ?? [];
  if (failed !== undefined) return 'failed';
  return /\d+ passed/.test(text) ? 'passed' : text.slice(-1_000);
}

function cargo(name, args, test) {
  const text = node(name, 'cargo', ['test', '--locked', ...args, test], copy);
  if (/^test .* FAILED$/m.test(text)) return 'failed';
  return /^test .* ok$/m.test(text) ? 'passed' : text.slice(-1_000);
}

function outcomes(mutation, { wire: wires = [], cargo: cargos = [] }) {
  return [...wires.map((test) => [test, wire(mutation, test)]), ...cargos.map(([args, test]) => [test, cargo(mutation, args, test)])];
}

/** With every call in its place they pass. */
function control() {
  return named.flatMap((stage) => outcomes('none', stage)).filter(([, outcome]) => outcome !== 'passed').map(([test, outcome]) => `without a deletion ${test}: ${outcome}`);
}

function judge(stage) {
  const all = outcomes(stage.name, stage);
  all.forEach(([test, outcome]) => console.log(`${stage.name}: ${test} ${outcome}`));
  return all.filter(([, outcome]) => outcome !== 'failed').map(([test, outcome]) => `${stage.name}: ${test} ${outcome}`);
}
