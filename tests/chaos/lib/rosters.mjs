// Whether what is told of who is in a room holds ([P-60] to [P-64]). Pure: the notes of members, witnesses and watchers come in, sentences about what is broken come out.
import { GRACE_MS, LEASE_MS, MOVE_MS } from './rooms.mjs';

/** Nobody whose connection was lost, or whose worker was killed, is told to have left sooner: less what clocks and timers may be late. */
const STAYS_MS = Math.min(GRACE_MS, (LEASE_MS * 2) / 3) - 100;
/** A client to which an answer, or what is published, comes later than this on a connection that is well has much to read before anything else, a close too. */
const LATE_MS = 1_000;
/** Clocks of one machine, in whole milliseconds. */
const CLOCK_MS = 5;
/** How long after the last renewal that came in time a worker's lease may run out, and until when the others have seen that it has. */
const LEASES_MS = { from: (LEASE_MS * 2) / 3 - 100, to: LEASE_MS };
/** How long it takes a client to enter on the connection that it has moved to, on a machine that is busy. */
const ENTERS_MS = 500;

/**
 * Everything that is wrong with a room: `present` are all who took part, each with its `log`, its `fate`, when its connections were cut
 * (`cuts`), whether it was so slow that it may have learnt long afterwards that one had ended, and what it is `shown` at the end. Of the run there are the times
 * of `kills` and `drains`, and the `naps` in which everything stood still.
 */
export function wrongRosters(present, run = {}) {
  const members = membersOf(present, { kills: [], drains: [], naps: [], ...run });
  const expected = [...members.values()].filter(({ isThere }) => isThere);
  return present.flatMap(({ name, log, fate, shown }) => {
    const found = [...told(log, members), ...(isOver(fate) ? [] : [...atTheEnd(shown, expected), ...isIn(log)])];
    return found.map((text) => `${text} (${name})`);
  });
}

function isOver(fate) {
  return fate === 'closes' || fate === 'vanishes';
}

/** By id: what each said when, the times in which it was in the room for certain, and the `gaps` in which the server may rightly have taken it for gone. */
function membersOf(present, { kills, drains, naps }) {
  const losses = [...kills, ...naps.map(({ from }) => from), ...drains.map((drain) => drain + MOVE_MS)];
  const unheard = naps.map(({ from, to }) => ({ from: from + LEASES_MS.from, to: to + LEASES_MS.to })).filter(({ from }, i) => from <= naps[i].to);
  const entered = present.filter(({ log }) => log.some(({ kind }) => kind === 'stay'));
  return new Map(
    entered.map(({ name, log, fate, cuts, isSlow }, i) => {
      const stays = log.filter(({ kind }) => kind === 'stay');
      const id = log.findLast((note) => note.kind === 'in' && note.id !== null)?.id ?? `unanswered ${i}`;
      const said = stays.filter(({ n }) => n !== null);
      const times = timesOf(log, isSlow || isBehind(log), [...cuts, ...losses]);
      return [id, { id, name, said, times, gaps: [...unheard, ...overdueMoves(log, drains)], isThere: !isOver(fate) && isWanted(log), n: said.at(-1)?.n }];
    }),
  );
}

/** Whether an answer came late on a connection that was ready when it was asked for. */
function isBehind(log) {
  let [isReady, asked] = [true, Infinity];
  return log.some(({ kind, what, is, status, at }) => {
    if (kind === 'status') isReady = status === 'ready';
    if (!isReady || (kind === 'in' && !is)) asked = Infinity;
    else if (kind === 'stay' && what === 'enter') asked = at;
    else if (kind === 'in') return at - asked > LATE_MS;
    return false;
  });
}

/** Whether what was published while the client was connected came to it late. */
export function readsLate(log, published) {
  const stored = new Map(published.map((message) => [message.n, message.stored]));
  let since = Infinity;
  return log.some(({ kind, status, n, at }) => {
    if (kind === 'status') since = status === 'ready' ? Math.min(since, at) : Infinity;
    return kind === 'message' && stored.get(n) > since && at - stored.get(n) > LATE_MS;
  });
}

