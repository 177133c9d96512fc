// What a seed means: who follows what, what is published and sent, and which faults strike when. Pure, and printed when a run fails.
import { chooser } from './random.mjs';
import { roomOf } from './rooms.mjs';

const FAULTS = ['cut', 'cut', 'stall', 'halfOpen', 'delay', 'throttle', 'refuse'];
/** The namespaces of topics: `rec` recovers, `latest` and `low` leave out, `ttl` expires, `state` and `shared` have snapshots. */
const KINDS = ['rec', 'rec', 'latest', 'low', 'ttl', 'state', 'shared'];
const GROUPS = 10;
/** The priority that `drop_low` never leaves out. */
export const CRITICAL = 10;
/** `raise` leaves its effect and fails. */
const HANDLERS = ['plain', 'plain', 'plain', 'slow', 'raise'];

/**
 * The plan of a seed. Every tenth runs in Chromium, every third has its server killed, every fourth is on the in-process bus. Of those on Redis that are not
 * killed, every second has a worker that is told to end. Of those on Redis without a flood six in eleven have a worker whose way there breaks.
 */
export function planOf(seed) {
  const choose = chooser(seed);
  const lasts = choose.between(1_200, 2_400);
  const bus = seed % 4 === 3 ? 'memory' : 'redis';
  const workers = bus === 'redis' ? 2 : 1;
  const topics = topicsOf(seed, choose);
  const clients = Array.from({ length: choose.between(2, 3) }, (_, i) => clientOf(`s${seed}c${i}`, topics, choose));
  const flood = seed % 4 === 2 ? floodOf(lasts, topics, clients[0], choose) : { publishes: [], faults: [] };
  // Drawn one after the other: what a seed means stays as it was.
  const publishes = publishesOf(lasts, topics, choose);
  const sends = clients.flatMap((_, client) => sendsOf(client, lasts, choose));
  const faults = faultsOf(clients.length, lasts, choose);
  const kills = seed % 3 === 1 ? killsOf(lasts, workers, choose) : [];
  const drains = bus === 'redis' && seed % 3 !== 1 && seed % 2 === 0 ? drainsOf(seed, lasts) : [];
  // With the in-process bus sessions end too: who returns has another one.
  const hasSessions = bus === 'redis' || kills.length === 0;
  const toUsers = bursts(chooser(seed + 32_452_843), lasts, clients.map(({ name }) => directOf(name)));
  const toSessions = hasSessions ? bursts(chooser(seed + 49_979_687), lasts, clients.map(({ name }) => sessionOf(name))) : [];
  return {
    seed,
    bus,
    /** Where its clients begin: at a worker that takes sockets from uvicorn, or at one that is an ASGI application alone. */
    transport: seed % 7 < 3 ? 'asgi' : 'native',
    browser: seed % 10 === 0,
    lasts,
    workers,
    topics,
    clients,
    publishes: [...publishes, ...flood.publishes, ...toUsers, ...toSessions],
    /** Whether each client's session is sent messages. */
    hasSessions,
    sends,
    faults: [...beside(faults, flood.faults), ...flood.faults],
    kills,
    drains,
    outages: seed % 4 < 2 && seed % 11 < 6 ? outagesOf(seed, lasts, new Set([...kills, ...drains].map(({ worker }) => worker))) : [],
    room: roomOf(seed, lasts, clients.length),
  };
}

/** The name under which what is sent to a client's user comes. */
export function directOf(name) {
  return `@user:${name}`;
}

/** What stands in a plan for the name under which what is sent to a client's session comes: the server gives that. */
export function sessionOf(name) {
  return `@session:${name}`;
}

/** What a topic is, by its name. */
export function kindOf(topic) {
  return topic.replace(/:.*/, '');
}

/** Which workers a plan needs: on Redis, on Redis by a way that breaks, or on the in-process bus. */
export function worldOf({ bus, outages }) {
  return outages.length > 0 ? 'outages' : bus;
}

/** Whether the server has a snapshot of the topic. */
export function hasState(topic) {
  return ['state', 'shared'].includes(kindOf(topic));
}

/** Topics, some of which are born under the pattern while the run goes on. */
function topicsOf(seed, choose) {
  // The first of them is what a flood strikes, every fourth time: each kind in turn.
  const kinds = [KINDS[Math.floor(seed / 4) % KINDS.length], ...Array.from({ length: choose.between(1, 3) }, () => choose.pick(KINDS))];
  const named = kinds.map((kind, i) => ({ name: `${kind}:s${seed}t${i}`, born: 0 }));
  const under = Array.from({ length: choose.between(1, 3) }, (_, i) => ({ name: `ns${seed}:t${i}`, born: choose.between(0, 1_000) }));
  return [...named, ...under];
}

