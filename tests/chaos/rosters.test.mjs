// The judge of rooms itself: each way of telling wrongly who is there is found, and a run in which all is told rightly is not accused.
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { GRACE_MS, LEASE_MS, MOVE_MS } from './lib/rooms.mjs';
import { readsLate, wrongRosters } from './lib/rosters.mjs';

const [LIST, COUNT] = ['@presence:room:t', '@count:room:t'];

function member(id, n) {
  return { id, user: null, data: { n } };
}

const enters = (at, n = 1, id = 'ada') => [
  { kind: 'stay', what: 'enter', n, at },
  { kind: 'in', is: true, id, at: at + 10 },
];
const changes = (at, n) => ({ kind: 'stay', what: 'update', n, at });
const ends = (what, at, id = 'ada') => [{ kind: 'stay', what, n: null, at }, { kind: 'in', is: false, id, at }];
const lost = (at, id = 'ada') => ({ kind: 'in', is: false, id, at });
const ready = (connection, at) => ({ kind: 'status', status: 'ready', connection, at });
const returns = (at, id = 'ada') => ({ kind: 'in', is: true, id, at });

const told = (what, log, seq, more) => ({ kind: 'told', what, log, epoch: 'e', seq, ts: 1_000 + seq, at: 1_000 + seq, ...more });
const begins = (log, members) => [
  told('update', log, 0, { status: 'live', snapshot: true }),
  told('state', log, 0, { p: { members, count: members.length, e: 'e', seq: 0 } }),
];
const change = (seq, set, gone, count, ts = 1_000 + seq) => told('change', LIST, seq, { ts, p: { set, gone, count } });
const number = (seq, count) => told('change', COUNT, seq, { p: { count } });

/** What is found where one witness was told `log`, and one member did `did`. */
function judge({ did = enters(100), log = [], fate = 'stays', shown = {}, cuts = [], isSlow = false, ...run }) {
  return wrongRosters([{ name: 'witness', log, fate: 'stays', shown, cuts: [], isSlow: false }, { name: 'ada', log: did, fate, shown: {}, cuts, isSlow }], run);
}

const shows = (members, count = members.length, status = 'live') => ({ list: { members, count, status }, count: { members: [], count, status } });

test('a member that comes, changes and leaves is told rightly', () => {
  const did = [...enters(100), changes(150, 2), ...ends('leave', 5_000)];
  const log = [...begins(LIST, []), change(1, [member('ada', 1)], [], 1), change(2, [member('ada', 2)], [], 1), change(3, [], ['ada'], 0, 5_010)];
  const numbers = [...begins(COUNT, []), number(1, 1), number(2, 0)];
  assert.deepEqual(judge({ did, log: [...log, ...numbers], shown: shows([]) }), []);
});

const HERE = begins(LIST, [member('ada', 1)]);
for (const [what, log, clause] of [
  ['a leave that is told twice', [...HERE, change(1, [], ['ada'], 0, 9_000), change(2, [], ['ada'], 0, 9_001)], /\[P-62\] ada was told to have left, and was not there/],
  ['a leave of one who had not come', [...begins(LIST, []), change(1, [], ['ada'], 0, 9_000)], /\[P-62\] ada was told to have left, and was not there/],
  ['a member that is told to have come twice', [...HERE, change(1, [member('ada', 1)], [], 1)], /\[P-64\] ada .* with the same data/],
  ['data that nobody said', [...HERE, change(1, [member('ada', 7)], [], 1)], /\[P-61\] ada .* which it had not said/],
  ['a member that nobody is', [...HERE, change(1, [member('eve', 1)], [], 2)], /\[P-61\] eve/],
  ['a number that is not that of the list', [...HERE, change(1, [member('ada', 2)], [], 2)], /\[P-64\] there are 1 .* 2 by/],
  ['a state whose number is another', [told('state', LIST, 0, { p: { members: [member('ada', 1)], count: 2, e: 'e', seq: 0 } })], /\[P-64\] the state/],
  ['a number that has not changed', [...begins(COUNT, [member('ada', 1)]), number(1, 1)], /\[P-64\] the number was told/],
  ['a log that is refused', [told('update', LIST, 0, { status: 'refused' })], /\[P-63\]/],
]) {
  test(`${what} is found`, () => {
    const found = judge({ did: [...enters(100), changes(150, 2), lost(300)], fate: 'vanishes', log });
    assert.match(found.join('\n'), clause);
  });
}

