// Deletes the call of each stage in a copy of the sources, one after the other, and holds the tests that docs/ARCHITECTURE.md names to failing:
// `node tests/stages/run.mjs --python PATH [--of engine|client] [--only NAME,...] [--scratch FOLDER]`. PATH has what tests/wire needs. `--fits` only says whether the
// lists fit the sources as they are. A folder that is named keeps the build for the next call.
import { spawnSync } from 'node:child_process';
import { existsSync, mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { parseArgs } from 'node:util';
import { ROOT, copyMutated, run } from '../chaos/mutations/copy.mjs';
import { GROUND } from '../chaos/mutations/server.mjs';
import { CLIENT } from './client.mjs';
import { STAGES } from './list.mjs';
import { buildPackage } from './package.mjs';
import { installClient } from './packed.mjs';

const { values } = parseArgs({
  options: {
    python: { type: 'string', default: 'python3' },
    of: { type: 'string' },
    only: { type: 'string' },
    scratch: { type: 'string' },
    fits: { type: 'boolean', default: false },
  },
});
const WAY = 'in Node on taken sockets';
const LISTS = { engine: STAGES, client: CLIENT };
const ALL = Object.values(LISTS).flat();
const only = values.only?.split(',');
const named = (values.of === undefined ? ALL : LISTS[values.of]).filter(({ name }) => only === undefined || only.includes(name));
const copy = scratch();
checkNames();
if (values.fits) {
  console.log(`the calls of ${ALL.length} stages are where the lists have them`);
  process.exit(0);
}
if (named.some(({ e2e }) => e2e === undefined)) run(copy, 'cargo', ['build', '--locked', '--quiet', '-p', 'rust-service']);
if (named.some(({ e2e }) => e2e !== undefined)) installClient(copy);
if (named.some(({ python }) => python !== undefined)) buildPackage(copy);
const failures = [...control(), ...named.flatMap(judge)];
failures.forEach((failure) => console.log(`WRONG ${failure}`));
console.log(`${named.length} stages, ${failures.length} wrong`);
process.exit(failures.length === 0 ? 0 : 1);

function scratch() {
  const root = values.scratch ?? mkdtempSync(join(tmpdir(), 'wse-stages-'));
  if (values.scratch === undefined) process.on('exit', () => rmSync(root, { recursive: true, force: true }));
  if (!existsSync(join(root, 'Cargo.toml'))) copyMutated(root, GROUND, ALL);
  return root;
}

/** The document names the tests of each stage, or the files that they are in. */
function checkNames() {
  const document = readFileSync(join(ROOT, 'docs/ARCHITECTURE.md'), 'utf8');
  const names = ({ wire = [], python = [], cargo = [], e2e = [] }) => [...[...wire, ...python].map((test) => test.split('::')[1]), ...cargo.map(([, test]) => test), ...e2e.map((test) => test.named)];
  const missing = ALL.flatMap(names).filter((name) => !document.includes(`${name}\``));
  if (missing.length > 0) throw new Error(`docs/ARCHITECTURE.md does not name ${missing.join(', ')}`);
}

function node(name, command, args, cwd) {
  const env = { ...process.env, CARGO_TARGET_DIR: join(copy, 'target'), PYTHONPATH: join(copy, 'site'), WSE_MUTATION: name, VITE_MUTATION: name, WAY };
  const { stdout, stderr } = spawnSync(command, args, { cwd, env, maxBuffer: 1 << 28 });
  return `${stdout}${stderr}`;
}

/** What became of one test: passed, failed, or neither. */
function wire(name, test) {
  return pytest(name, [test, '-k', 'rust'], 'tests/wire');
}

function pytest(name, args, folder) {
  const text = node(name, values.python, ['-m', 'pytest', '-q', '-p', 'no:cacheprovider', ...args], join(copy, folder));
  const [, failed] = /(\d+) failed/.exec(text) ?? [];
  if (failed !== undefined) return 'failed';
  return /\d+ passed/.test(text) ? 'passed' : text.slice(-1_000);
}

function cargo(name, args, test) {
  const text = node(name, 'cargo', ['test', '--locked', ...args, test], copy);
  if (/^test .* FAILED$/m.test(text)) return 'failed';
  return /^test .* ok$/m.test(text) ? 'passed' : text.slice(-1_000);
}

function e2e(name, { file, test }) {
  const pattern = `^${test.replace(/[.*+?^${}()|[\]\\]/g, '\\$&')}`;
  // A client whose test has run out of time goes on.
  const text = node(name, 'node', ['--test', '--test-force-exit', '--test-reporter=tap', `--test-name-pattern=${pattern}`, file], join(copy, 'tests/e2e'));
  const ran = [...text.matchAll(/^ *(not )?ok \d+ - (.*)$/gm)].filter(([, , title]) => title.startsWith(test) && !title.includes('# SKIP'));
  if (ran.length === 0) return text.slice(-1_000);
  return ran.some(([, not]) => not !== undefined) ? 'failed' : 'passed';
}

/** What runs each test of a stage, by its name. */
function testsOf({ wire: wires = [], python: ofPackage = [], cargo: cargos = [], e2e: scenarios = [] }) {
  return [
    ...wires.map((test) => [test, (mutation) => wire(mutation, test)]),
    ...ofPackage.map((test) => [test, (mutation) => pytest(mutation, [`tests/${test}`], 'wse-python')]),
    ...cargos.map(([args, test]) => [test, (mutation) => cargo(mutation, args, test)]),
    ...scenarios.map((each) => [`${each.named}: ${each.test}`, (mutation) => e2e(mutation, each)]),
  ];
}

/** With every call in its place they pass. */
function control() {
  const outcomes = [...new Map(named.flatMap(testsOf))].map(([test, outcome]) => [test, outcome('none')]);
  return outcomes.filter(([, outcome]) => outcome !== 'passed').map(([test, outcome]) => `without a deletion ${test}: ${outcome}`);
}

function judge(stage) {
  const all = testsOf(stage).map(([test, outcome]) => [test, outcome(stage.name)]);
  all.forEach(([test, outcome]) => console.log(`${stage.name}: ${test} ${outcome}`));
  return all.filter(([, outcome]) => outcome !== 'failed').map(([test, outcome]) => `${stage.name}: ${test} ${outcome}`);
}
