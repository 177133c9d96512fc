// One seed: its clients behind their networks, what is published and sent meanwhile, the faults, and the verdict.
import { readFileSync, writeFileSync } from 'node:fs';
import { breaches } from './check.mjs';
import { inNode } from './clients.mjs';
import { openGuests, settleRoom, strike, troublesOf } from './guests.mjs';
import { CRITICAL, hasState, planOf, sessionOf } from './plan.mjs';
import { until } from './processes.mjs';
import { openProxy } from './proxy.mjs';
import { post } from './publish.mjs';
import { namesOf } from './resyncs.mjs';
import { readsLate } from './rosters.mjs';
import { wrongTables } from './tables.mjs';

const PATIENCE_MS = 20_000;

/** Runs the seed in a world of workers; gives what it broke, and what there was of it. */
export async function runSeed(seed, whole, browser) {
  const plan = planOf(seed);
  const world = { ...whole, workers: workersOf(plan, whole) };
  writeFileSync(world.effectsFile, '');
  const networks = await Promise.all(plan.clients.map(() => Promise.all(world.workers.map(({ port }) => openProxy(port)))));
  const attending = (i) => ({ room: { topic: plan.room.topic, watches: plan.room.attending[i].watches } });
  const clients = await Promise.all(plan.clients.map((client, i) => begin({ ...client, ...attending(i) }, networks[i], plan.browser ? browser.inPage : inNode)));
  const sessions = plan.hasSessions ? await Promise.all(clients.map(sessionName)) : [];
  const names = new Map(sessions.map((session, i) => [sessionOf(plan.clients[i].name), session]));
  const guests = await openGuests(plan.room, world);
  try {
    const [kills, drains] = [[], []];
    const published = await act(plan, world, { networks, clients, guests, names, kills, drains });
    const caughtUp = await settle(plan, clients, published, world);
    const seenBy = () => Promise.all(clients.map((client) => client.seen()));
    // A page beside many others is slow too, and so is who has much to read.
    const took = (each, { cuts, isSlow }) => ({ ...each, fate: 'stays', cuts, isSlow: isSlow || plan.browser || readsLate(each.log, published) });
    const present = async () => [...(await guests.seen()), ...(await seenBy()).map((each, i) => took(each, troublesOf(networks[i])))];
    const rosters = await settleRoom(present, { kills, drains });
    const seen = await seenBy();
    const found = breaches({ plan, published, effects: effectsIn(world.effectsFile), seen, kills });
    const late = caughtUp ? [] : [`[G8] clients were not up to date after ${PATIENCE_MS} ms`];
    return { plan, seen, guests: await guests.seen(), published, kills, drains, breaches: [...late, ...found, ...rosters] };
  } finally {
    await Promise.all([...clients, guests].map((each) => each.close()));
    for (const network of networks.flat()) network.close();
  }
}

/** In the order in which clients try them. Those on the in-process bus are services of their own. */
function workersOf({ bus, transport }, { workers }) {
  const sorted = [...workers].sort((a, b) => (b.transport === transport) - (a.transport === transport));
  return bus === 'memory' ? sorted.slice(0, 1) : sorted;
}

async function begin({ name, holds, options, room }, networks, where) {
  const endpoints = networks.map(({ port }) => `ws://127.0.0.1:${port}/wse`);
  const client = await where({ name, endpoints, options, holds, room });
  await until(() => client.isReady(), PATIENCE_MS);
  return client;
}

/** The name of its session: asked for again where its connection breaks meanwhile, as it may on a machine that stands still. */
async function sessionName(client) {
  const name = await until(() => client.session().catch(() => null), PATIENCE_MS);
  if (name === null) throw new Error('a client was not told its session');
  return name;
}

/** Everything of the plan, each begun at its time and in the plan's order: timers of their own may overtake one another. `kills` and `drains` get the times at which they happened. */
async function act(plan, world, { networks, clients, guests, names, kills, drains }) {
  const publisher = publisherOf(world);
  const actions = [
    ...plan.publishes.map((burst) => ({ at: burst.at, begin: () => publisher.publish(messagesOf({ ...burst, topic: names.get(burst.topic) ?? burst.topic })) })),
    ...plan.sends.map(({ at, client, ...message }) => ({ at, begin: () => clients[client].send(message) })),
    ...plan.kills.map(({ at, worker }) => ({ at, begin: () => world.workers[worker].restart(() => kills.push(Date.now())) })),
    ...plan.drains.map(({ at, worker }) => ({ at, begin: () => world.workers[worker].drain(() => drains.push(Date.now())) })),
    ...plan.outages.map(({ at, worker, ...outage }) => ({ at, begin: () => strike(outage, [world.workers[worker].way]) })),
    ...plan.faults.map((fault) => ({ at: fault.at, begin: () => strike(fault, fault.client === 'all' ? [...networks, ...guests.networks].flat() : networks[fault.client]) })),
    ...plan.room.attending.flatMap(({ acts }, i) => acts.map(({ at, what }) => ({ at, begin: () => clients[i].act(what) }))),
    ...guests.actions,
  ].sort((a, b) => a.at - b.at);
  const began = Date.now();
  const under = [];
  for (const { at, begin } of actions) {
    const wait = began + at - Date.now();
    if (wait > 0) await new Promise((done) => setTimeout(done, wait));
    const action = Promise.resolve(begin());
    action.catch(() => undefined); // all are awaited below
    under.push(action);
  }
  await Promise.all(under);
  return publisher.published;
}