test('what is in the state already, and what comes before it, is not told twice', () => {
  const log = [told('update', LIST, 4, { status: 'live', snapshot: true }), told('state', LIST, 4, { p: { members: [member('ada', 1)], count: 1, e: 'e', seq: 5 } })];
  assert.deepEqual(judge({ log: [...log, change(5, [member('ada', 1)], [], 1)] }), []);
  assert.deepEqual(judge({ log: [change(1, [], ['ada'], 0), ...log] }), []);
});

test('a log that cannot be read for a while is asked for again', () => {
  const log = [...HERE, told('update', LIST, undefined, { status: 'refused', code: 'UNAVAILABLE' }), told('update', LIST, 0, { status: 'recovered' })];
  assert.deepEqual(judge({ log: [...log, change(1, [member('ada', 1)], [], 1)] }).length, 1);
  assert.deepEqual(judge({ did: [...enters(100), lost(200)], fate: 'vanishes', log: [...log, change(1, [], ['ada'], 0, 9_000)] }), []);
});

test('a connection that resumes goes on where it was, and a log that began anew from its state', () => {
  const resumed = [...HERE, told('update', LIST, 0, { status: 'recovered' }), change(1, [], ['ada'], 0, 9_000)];
  assert.deepEqual(judge({ did: [...enters(100), lost(200)], fate: 'vanishes', log: resumed }), []);
  const anew = [...HERE, told('update', LIST, 3, { status: 'resync', epoch: 'f', snapshot: true }), told('state', LIST, 3, { epoch: 'f', p: { members: [], count: 0, e: 'f', seq: 3 } })];
  const back = { ...change(4, [member('ada', 1)], [], 1), epoch: 'f' };
  assert.deepEqual(judge({ log: [...anew, back] }), []);
});

for (const [what, after, ts, isRight] of [
  ['who is in', [], 1_000, false],
  ['who was lost for less than the grace', [lost(1_000)], 1_000 + GRACE_MS / 2, false],
  ['who was lost for less than the grace, and is back', [lost(1_000), returns(1_500)], 1_600, false],
  ['who was lost for the grace', [lost(1_000)], 1_000 + GRACE_MS, true],
  ['who was lost for the grace, and is back', [lost(1_000), returns(4_000)], 3_000, true],
  ['who was lost, is back, and then said so', [lost(1_000), returns(1_200), ...ends('leave', 1_300)], 1_310, true],
  ['who was lost, is back unanswered, and then said so', [lost(1_000), ...ends('leave', 1_300).slice(0, 1)], 1_310, true],
  ['who said so', ends('leave', 1_000), 1_010, true],
  ['who has closed the client', ends('close', 1_000), 1_010, true],
  ['who says so later', ends('leave', 1_000), 900, false],
]) {
  test(`that one has left ${what} is ${isRight ? 'right' : 'found'}`, () => {
    const found = judge({ did: [...enters(100), ...after], fate: 'vanishes', log: [...HERE, change(1, [], ['ada'], 0, ts)] });
    assert.equal(found.length === 0, isRight, JSON.stringify(found));
  });
}

test('the grace of one whose connection was cut, or whose worker was killed, begins then, and not when the client notices it', () => {
  const [did, log] = [[...enters(100), lost(1_000)], [...HERE, change(1, [], ['ada'], 0, 500 + GRACE_MS)]];
  assert.match(judge({ did, fate: 'vanishes', log }).join(), /\[P-62\]/);
  assert.match(judge({ did, fate: 'vanishes', log, cuts: [50, 1_200] }).join(), /\[P-62\]/);
  assert.deepEqual(judge({ did, fate: 'vanishes', log, cuts: [500] }), []);
  assert.deepEqual(judge({ did, fate: 'vanishes', log, kills: [500] }), []);
  assert.deepEqual(judge({ did, fate: 'vanishes', log, drains: [500 - MOVE_MS] }), []);
  const connects = { kind: 'status', status: 'authenticating', at: 90 };
  assert.deepEqual(judge({ did: [connects, ...enters(600), lost(1_000)], fate: 'vanishes', log, kills: [500] }), [], 'the word that it is in came late');
});

