// Runs seeds: `node run.mjs --seeds 50 [--from 1] [--jobs 4] [--python PATH] [--until-red] [--without-pages]`. A seed that fails is printed with its plan, and
// kept with all that was seen.
import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { parseArgs } from 'node:util';
import { openBrowser } from './lib/clients.mjs';
import { planOf, worldOf } from './lib/plan.mjs';
import { OUT, redis, worker } from './lib/processes.mjs';
import { openProxy } from './lib/proxy.mjs';
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
async function openWorld(kind, job) {
  const effectsFile = join(OUT, `effects-${kind}-${job}`);
  const open = async (transport) => {
    const way = kind === 'outages' ? await openProxy(Number(new URL(broker.url).port)) : null;
    const url = way === null ? broker.url : `redis://127.0.0.1:${way.port}`;
    const env = { EFFECTS: effectsFile, USERS: '1', TAKEOVER: transport === 'asgi' ? 'never' : 'always', ...(kind === 'memory' ? {} : { REDIS_URL: url }) };
    return { ...(await worker(`worker-${kind}-${job}-${transport}`, values.python, env)), transport, way };
  };
  return { effectsFile, workers: await Promise.all(['native', 'asgi'].map(open)) };
}

async function runJob(kind, job, queue) {
  if (queue.length === 0) return;
  const world = await openWorld(kind, job);
  for (let seed = queue.shift(); seed !== undefined; seed = queue.shift()) {
    const result = await runSeed(seed, world, browser).catch((error) => ({ plan: planOf(seed), breaches: [`the run itself failed: ${error.stack}`] }));
    summary.add(result);
    if (result.breaches.length > 0) report(seed, result);
    if (result.breaches.length > 0 && values['until-red']) for (const rest of Object.values(queues)) rest.length = 0;
  }
  await Promise.all(world.workers.map((each) => each.stop()));
  for (const { way } of world.workers) way?.close();
}

function report(seed, { plan, breaches, ...rest }) {
  const file = join(OUT, `seed-${seed}.json`);
  writeFileSync(file, JSON.stringify({ plan, breaches, ...rest }, null, 1));
  const { faults, kills, drains, outages, bus, transport, browser: isPage } = plan;
  console.log(`seed ${seed} FAILED on ${bus}, ${transport}${isPage ? ' in Chromium' : ''}; all of it in ${file}`);
  for (const line of breaches.slice(0, 12)) console.log(`    ${line}`);
  console.log(`    faults ${JSON.stringify(faults)} kills ${JSON.stringify(kills)} drains ${JSON.stringify(drains)} outages ${JSON.stringify(outages)}`);
}

const KINDS = ['redis', 'memory', 'outages'];
const queues = Object.fromEntries(KINDS.map((kind) => [kind, seeds.filter((seed) => worldOf(planOf(seed)) === kind)]));
// A quarter of the seeds is on the in-process bus, a quarter has a Redis that is out of reach, and so it is with the jobs, but for one of each at least.
const jobs = Array.from({ length: Math.max(3, Number(values.jobs)) }, (_, i) => KINDS[i % 4] ?? 'redis');
await Promise.all(jobs.map((kind, i) => runJob(kind, i, queues[kind])));
await browser?.close();
await broker.stop();

for (const line of summary.lines()) console.log(line);
const { failed } = summary;
console.log(`${failed.length} failed, ${Math.round((Date.now() - began) / 1_000)} s`);
if (failed.length > 0) console.log(`run one again: make chaos SEEDS=1 FROM=${failed[0]}`);
process.exit(failed.length === 0 && summary.of('seeds') === seeds.length ? 0 : 1);