let count = 0;

function messagesOf({ topic, count: many, size, priority, keys, groups, ttl = null }) {
  return Array.from({ length: many }, () => {
    const n = ++count;
    const key = `k${n % keys}`;
    return { topic, priority, key, ttl, retry: `retry-${n}`, payload: { n, key, group: n % groups, pad: 'x'.repeat(size) } };
  });
}

/** Publishes through any worker that answers, under the same retry key until one has: one topic's bursts in their order. */
function publisherOf({ workers }) {
  const published = [];
  const queues = new Map();
  const store = async (messages) => {
    const began = Date.now();
    const receipts = await until(() => post(workers[Math.floor(Math.random() * workers.length)].port, messages), PATIENCE_MS);
    if (receipts === null) throw new Error('no worker stored what was published');
    const stored = Date.now();
    messages.forEach(({ topic, priority, key, ttl, payload: { n, group } }, i) => published.push({ topic, n, group, priority, key, ttl, receipt: receipts[i], began, stored }));
  };
  return {
    published,
    publish(messages) {
      const { topic } = messages[0];
      const next = (queues.get(topic) ?? Promise.resolve()).then(() => store(messages));
      queues.set(topic, next);
      return next;
    },
  };
}

/**
 * With the network well, one last message of each group and topic has to reach everyone, and every send has to have its outcome. A client that learns only then
 * that the logs of a killed server are gone has lost the last ones with them, and is told so: there are others.
 */
async function settle(plan, clients, published, world) {
  if (!(await until(async () => (await Promise.all(clients.map((client) => client.isReady()))).every(Boolean), PATIENCE_MS))) return false;
  for (const began = Date.now(); ; ) {
    const since = Date.now();
    const last = await publishLast(plan, clients, world, published);
    const reached = await until(async () => {
      const seen = await Promise.all(clients.map((client) => client.seen()));
      if (seen.every((client, i) => isSettled(client, plan.clients[i], last, published))) return 'whole';
      return seen.some(({ log }) => log.some(({ kind, at }) => kind === 'resync' && at >= since)) && 'anew';
    }, PATIENCE_MS);
    if (reached !== 'anew' || since > began + PATIENCE_MS) return reached === 'whole';
  }
}

async function publishLast(plan, clients, world, published) {
  const publisher = publisherOf(world);
  // Critical: a client that is still behind is not spared them.
  const last = plan.topics.map(({ name }) => messagesOf({ topic: name, count: 10, size: 0, priority: CRITICAL, keys: hasState(name) ? 10 : 1, groups: 10 }));
  const names = (await Promise.all(clients.map((client) => client.seen()))).flatMap(namesOf);
  last.push(...names.map((topic) => messagesOf({ topic, count: 1, size: 0, priority: CRITICAL, keys: 1, groups: 10 })));
  await Promise.all(last.map((messages) => publisher.publish(messages)));
  published.push(...publisher.published);
  return last;
}

function isSettled(client, { holds }, last, published) {
  const isWhole = isUpToDate(client.log, [...holds, ...namesOf(client).map((topic) => ({ topic }))], last) && wrongTables({ ...client, log: [] }, holds, published).length === 0;
  return isWhole && client.sends.every(({ outcome }) => outcome !== null);
}

function isUpToDate(log, holds, last) {
  return last.every((messages) => {
    const [{ topic }] = messages;
    const hold = holds.find((each) => each.topic === topic) ?? holds.find((each) => each.topic === topic.replace(/:.*/, ':*'));
    // What a topic with a state has come to is told by its table: the last messages may be in the state.
    if (hold === undefined || hasState(topic)) return true;
    const due = messages.filter(({ payload }) => hold.filter === undefined || payload.group === hold.filter.group).at(-1);
    return log.some((note) => note.kind === 'message' && note.topic === topic && note.n === due.payload.n);
  });
}

function effectsIn(file) {
  const lines = readFileSync(file, 'utf8').split('\n').filter(Boolean);
  return lines.map((line) => {
    const [client, n, connection] = line.split(' ');
    return { client, n: Number(n), connection };
  });
}