test('a machine that stood still for a lease may have had its workers taken for gone, until they are heard of', () => {
  const found = (ts, naps) => judge({ naps, fate: 'vanishes', log: [...HERE, change(1, [], ['ada'], 0, ts)] }).join();
  const nap = { from: 1_000, to: 1_000 + LEASE_MS };
  assert.equal(found(nap.to - 100, [nap]), '');
  assert.equal(found(nap.to + LEASE_MS / 2, [nap]), '');
  assert.match(found(nap.from + 500, [nap]), /\[P-62\]/, 'its lease ran still');
  assert.match(found(nap.to + LEASE_MS * 2, [nap]), /\[P-62\]/, 'they are heard of again');
  assert.match(found(nap.from + LEASE_MS, [{ from: 1_000, to: 1_700 }]), /\[P-62\]/, 'too short for a lease to end');
});

test('one that moves so late that its worker had closed its connection has left once the grace is over, and until it is on the next', () => {
  const did = (moved) => [ready('a', 50), ...enters(100), ready('b', moved)];
  const found = (ts, moved, drains = [1_000]) => judge({ did: did(moved), drains, fate: 'vanishes', log: [...HERE, change(1, [], ['ada'], 0, ts)] }).join();
  const over = 1_000 + MOVE_MS + GRACE_MS;
  assert.equal(found(over, over + 300), '');
  assert.match(found(over - 500, over + 300), /\[P-62\]/, 'within the grace');
  assert.match(found(over + 900, over + 300), /\[P-62\]/, 'long since moved');
  assert.match(found(over, over - 600), /\[P-62\]/, 'it had moved by then');
  assert.match(found(over, over + 300, []), /\[P-62\]/, 'nobody was to move');
  const returned = [ready('a', 50), ...enters(100), { kind: 'status', status: 'waiting', at: over }, ready('b', over + 300)];
  assert.match(judge({ did: returned, drains: [1_000], fate: 'vanishes', log: [...HERE, change(1, [], ['ada'], 0, over)] }).join(), /\[P-62\]/, 'it did not move');
});

test('one that loses the connection as soon as it has moved to it may have been without any since the move', () => {
  const found = (moved, from, ts) => judge({ did: [ready('a', 50), ...enters(100), ready(from, moved), lost(1_040)], cuts: [1_000], fate: 'vanishes', log: [...HERE, change(1, [], ['ada'], 0, ts)] }).join();
  assert.equal(found(850, 'b', 850 + GRACE_MS), '');
  assert.match(found(850, 'b', 700 + GRACE_MS), /\[P-62\]/, 'within the grace after the move');
  assert.match(found(400, 'b', 850 + GRACE_MS), /\[P-62\]/, 'it has entered there long since');
  assert.match(found(850, 'a', 850 + GRACE_MS), /\[P-62\]/, 'it has not moved');
});

test('of one that is slow nobody knows when its connection ended, but that it has', () => {
  const log = [...HERE, change(1, [], ['ada'], 0, 500 + GRACE_MS)];
  assert.deepEqual(judge({ did: [...enters(100), lost(9_000)], fate: 'vanishes', log, isSlow: true }), []);
  assert.match(judge({ did: enters(100), fate: 'vanishes', log, isSlow: true }).join(), /\[P-62\]/, 'it goes on');
  const soon = [...HERE, change(1, [], ['ada'], 0, GRACE_MS / 2)];
  assert.match(judge({ did: [...enters(100), lost(9_000)], fate: 'vanishes', log: soon, isSlow: true }).join(), /\[P-62\]/, 'within the grace of when it came');
});