function clientOf(name, topics, choose) {
  const pattern = topics.find(({ name: topic }) => topic.startsWith('ns')).name.replace(/:.*/, ':*');
  const exact = topics.filter(({ name: topic, born }) => born === 0 && (!topic.startsWith('ns') || choose.chance(0.3)));
  const holds = exact.map(({ name: topic }) => (!topic.startsWith('ns') && choose.chance(0.25) ? { topic, filter: { group: choose.between(0, GROUPS - 1) } } : { topic }));
  if (choose.chance(0.7)) holds.push({ topic: pattern });
  const options = { format: choose.pick(['json', 'msgpack']), compression: choose.chance(0.5), batch: choose.chance(0.7), requestTimeoutMs: 15_000, token: name };
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
  return bursts.map((burst) => ({ ...burst, ...kept(burst.topic, choose), groups: GROUPS }));
}

/** What is sent to each of some users or sessions; drawn by itself. */
function bursts(choose, lasts, topics) {
  return topics.flatMap((topic) => {
    const ats = [];
    for (let at = choose.between(0, 200); at < lasts; at += choose.between(50, 400)) ats.push({ at, topic, count: choose.between(1, 4), size: choose.between(0, 200) });
    return ats.map((burst) => ({ ...burst, priority: 5, keys: 1, ttl: null, groups: GROUPS }));
  });
}

/** How a burst's messages are kept and left out. A topic with a snapshot is a table, in which a key has one group for good. */
function kept(topic, choose) {
  const priority = choose.pick([1, 3, 5, 8, 10]);
  const keys = hasState(topic) ? GROUPS : choose.between(1, 4);
  const ttl = choose.chance(0.7) ? choose.between(100, 1_000) / 1_000 : null;
  return { priority, keys, ttl: kindOf(topic) === 'ttl' ? ttl : null };
}

function sendsOf(client, lasts, choose) {
  const sends = [];
  for (let at = choose.between(0, 200), n = 0; at < lasts; at += choose.between(20, 200)) sends.push({ at, client, n: n++, how: choose.pick(HANDLERS) });
  // Every third is not kept by the client's outbox.
  return sends.map((send) => ({ ...send, keep: send.n % 3 !== 2 }));
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

/** More than the buffers of the system hold is published while the first client reads so slowly that it falls behind, and stays connected. */
function floodOf(lasts, topics, client, choose) {
  const at = choose.between(200, lasts - 200);
  client.options.compression = false;
  const { name: topic } = topics[0];
  const burst = { topic, count: 60, size: 20_000, ...kept(topic, choose), groups: GROUPS };
  // Between them little that must not be left out.
  const critical = { ...burst, count: 2, size: 100, priority: CRITICAL };
  const publishes = Array.from({ length: 8 }, (_, i) => [
    { ...burst, at: at + 20 + i * 30, priority: choose.pick([1, 3, 8]) },
    { ...critical, at: at + 25 + i * 30 },
  ]).flat();
  const bytesPerSecond = choose.between(300, 800) * 1_000;
  return { publishes, faults: [{ at, what: 'throttle', client: 0, lasts: choose.between(900, 1_400), bytesPerSecond }] };
}

/** What is well again before the flood begins, or breaks after it: one fault's end would end the other. */
function beside(faults, flood) {
  return faults.filter(({ at, lasts }) => flood.every((other) => at + lasts < other.at || at > other.at + other.lasts));
}

/** Drawn by itself, so that what else a seed means stays as it was. */
function drainsOf(seed, lasts) {
  const choose = chooser(seed + 104_729);
  return [{ at: choose.between(200, lasts - 300), worker: choose.between(0, 1) }];
}

/**
 * What lies between a worker and Redis breaks, and heals by itself: first one worker's, then perhaps the other's. Drawn by itself, too. One that starts anew in the run
 * has to find Redis: without it a server does not start.
 */
function outagesOf(seed, lasts, restarted) {
  const choose = chooser(seed + 15_485_863);
  const half = Math.floor(lasts / 2);
  const kindFor = (what, worker) => (what === 'away' && restarted.has(worker) ? 'cut' : what);
  const outage = (from, worker) => ({ at: choose.between(from, from + half - 400), worker, what: kindFor(choose.pick(['cut', 'stall', 'away']), worker), lasts: choose.between(50, 400) });
  const first = choose.between(0, 1);
  return [outage(100, first), ...(choose.chance(0.5) ? [outage(half + 100, choose.chance(0.7) ? 1 - first : first)] : [])];
}

function killsOf(lasts, workers, choose) {
  return Array.from({ length: choose.chance(0.2) ? 2 : 1 }, () => ({ at: choose.between(100, lasts - 200), worker: choose.between(0, workers - 1) })).sort((a, b) => a.at - b.at);
}
