// Who is in a seed's room beside the clients that follow topics: each with a network and faults of its own, in Node.
import { inNode } from './clients.mjs';
import { naps } from './naps.mjs';
import { until } from './processes.mjs';
import { openProxy } from './proxy.mjs';
import { LEASE_MS } from './rooms.mjs';
import { wrongRosters } from './rosters.mjs';

/** After the networks are well: a connection that is silent is given up (2 s), its member's grace ends (1.2 s), or a worker's lease, and every watcher has heard of it. */
const PATIENCE_MS = 10_000;

/** Opens the guests of a room in a world of workers. */
export async function openGuests({ topic, guests }, { workers }) {
  const networks = await Promise.all(guests.map(() => Promise.all(workers.map(({ port }) => openProxy(port)))));
  const clients = await Promise.all(guests.map((guest, i) => begin(topic, guest, networks[i], i === 0)));
  return {
    /** All that they do and that befalls them, by its time. */
    actions: guests.flatMap((guest, i) => [
      ...guest.acts.map((act) => ({ at: act.at, begin: () => (act.what === 'vanish' ? networks[i].forEach((network) => network.vanish(act.isSilent)) : clients[i].act(act.what)) })),
      ...guest.faults.map((fault) => ({ at: fault.at, begin: () => strike(fault, networks[i]) })),
    ]),
    networks,
    seen: async () => (await Promise.all(clients.map((client) => client.seen()))).map((seen, i) => ({ ...seen, fate: guests[i].fate, ...troublesOf(networks[i]) })),
    async close() {
      await Promise.all(clients.map((client) => client.close()));
      for (const network of networks.flat()) network.close();
    },
  };
}

function begin(topic, { name, options, watches }, networks, isTapped) {
  const endpoints = networks.map(({ port }) => `ws://127.0.0.1:${port}/wse`);
  return inNode({ name, endpoints, options, holds: [], room: { topic, watches }, isTapped });
}

/** When connections through these networks were reset, and whether they were slow: what was on its way then, a close too, came late. */
export function troublesOf(networks) {
  return { cuts: networks.flatMap(({ cuts }) => cuts), isSlow: networks.some(({ wasSlow }) => wasSlow()) };
}

/** A fault strikes networks, and heals by itself. */
export async function strike({ what, lasts, ms, bytesPerSecond }, networks) {
  for (const network of networks) network[what](ms ?? bytesPerSecond);
  if (what === 'cut') return;
  await new Promise((done) => setTimeout(done, lasts));
  for (const network of networks) network.heal();
}

/** What is wrong with the room once every watcher had time to see who is there, and once the leases of workers that were killed are over. `present` gives all who took part. */
export async function settleRoom(present, { kills, drains }) {
  const settled = () => until(() => present().then((all) => (ends(all).length === 0 ? all : null)), PATIENCE_MS);
  const over = Math.max(...kills) + (LEASE_MS * 4) / 3 + 500;
  let all = await settled();
  if (all !== null && over > Date.now()) {
    await new Promise((done) => setTimeout(done, over - Date.now()));
    all = await settled();
  }
  return wrongRosters(all ?? (await present()), { kills, drains, naps });
}

function ends(present) {
  return wrongRosters(present.map((each) => ({ ...each, log: each.log.filter(({ kind }) => ['stay', 'in'].includes(kind)) })));
}