test('one whose entry was answered late, on a connection that was well, is slow', () => {
  const log = [...HERE, change(1, [], ['ada'], 0, 1_500 + GRACE_MS)];
  const did = (answered, ...between) => [{ kind: 'stay', what: 'enter', n: 1, at: 100 }, ...between, returns(answered), lost(9_000)];
  assert.deepEqual(judge({ did: did(1_200), fate: 'vanishes', log }), []);
  assert.match(judge({ did: did(1_000), fate: 'vanishes', log }).join(), /\[P-62\]/, 'within the time');
  const connects = { kind: 'status', status: 'authenticating', at: 600 };
  assert.match(judge({ did: did(1_200, connects, { ...connects, status: 'ready', at: 1_100 }), fate: 'vanishes', log }).join(), /\[P-62\]/, 'it was not connected meanwhile');
});

test('one that was given up because it read too slowly had been so long before it read that', () => {
  const log = [...HERE, change(1, [], ['ada'], 0, 1_500 + GRACE_MS)];
  const did = (...between) => [...enters(100), ...between, lost(3_000), { kind: 'error', code: 'SLOW_CONSUMER', at: 3_000 }];
  assert.deepEqual(judge({ did: did({ kind: 'error', code: 'SLOW_CONSUMER', at: 2_900 }), fate: 'vanishes', log }), []);
  assert.match(judge({ did: did(), fate: 'vanishes', log }).join(), /\[P-62\]/, 'another end of its connection');
  const before = [...enters(10), { kind: 'error', code: 'SLOW_CONSUMER', at: 50 }, lost(60), returns(110), lost(3_000)];
  assert.match(judge({ did: before, fate: 'vanishes', log }).join(), /\[P-62\]/, 'an earlier one');
});

test('who gets what was published while it was connected a second later reads late, and nobody else', () => {
  const status = (what, at) => ({ kind: 'status', status: what, at });
  const reads = (stored, at, ...before) => readsLate([status('ready', 100), ...before, { kind: 'message', n: 7, at }], [{ n: 7, stored }]);
  assert.equal(reads(200, 1_300), true);
  assert.equal(reads(200, 1_100), false);
  assert.equal(reads(50, 1_300), false, 'it came with what was missed');
  assert.equal(reads(200, 1_300, status('waiting', 300), status('ready', 1_250)), false, 'it was away');
  assert.equal(reads(200, 1_300, status('ready', 600)), true, 'it has moved');
});

test('one that has left before it was answered is a member like others', () => {
  const did = [{ kind: 'stay', what: 'enter', n: 1, at: 100 }, { kind: 'stay', what: 'leave', n: null, at: 110 }];
  const log = [...begins(LIST, []), change(1, [member('eve', 1)], [], 1), change(2, [], ['eve'], 0)];
  assert.deepEqual(judge({ did, fate: 'leaves', log }), []);
});

const STALE = [...enters(100), changes(150, 2)];
for (const [what, did, fate, shown, clause] of [
  ['who is there with the data said last', STALE, 'stays', shows([member('ada', 2)]), null],
  ['nobody, of whom one is there', STALE, 'stays', shows([]), /\[P-62\] at the end it lacks ada/],
  ['data that was said before', STALE, 'stays', shows([member('ada', 1)]), /\[P-61\] at the end it shows 1 of ada, who said 2/],
  ['one whose network is gone', [...STALE, lost(200)], 'vanishes', shows([member('ada', 2)]), /\[P-62\] at the end it shows ada, who is not there/],
  ['one who has left', [...STALE, ...ends('leave', 200)], 'leaves', shows([member('ada', 2)]), /\[P-62\] at the end it shows ada/],
  ['another number than that of the list', STALE, 'stays', shows([member('ada', 2)], 2), /\[P-64\] at the end its list says 2.*\n.*its count says 2/],
  ['what it had before the connection was lost', STALE, 'stays', shows([member('ada', 2)], 1, 'pending'), /\[P-63\] at the end its list is pending/],
]) {
  test(`a watcher that at the end shows ${what} is ${clause === null ? 'right' : 'found'}`, () => {
    assert.match(judge({ did, fate, shown }).join('\n'), clause ?? /^$/);
  });
}

test('a client that has not entered again, and one that has not left, are found', () => {
  assert.match(judge({ did: [...enters(100), lost(200)] }).join(), /\[P-60\] at the end the client is not in the room/);
  assert.match(judge({ did: [...enters(100), { kind: 'stay', what: 'leave', n: null, at: 200 }] }).join(), /\[P-60\] at the end the client is in the room/);
});