/** When the client was on another connection without having been without one. */
function movesOf(log) {
  const told = log.filter(({ kind }) => kind === 'status');
  const moves = told.filter(({ status, connection }, i) => i > 0 && status === 'ready' && told[i - 1].status === 'ready' && told[i - 1].connection !== connection);
  return moves.map(({ at }) => at);
}

/** Where a client read so late that it was to move that its worker had closed its connection long before ([P-67]): until it is on the next one. */
function overdueMoves(log, drains) {
  return movesOf(log).flatMap((at) => drains.map((drain) => ({ from: drain + MOVE_MS + STAYS_MS, to: at + ENTERS_MS })));
}

/** Whether the client is to be in the room by what it did last. */
function isWanted(log) {
  return ['enter', 'update'].includes(log.findLast(({ kind }) => kind === 'stay')?.what);
}

/** From when the client knew that it was in, and until when others may not be told that it left: its own word ends it at once. */
function timesOf(log, isSlow, cuts) {
  const moves = movesOf(log);
  const times = [];
  let [since, isGivenUp] = [Infinity, false];
  // The server may see the end of a connection long before a client that runs beside ten others, and has given up one that reads too slowly before it reads that.
  const cutAt = (time, at) => (isSlow || isGivenUp ? time.since : cuts.filter((cut) => time.since <= cut && cut < at).reduce((a, b) => Math.min(a, b), at));
  // On one that was lost so soon after the move to it the client may not have entered, and the one before it had ended.
  const lostAt = (time, at) => moves.filter((moved) => moved < at && cutAt(time, at) < moved + ENTERS_MS).reduce((a, b) => Math.min(a, b), cutAt(time, at));
  for (const { kind, is, what, status, code, at } of log) {
    if (kind === 'status' && status !== 'ready') since = at;
    if (kind === 'error' && code === 'SLOW_CONSUMER') isGivenUp = true;
    if (kind === 'in' && is) isGivenUp = false;
    if (kind === 'in' && is) times.push({ from: at, since: Math.min(since, at), to: Infinity });
    if (kind === 'in' && !is) times.at(-1).to = Math.min(times.at(-1).to, lostAt(times.at(-1), at) + STAYS_MS);
    if (kind === 'stay' && (what === 'leave' || what === 'close')) for (const time of times) time.to = Math.min(time.to, at - CLOCK_MS);
  }
  return times;
}

/** What a witness was told, message by message, of both logs. */
function told(log, members) {
  const notes = log.filter(({ kind }) => kind === 'told');
  return [...new Set(notes.map((note) => note.log))].flatMap((name) => {
    const own = notes.filter((note) => note.log === name);
    return follow(own, name.startsWith('@count:') ? new Numbers() : new Lists(members));
  });
}

/** Follows a log as a client does: changes that are in the state, or that came before it, count for nothing. */
function follow(notes, kept) {
  let [at, place] = [null, null];
  return notes.flatMap(({ what, status, code, epoch, seq, snapshot, p, ts }) => {
    if (what === 'update') {
      // The client asks again, from where it is.
      if (code === 'UNAVAILABLE') return [];
      if (status === 'refused' || status === 'unsubscribed') return [`[P-63] the log is ${status}`];
      if (snapshot || status === 'resync' || (place !== null && place !== `${epoch} ${seq}`)) kept.forget();
      place = `${epoch} ${seq}`;
      return [];
    }
    const isNext = place === `${epoch} ${seq - 1}`;
    place = `${epoch} ${seq}`;
    if (what === 'state') {
      at = { epoch: p.e, seq: p.seq };
      return kept.replace(p);
    }
    if (!isNext) kept.forget();
    const isInState = epoch === at?.epoch && seq <= at.seq;
    return isInState || !kept.isKnown ? [] : kept.change(p, ts);
  });
}

/** What a watcher of `@count:` knows. */
class Numbers {
  #count = null;

