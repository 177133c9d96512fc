// What a seed means for presence: who enters the seed's room, with which data, who goes how, and who watches. Pure.
import { chooser } from './random.mjs';

/** The server's times in these runs (app/main.py): how long a lost connection counts as there, a worker that is not heard of, and how long one that is to end serves whom it told to move. */
export const GRACE_MS = 1_200;
export const LEASE_MS = 4_000;
export const MOVE_MS = 1_400;

const FAULTS = ['cut', 'cut', 'stall', 'halfOpen', 'delay', 'refuse'];
/** How a guest's stay ends: not at all, by its own word, with its client, with its network, or it leaves and comes again. */
const FATES = ['stays', 'leaves', 'closes', 'vanishes', 'vanishes', 'returns'];
const WATCHES = [[], ['list'], ['list'], ['count']];

/** The room of a seed; `clients` are those of its plan, some of which go in too. The first guest only watches, and what comes to it is noted as it comes. */
export function roomOf(seed, lasts, clients) {
  const choose = chooser(seed + 7_919);
  const topic = `room:s${seed}`;
  const options = { format: 'json', compression: false, batch: choose.chance(0.5), token: `s${seed}w` };
  const witness = { name: options.token, options, watches: ['list', 'count'], fate: 'stays', acts: [], faults: faultsOf(lasts, choose) };
  const guests = Array.from({ length: choose.between(2, 3) }, (_, i) => guestOf(`s${seed}g${i}`, lasts, choose));
  const attending = Array.from({ length: clients }, () => ({ topic, watches: choose.pick(WATCHES), acts: choose.chance(0.5) ? enters(lasts, choose) : [] }));
  return { topic, guests: [witness, ...guests], attending };
}

function guestOf(name, lasts, choose) {
  const fate = choose.pick(FATES);
  const options = { format: choose.pick(['json', 'msgpack']), compression: choose.chance(0.5), batch: choose.chance(0.5), token: name };
  const acts = [...enters(lasts, choose), ...ends(fate, choose.between(Math.floor(lasts / 2), lasts - 300), choose)];
  return { name, options, watches: choose.pick(WATCHES), fate, acts, faults: faultsOf(lasts, choose) };
}

/** Enters within the first third of the run, and has other data a few times after that. */
function enters(lasts, choose) {
  const at = choose.between(0, Math.floor(lasts / 3));
  const updates = Array.from({ length: choose.between(0, 4) }, () => ({ at: choose.between(at, Math.floor(lasts / 2)), what: 'update' }));
  return [{ at, what: 'enter' }, ...updates.sort((a, b) => a.at - b.at)];
}

function ends(fate, at, choose) {
  // Its connections are reset, or nothing passes any more and nobody is told.
  if (fate === 'vanishes') return [{ at, what: 'vanish', isSilent: choose.chance(0.25) }];
  if (fate === 'returns') return [{ at, what: 'leave' }, { at: at + choose.between(0, 600), what: 'enter' }];
  return fate === 'stays' ? [] : [{ at, what: fate === 'leaves' ? 'leave' : 'close' }];
}

function faultsOf(lasts, choose) {
  return Array.from({ length: choose.between(0, 2) }, () => {
    const fault = { at: choose.between(50, lasts - 100), what: choose.pick(FAULTS), lasts: choose.between(50, 900) };
    return fault.what === 'delay' ? { ...fault, ms: choose.between(5, 120) } : fault;
  });
}
