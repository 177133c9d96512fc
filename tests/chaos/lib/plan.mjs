// What a seed means: who follows what, what is published and sent, and which faults strike when. Pure, and printed when a run fails.
import { chooser } from './random.mjs';

const FAULTS = ['cut', 'cut', 'stall', 'halfOpen', 'delay', 'throttle', 'refuse'];
const POLICIES = ['rec', 'rec', 'latest', 'low'];
const GROUPS = 10;

/** The plan of a seed. Every tenth runs in Chromium, every third has its server killed, every fourth is on the in-process bus. */
export function planOf(seed) {
  const choose = chooser(seed);
  const lasts = choose.between(1_200, 2_400);
  const bus = seed % 4 === 3 ? 'memory' : 'redis';
  const workers = bus === 'redis' ? 2 : 1;
  const topics = topicsOf(seed, choose);
  const clients = Array.from({ length: choose.between(2, 3) }, (_, i) => clientOf(`s${seed}c${i}`, topics, choose));
  const flood = seed % 7 === 5 ? floodOf(lasts, topics, choose) : { publishes: [], faults: [] };
  return {
    seed,
    bus,
    browser: seed % 10 === 0,
    lasts,
    workers,
    topics,
    clients,
    publishes: [...publishesOf(lasts, topics, choose), ...flood.publishes],
    sends: clients.flatMap((_, client) => sendsOf(client, lasts, choose)),
    faults: [...faultsOf(clients.length, lasts, choose), ...flood.faults],
    kills: seed % 3 === 1 ? killsOf(lasts, workers, choose) : [],
  };
}

/** Topics, some of which are born under the pattern while the run goes on. */
function topicsOf(seed, choose) {
  const named = Array.from({ length: choose.between(2, 4) }, (_, i) => ({ name: `${choose.pick(POLICIES)}:s${seed}t${i}`, born: 0 }));
  const under = Array.from({ length: choose.between(1, 3) }, (_, i) => ({ name: `ns${seed}:t${i}`, born: choose.between(0, 1_000) }));
  return [...named, ...under];
}

function clientOf(name, topics, choose) {
  const pattern = topics.find(({ name: topic }) => topic.startsWith('ns')).name.replace(/:.*/, ':*');
  const exact = topics.filter(({ name: topic, born }) => born === 0 && (!topic.startsWith('ns') || choose.chance(0.3)));
  const holds = exact.map(({ name: topic }) => (!topic.startsWith('ns') && choose.chance(0.25) ? { topic, filter: { group: choose.between(0, GROUPS - 1) } } : { topic }));
  if (choose.chance(0.7)) holds.push({ topic: pattern });
  const options = { format: choose.pick(['json', 'msgpack']), compression: choose.chance(0.5), batch: choose.chance(0.7), requestTimeoutMs: 15_000 };
  return { name, holds, options };
}

function publishesOf(lasts, topics, choose) {
  const bursts = [];
  for (let at = choose.between(0, 50); at < lasts; at += choose.between(10, 90)) {
    const born = topics.filter((topic) => topic.born <= at);
    const { name: topic } = choose.pick(born.length > 0 ? born : topics);
    const size = choose.chance(0.15) ? choose.between(2_000, 9_000) : choose.between(0, 200);
    bursts.push({ at, topic, count: choose.chance(0.2) ? choose.between(20, 60) : choose.between(1, 6), size });
  }
  return bursts.map((burst) => ({ ...burst, priority: choose.pick([1, 3, 5, 8]), keys: choose.between(1, 4), groups: GROUPS }));
}

function sendsOf(client, lasts, choose) {
  const sends = [];
  for (let at = choose.between(0, 200), n = 0; at < lasts; at += choose.between(20, 200)) sends.push({ at, client, n: n++ });
  return sends;
}

/** Each fault strikes one client's network, or all of them, and heals by itself. */
function faultsOf(clients, lasts, choose) {
  return Array.from({ length: choose.between(2, 5) }, () => {
    const at = choose.between(50, lasts - 100);
    const fault = { at, what: choose.pick(FAULTS), client: choose.chance(0.3) ? 'all' : choose.between(0, clients - 1), lasts: choose.between(50, 900) };
    if (fault.what === 'delay') fault.ms = choose.between(5, 120);
    if (fault.what === 'throttle') fault.bytesPerSecond = choose.between(5, 200) * 1_000;
    return fault;
  }).sort((a, b) => a.at - b.at);
}

/** More than the buffers of the system hold is published while the first client reads nothing, so that it falls behind for good. */
function floodOf(lasts, topics, choose) {
  const at = choose.between(200, lasts - 200);
  const { name: topic } = topics[0];
  const burst = { topic, count: 60, size: 20_000, priority: 5, keys: 3, groups: GROUPS };
  const publishes = Array.from({ length: 8 }, (_, i) => ({ ...burst, at: at + 20 + i * 30 }));
  return { publishes, faults: [{ at, what: 'stall', client: 0, lasts: choose.between(700, 1_200) }] };
}

function killsOf(lasts, workers, choose) {
  return Array.from({ length: choose.chance(0.2) ? 2 : 1 }, () => ({ at: choose.between(100, lasts - 200), worker: choose.between(0, workers - 1) })).sort((a, b) => a.at - b.at);
}