  get isKnown() {
    return this.#count !== null;
  }

  forget() {
    this.#count = null;
  }

  replace({ count }) {
    this.#count = count;
    return [];
  }

  change({ count }) {
    const before = this.#count;
    this.#count = count;
    return count === before ? [`[P-64] the number was told to be ${count}, which it was`] : [];
  }
}

/** What a watcher of `@presence:` knows. */
class Lists {
  #known = null;
  #members;

  constructor(members) {
    this.#members = members;
  }

  get isKnown() {
    return this.#known !== null;
  }

  forget() {
    this.#known = null;
  }

  replace({ members, count }) {
    this.#known = new Map(members.map((member) => [member.id, JSON.stringify(member)]));
    return this.#known.size === count && members.length === count ? [] : [`[P-64] the state has ${members.length} members, and says ${count}`];
  }

  change({ set, gone, count }, ts) {
    const found = [...gone.flatMap((id) => this.#leaves(id, ts)), ...set.flatMap((member) => this.#comes(member, ts))];
    if (this.#known.size !== count) found.push(`[P-64] there are ${this.#known.size} members by what was told, and ${count} by the message`);
    return found;
  }

  #leaves(id, ts) {
    const found = this.#known.delete(id) ? [] : [`[P-62] ${this.#name(id)} was told to have left, and was not there`];
    const { times = [], gaps = [] } = this.#members.get(id) ?? {};
    const spans = ({ from, to }) => from <= ts && ts < to;
    const time = gaps.some(spans) ? undefined : times.find(spans);
    if (time !== undefined) found.push(`[P-62] ${this.#name(id)} was told to have left ${ts - time.from} ms after it was in, and has not left for as long as the grace`);
    return found;
  }

  #comes(member, ts) {
    const [text, before] = [JSON.stringify(member), this.#known.get(member.id)];
    this.#known.set(member.id, text);
    const found = text === before ? [`[P-64] ${this.#name(member.id)} was told to have come, and was there with the same data`] : [];
    // Who left before the first answer came knows no id.
    const who = [this.#members.get(member.id) ?? [...this.#members.values()].filter(({ id }) => id.startsWith('unanswered'))].flat();
    const isSaid = who.some(({ said }) => said.some(({ n, at }) => n === member.data?.n && at <= ts + CLOCK_MS));
    return isSaid ? found : [...found, `[P-61] ${this.#name(member.id)} was told to have come with ${JSON.stringify(member.data)}, which it had not said`];
  }

  #name(id) {
    return this.#members.get(id)?.name ?? id;
  }
}

/** Whoever wants to be in is in, however often it had to return. */
function isIn(log) {
  const isThere = log.findLast(({ kind }) => kind === 'in')?.is ?? false;
  return isThere === isWanted(log) ? [] : [`[P-60] at the end the client is ${isThere ? '' : 'not '}in the room, by what it was told`];
}

/** At the end every watcher sees those who are there, with what they said last. */
function atTheEnd(shown, expected) {
  return Object.entries(shown).flatMap(([what, { members, count, status }]) => {
    const found = status === 'live' ? [] : [`[P-63] at the end its ${what} is ${status}`];
    if (count !== expected.length) found.push(`[P-64] at the end its ${what} says ${count}, and ${expected.length} are there`);
    if (what === 'count') return found;
    const seen = new Map(members.map(({ id, data }) => [id, data?.n]));
    const lacking = expected.filter(({ id }) => !seen.has(id)).map(({ name }) => `[P-62] at the end it lacks ${name}, who is there`);
    const stale = expected.filter(({ id, n }) => seen.has(id) && seen.get(id) !== n).map(({ id, name, n }) => `[P-61] at the end it shows ${seen.get(id)} of ${name}, who said ${n} last`);
    const ghosts = [...seen.keys()].filter((id) => !expected.some((each) => each.id === id)).map((id) => `[P-62] at the end it shows ${id}, who is not there`);
    return [...found, ...lacking, ...stale, ...ghosts];
  });
}
