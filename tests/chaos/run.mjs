// Runs seeds: `node run.mjs --seeds 50 [--from 1] [--jobs 4] [--python PATH] [--until-red] [--without-pages]`. A seed that fails is printed with its plan, and
// kept with all that was seen.
import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { parseArgs } from 'node:util';
import { openBrowser } from './lib/clients.mjs';
import { planOf } from './lib/plan.mjs';
import { OUT, redis, worker } from './lib/processes.mjs';
import { runSeed } from './lib/run-seed.mjs';
import { Summary } from './lib/summary.mjs';

const { values } = parseArgs({
  options: {
    seeds: { type: 'string', default: '50' },
    from: { type: 'string', default: '1' },
    jobs: { type: 'string', default: '4' },
    python: { type: 'string', default: 'python3' },
    'until-red': { type: 'boolean', default: false },
    'without-pages': { type: 'boolean', default: false },
  },
});
const all = Array.from({ length: Number(values.seeds) }, (_, i) => Number(values.from) + i);
const seeds = values['without-pages'] ? all.filter((seed) => !planOf(seed).browser) : all;
const began = Date.now();
const broker = await redis();
const browser = values['without-pages'] ? null : await openBrowser();
const summary = new Summary();

/** Workers of one job: its seeds run one after the other. */
async function openWorld(bus, job) {
  const effectsFile = join(OUT, `effects-${bus}-${job}`);
  const env = { EFFECTS: effectsFile, ...(bus === 'redis' ? { REDIS_URL: broker.url } : {}) };
  const count = bus === 'redis' ? 2 : 1;
  const workers = await Promise.all(Array.from({ length: count }, (_, i) => worker(`worker-${bus}-${job}-${i}`, values.python, env)));
  return { effectsFile, workers };
}

async function runJob(bus, job, queue) {
  if (queue.length === 0) return;
  const world = await openWorld(bus, job);
  for (let seed = queue.shift(); seed !== undefined; seed = queue.shift()) {
    const result = await runSeed(seed, world, browser).catch((error) => ({ plan: planOf(seed), breaches: [`the run itself failed: ${error.stack}`] }));
    summary.add(result);
    if (result.breaches.length > 0) report(seed, result);
    if (result.breaches.length > 0 && values['until-red']) for (const rest of Object.values(queues)) rest.length = 0;
  }
  await Promise.all(world.workers.map((each) => each.stop()));
}

function report(seed, { plan, breaches, ...rest }) {
  const file = join(OUT, `seed-${seed}.json`);
  writeFileSync(file, JSON.stringify({ plan, breaches, ...rest }, null, 1));
  const { faults, kills, drains, bus, browser: isPage } = plan;
  console.log(`seed ${seed} FAILED on ${bus}${isPage ? ' in Chromium' : ''}; all of it in ${file}`);
  for (const line of breaches.slice(0, 12)) console.log(`    ${line}`);
  console.log(`    faults ${JSON.stringify(faults)} kills ${JSON.stringify(kills)} drains ${JSON.stringify(drains)}`);
}

const queues = { redis: seeds.filter((seed) => planOf(seed).bus === 'redis'), memory: seeds.filter((seed) => planOf(seed).bus === 'memory') };
// A quarter of the seeds is on the in-process bus, and so is a quarter of the jobs, but at least one.
const jobs = Array.from({ length: Math.max(2, Number(values.jobs)) }, (_, i) => (i % 4 === 1 ? 'memory' : 'redis'));
await Promise.all(jobs.map((bus, i) => runJob(bus, i, queues[bus])));
await browser?.close();
await broker.stop();

for (const line of summary.lines()) console.log(line);
const { failed } = summary;
console.log(`${failed.length} failed, ${Math.round((Date.now() - began) / 1_000)} s`);
if (failed.length > 0) console.log(`run one again: make chaos SEEDS=1 FROM=${failed[0]}`);
process.exit(failed.length === 0 && summary.of('seeds') === seeds.length ? 0 : 1);
