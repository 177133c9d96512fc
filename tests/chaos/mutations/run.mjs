// Shows that the tests of faults find mistakes: `node mutations/run.mjs [--seeds 60] [--jobs 4] [--only NAME,...] [--python PATH]
// [--scratch FOLDER]`. Every mutation has to turn its run red, and the sources as they are have to stay green. Prints what it found, and writes a table of it to
// .work/chaos/mutations.md. A folder that is named keeps the mutated build for the next call;
// `--fits` only says whether the list fits the sources as they are.
import { spawnSync } from 'node:child_process';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { parseArgs } from 'node:util';
import { OUT } from '../lib/processes.mjs';
import { CLIENT } from './client.mjs';
import { copyMutated } from './copy.mjs';
import { OF_OUTBOX } from './outbox.mjs';
import { OF_PRESENCE } from './presence.mjs';
import { buildScratch } from './scratch.mjs';
import { GROUND, SERVER } from './server.mjs';

const { values } = parseArgs({
  options: {
    seeds: { type: 'string', default: '60' },
    jobs: { type: 'string', default: '4' },
    only: { type: 'string' },
    python: { type: 'string', default: 'python3' },
    scratch: { type: 'string' },
    fits: { type: 'boolean', default: false },
  },
});
const ALL = [...SERVER, ...CLIENT, ...OF_OUTBOX, ...OF_PRESENCE];
const only = values.only?.split(',');
if (values.fits) {
  const root = mkdtempSync(join(tmpdir(), 'wse-mutants-'));
  process.on('exit', () => rmSync(root, { recursive: true, force: true }));
  copyMutated(root, GROUND, ALL);
  console.log(`${ALL.length} mutations fit the sources`);
  process.exit(0);
}
const scratch = buildScratch(GROUND, ALL, values.scratch);

/** Runs a command in the copy with one mutation awake. */
function node(name, args) {
  const env = { ...process.env, WSE_MUTATION: name, PYTHONPATH: scratch.site, PYTHON: values.python };
  const { status, stdout, stderr } = spawnSync('node', args, { cwd: scratch.chaos, env, maxBuffer: 1 << 28 });
  return { isGreen: status === 0, text: `${stdout}${stderr}` };
}

function seeds(name) {
  const args = ['run.mjs', '--seeds', values.seeds, '--jobs', values.jobs, '--until-red', '--without-pages', '--python', values.python];
  const { isGreen, text } = node(name, args);
  const ran = Number(/^(\d+) seeds:/m.exec(text)?.[1] ?? 0);
  const broken = [...new Set([...text.matchAll(/^ {4}(\[[A-Z]-?\d+\])/gm)].map(([, clause]) => clause))];
  return { isGreen, after: `${ran} seeds`, broken, text };
}

function cases(name, patterns) {
  const names = patterns.map((pattern) => `--test-name-pattern=${pattern.source}`);
  const { isGreen, text } = node(name, ['--test', '--test-force-exit', '--test-concurrency=1', '--test-reporter=tap', ...names, 'cases.test.mjs', 'states.test.mjs', 'sends.test.mjs', 'rooms.test.mjs']);
  const failed = [...text.matchAll(/^ +not ok \d+ - ((?:\[[^\]]+\] ?)+)(.*)$/gm)].filter(([, , rest]) => patterns.some((pattern) => pattern.test(rest)));
  const broken = [...new Set(failed.flatMap(([, clauses]) => clauses.trim().split(' ')))];
  return { isGreen, after: failed.map(([, , rest]) => `the case "${rest.replaceAll('\\', '')}"`)[0] ?? 'the named cases', broken, text };
}

/** Red by a clause of the contract: a run that broke down by itself has found nothing. */
function judge({ name, is, by }) {
  const { isGreen, after, broken, text } = by === undefined ? seeds(name) : cases(name, by);
  const isFound = !isGreen && broken.length > 0;
  console.log(`${isFound ? 'found' : 'NOT FOUND'} ${name}: ${broken.join(' ')} after ${after}`);
  if (!isFound) writeFileSync(join(OUT, `mutation-${name}.log`), text);
  return { name, is, isFound, broken, after };
}

const control = only === undefined ? [seeds('none'), cases('none', [/./])] : [];
for (const { isGreen, text } of control) if (!isGreen) throw new Error(`without a mutation the run is not green:\n${text.slice(-4_000)}`);
if (control.length > 0) console.log(`green without a mutation: ${control[0].after}, and the named cases`);
const verdicts = ALL.filter(({ name }) => only === undefined || only.includes(name)).map(judge);
const rows = verdicts.map(({ name, is, isFound, broken, after }) => `| \`${name}\` | ${is} | ${isFound ? broken.join(' ') : '**not found**'} | ${after} |`);
writeFileSync(join(OUT, 'mutations.md'), `${['| mutation | what it does | found by | within |', '|---|---|---|---|', ...rows].join('\n')}\n`);
console.log(`${verdicts.filter(({ isFound }) => isFound).length} of ${verdicts.length} found; the table is in ${join(OUT, 'mutations.md')}`);
process.exit(verdicts.every(({ isFound }) => isFound) ? 0 : 1);
