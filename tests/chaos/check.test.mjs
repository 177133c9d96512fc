// The judge itself: each way of breaking the contract is found, and a run that keeps it is not accused.
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { breaches } from './lib/check.mjs';

const HOLD = { topic: 'rec:t' };

function stored(seq, { epoch = 'e', topic = 'rec:t', n = seq, began = 100, key = 'k', priority = 5, ttl = null } = {}) {
  return { topic, n, group: n % 10, key, priority, ttl, began, receipt: { epoch, seq } };
}

function came(seq, { epoch = 'e', topic = 'rec:t', n = seq, at = 200 } = {}) {
  return { kind: 'message', topic, epoch, seq, n, group: n % 10, at };
}

const LIVE = { kind: 'topic', topic: 'rec:t', status: 'live', at: 50 };

function judge({ log, published, sends = [], effects = [], bus = 'redis', kills = [], hold = HOLD, reordered = {}, table = {}, drains = [] }) {
  const live = { ...LIVE, topic: hold.topic };
  const client = { name: 'c', session: '@session:5', log: [live, ...log], sends, reordered, tables: { [hold.topic]: table } };
  return breaches({ plan: { bus, drains, clients: [{ holds: [hold] }] }, published, effects, seen: [client], kills });
}

const THREE = [stored(1), stored(2), stored(3)];

test('a run in which everything came in order is right', () => {
  assert.deepEqual(judge({ log: [came(1), came(2), came(3)], published: THREE }), []);
});

test('what was stored before the topic was live need not come', () => {
  assert.deepEqual(judge({ log: [came(2), came(3)], published: [stored(1, { began: 10 }), stored(2), stored(3)] }), []);
});

for (const [what, log, clause] of [
  ['a message that never came in the middle', [came(1), came(3)], '[G2]'],
  ['a message that never came at the end', [came(1), came(2)], '[G2]'],
  ['a message that never came at the start', [came(2), came(3)], '[G2]'],
  ['none at all', [], '[G2]'],
  ['a message that came twice', [came(1), came(2), came(2), came(3)], '[G1]'],
  ['two messages in the wrong order', [came(2), came(1), came(3)], '[G1]'],
  ['another message than the stored one', [came(1), came(2, { n: 9 }), came(3)], '[G4]'],
  ['another epoch without a word', [came(1), came(2), came(3), came(4, { epoch: 'f' })], '[G2]'],
  ['a resync for nothing', [came(1), came(2), { kind: 'resync', topic: 'rec:t', reason: 'history', at: 150 }, came(3)], '[G2]'],
]) {
  test(`${what} is found`, () => {
    const found = judge({ log, published: THREE });
    assert.ok(found.length > 0 && found.some((text) => text.startsWith(clause)), JSON.stringify(found));
  });
}

test('a position that was given twice is found', () => {
  assert.match(judge({ log: [came(1), came(2), came(3)], published: [...THREE, stored(2, { n: 7 })] }).join(), /\[G4\] position 2/);
});

for (const topic of ['@user:c', '@session:5']) {
  const DIRECT = { topic };
  for (const [what, log, found] of [
    ['that all came', [came(1, DIRECT), came(2, DIRECT)], ''],
    ['of which the first never came', [came(2, DIRECT)], '[G2] 1 of 2 positions'],
    ['of which none came', [], '[G2] 2 of 2 positions'],
    ['that came in another order', [came(2, DIRECT), came(1, DIRECT)], '[G1] position 1 came after 2'],
    ['that are told to be lost, and nothing was', [{ kind: 'resync', topic, reason: 'history', at: 150 }, came(1, DIRECT), came(2, DIRECT)], '[G2] resync 1 (history)'],
  ]) {
    test(`what was sent to the client by ${topic}, ${what}, is ${found === '' ? 'right' : 'found'}`, () => {
      const toOther = stored(1, { topic: `${topic}other` });
      const judged = judge({ log: [came(1), ...log], published: [stored(1), toOther, stored(1, { ...DIRECT, began: 10 }), stored(2, DIRECT)] });
      if (found === '') assert.deepEqual(judged, []);
      else assert.ok(judged.some((text) => text.startsWith(found)), JSON.stringify(judged));
    });
  }
}

const SKIPS = { latest: 'latest', low: 'drop_low', ttl: 'ttl' };

/** What is found where position 2 of three was skipped. */
function skipped(topic, second = {}, reason = SKIPS[topic.replace(/:.*/, '')]) {
  const skip = { kind: 'skip', topic, from: 2, to: 2, reason, at: 150 };
  const published = [1, 2, 3].map((seq) => stored(seq, { topic, ...(seq === 2 ? second : {}) }));
  return judge({ log: [came(1, { topic }), skip, came(3, { topic })], published, hold: { topic } }).join();
}

test('a skip covers a hole and nothing beside it', () => {
  assert.equal(skipped('latest:t'), '');
  const [topic, skip] = ['latest:t', { kind: 'skip', topic: 'latest:t', from: 2, to: 2, reason: 'latest', at: 150 }];
  const published = [1, 2, 3, 4].map((seq) => stored(seq, { topic }));
  assert.match(judge({ log: [came(1, { topic }), skip, came(4, { topic })], published, hold: { topic } }).join(), /\[G2\] 1 of 4/);
});

test('a skip by a policy that the topic has not is found', () => {
  assert.match(skipped('rec:t', {}, 'latest'), /\[P-43\]/);
  assert.match(skipped('latest:t', {}, 'ttl'), /\[P-43\]/);
});

for (const [what, notes] of [
  ['that came before', [came(1, { topic: 'latest:t' }), came(2, { topic: 'latest:t' }), [2, 2]]],
  ['that comes after', [came(1, { topic: 'latest:t' }), [2, 2], came(2, { topic: 'latest:t' })]],
  ['that another skip covers', [came(1, { topic: 'latest:t' }), [2, 2], [2, 2]]],
  ['that another skip covers in part', [[1, 2], [2, 2]]],
]) {
  test(`a skip of a position ${what} is found`, () => {
    const topic = 'latest:t';
    const published = [1, 2, 3].map((seq) => stored(seq, { topic }));
    const log = [...notes, came(3, { topic })].map((note) => (Array.isArray(note) ? { kind: 'skip', topic, from: note[0], to: note[1], reason: 'latest', at: 150 } : note));
    const found = judge({ log, published, hold: { topic } });
    assert.ok(found.some((text) => /^\[P-43\] .* (left out|before)/.test(text)), JSON.stringify(found));
  });
}

test('a skip after a log began anew is of the new log', () => {
  const topic = 'ttl:t';
  const published = [stored(1, { topic }), stored(1, { topic, epoch: 'f', n: 2, ttl: 0.01 }), stored(2, { topic, epoch: 'f', n: 3 })];
  const skip = { kind: 'skip', topic, from: 1, to: 1, reason: 'ttl', at: 180 };
  const log = [came(1, { topic }), { kind: 'resync', topic, reason: 'epoch', at: 150 }, skip, came(2, { topic, epoch: 'f', n: 3 })];
  assert.deepEqual(judge({ log, published, hold: { topic }, bus: 'memory', kills: [120] }), []);
});

for (const [topic, what, may, mayNot] of [
  ['latest:t', 'the newest of its key', {}, { key: 'other' }],
  ['low:t', 'a critical message', { priority: 8 }, { priority: 10 }],
  ['ttl:t', 'what has not expired', { ttl: 0.04 }, { ttl: 0.06 }],
]) {
  test(`${what} that was left out of ${topic} is found`, () => {
    assert.equal(skipped(topic, may), '');
    assert.match(skipped(topic, mayNot), /\[P-43\] 2/);
  });
}

/** What is found in a topic with a state, whose three messages are of the keys a, b and a. */
function tabled({ seq = 2, state, after = [3], table = { a: 3, b: 2 }, hold = { topic: 'state:t' } }) {
  const { topic } = hold;
  const published = ['a', 'b', 'a'].map((key, i) => stored(i + 1, { topic, key }));
  const snapshot = { kind: 'snapshot', topic, epoch: 'e', seq, state, at: 150 };
  return judge({ log: [snapshot, ...after.map((each) => came(each, { topic }))], published, hold, table }).join();
}

const ROWS = [{ key: 'a', n: 1, group: 1 }, { key: 'b', n: 2, group: 2 }];

test('a state that holds all up to its position, and what follows it, is right', () => {
  assert.equal(tabled({ state: ROWS }), '');
  assert.equal(tabled({ state: [{ ...ROWS[0], n: 3 }, ROWS[1]] }), '', 'newer than its position');
  assert.equal(tabled({ state: ROWS.slice(1), hold: { topic: 'state:t', filter: { group: 2 } }, after: [], table: { b: 2 } }), '');
});

for (const [what, faults, clause] of [
  ['a state that lacks what it is to hold', { state: ROWS.slice(0, 1) }, /\[P-57\] the state at 2 lacks 2/],
  ['a state that is older than its position', { seq: 3, state: ROWS, after: [] }, /\[P-57\] the state at 3 lacks 3/],
  ['a message that is missing after the state', { seq: 1, state: ROWS }, /\[G2\] 1 of 3/],
  ['a message that was before the state', { state: ROWS, after: [2, 3] }, /\[G1\]/],
  ['a table that ends with an old row', { state: ROWS, table: { a: 1, b: 2 } }, /\[P-57\] the table ends with 1 of a/],
  ['a row that does not pass the filter', { state: ROWS, hold: { topic: 'state:t', filter: { group: 2 } }, after: [], table: { b: 2 } }, /\[P-57\].*not pass/],
]) {
  test(`${what} is found`, () => assert.match(tabled(faults), clause));
}

test('what the client had to put in order by itself is found', () => {
  const log = [came(1), came(2), came(3)];
  assert.match(judge({ log, published: THREE, reordered: { held: 0, old: 1 } }).join(), /\[P-33\].*1 times/);
  assert.deepEqual(judge({ log, published: THREE, reordered: { held: 0, old: 0 } }), []);
  const drains = [{ at: 100, worker: 0 }];
  assert.deepEqual(judge({ log, published: THREE, reordered: { held: 0, old: 1 }, drains }), [], 'while it moves');
  assert.match(judge({ log, published: THREE, reordered: { held: 1, old: 1 }, drains }).join(), /\[P-33\].*held/);
});

test('a restart of the in-process bus may lose what came before, if it is told, and once', () => {
  const published = [stored(1), stored(2), stored(1, { epoch: 'f', n: 3 }), stored(2, { epoch: 'f', n: 4 })];
  const log = [came(1), { kind: 'resync', topic: 'rec:t', reason: 'epoch', at: 150 }, came(1, { epoch: 'f', n: 3 }), came(2, { epoch: 'f', n: 4 })];
  assert.deepEqual(judge({ log, published, bus: 'memory', kills: [120] }), []);
  assert.notDeepEqual(judge({ log, published, bus: 'redis', kills: [120] }), []);
  assert.notDeepEqual(judge({ log: log.filter(({ kind }) => kind !== 'resync'), published, bus: 'memory', kills: [120] }), []);
});

for (const [what, resyncs, isRight] of [
  ['one for each of two restarts', [[150, 'epoch'], [190, 'epoch']], true],
  ['two after one restart', [[150, 'epoch'], [160, 'epoch']], false],
  ['one before anything was lost', [[110, 'epoch']], false],
  ['another reason than the restart', [[150, 'history']], false],
]) {
  test(`of resyncs ${what} ${isRight ? 'are right' : 'is found'}`, () => {
    const log = [came(1), ...resyncs.map(([at, reason]) => ({ kind: 'resync', topic: 'rec:t', reason, at })), came(1, { epoch: 'f', n: 2, at: 200 })];
    const found = judge({ log, published: [stored(1), stored(1, { epoch: 'f', n: 2 })], bus: 'memory', kills: [120, 180] });
    assert.equal(found.length === 0, isRight, JSON.stringify(found));
  });
}

test('a restart is told of a pattern and of its topic, each once', () => {
  const [hold, topic] = [{ topic: 'ns:*' }, 'ns:t'];
  const told = (name) => ({ kind: 'resync', topic: name, reason: 'epoch', at: 150 });
  const both = { published: [stored(1, { topic }), stored(1, { topic, epoch: 'f', n: 2 })], hold, bus: 'memory', kills: [120] };
  const log = (...resyncs) => [came(1, { topic }), ...resyncs, came(1, { topic, epoch: 'f', n: 2 })];
  assert.deepEqual(judge({ ...both, log: log(told('ns:*'), told('ns:t')) }), []);
  assert.match(judge({ ...both, log: log(told('ns:*'), told('ns:*')) }).join(), /\[G2\] resync 2 .* ns:\*/);
  assert.match(judge({ ...both, log: log(told('ns:t'), told('ns:t')) }).join(), /\[G2\] resync 2 .* ns:t/);
});

test('a filter keeps back its own, and no more', () => {
  const hold = { topic: 'rec:t', filter: { group: 2 } };
  assert.deepEqual(judge({ log: [came(2)], published: THREE, hold }), []);
  assert.match(judge({ log: [came(1), came(2)], published: THREE, hold }).join(), /\[P-70\]/);
  assert.match(judge({ log: [came(2)], published: [...THREE, stored(12)], hold }).join(), /\[G2\]/);
});

for (const [outcome, effects, isRight, how = 'plain'] of [
  ['acknowledged', 1, true],
  ['acknowledged', 0, false],
  ['acknowledged', 2, false],
  ['acknowledged', 1, false, 'raise'],
  ['failed: CONNECTION_LOST', 0, true],
  ['failed: CONNECTION_LOST', 1, true],
  ['failed: CONNECTION_LOST', 2, false],
  ['failed: CONNECTION_LOST', 1, true, 'raise'],
  ['failed: HANDLER_FAILED', 1, true, 'raise'],
  ['failed: HANDLER_FAILED', 0, false, 'raise'],
  ['failed: HANDLER_FAILED', 1, false],
  [null, 1, false],
]) {
  test(`a send to a ${how} handler whose outcome is ${outcome} with ${effects} effects is ${isRight ? 'right' : 'found'}`, () => {
    const marks = Array.from({ length: effects }, () => ({ client: 'c', n: 0, connection: crypto.randomUUID() }));
    const found = judge({ log: [came(1), came(2), came(3)], published: THREE, sends: [{ n: 0, how, outcome }], effects: marks }).filter((text) => text.startsWith('[G3]'));
    assert.equal(found.length === 0, isRight, JSON.stringify(found));
  });
}

for (const [outcome, effects, kills, isRight] of [
  ['acknowledged', 1, 0, true],
  ['acknowledged', 2, 1, false],
  ['failed: OUTCOME_UNKNOWN', 1, 1, true],
  ['failed: OUTCOME_UNKNOWN', 0, 1, true],
  ['failed: OUTCOME_UNKNOWN', 1, 0, false],
  ['failed: OUTCOME_UNKNOWN', 2, 1, false],
  ['failed: TIMEOUT', 0, 1, false],
]) {
  test(`a send that is kept whose outcome is ${outcome} with ${effects} effects after ${kills} kills is ${isRight ? 'right' : 'found'}`, () => {
    const marks = Array.from({ length: effects }, () => ({ client: 'c', n: 0, connection: crypto.randomUUID() }));
    const sends = [{ n: 0, how: 'plain', keep: true, outcome }];
    const found = judge({ log: [came(1), came(2), came(3)], published: THREE, sends, effects: marks, kills: Array(kills).fill(100) }).filter((text) => text.startsWith('[G3]'));
    assert.equal(found.length === 0, isRight, JSON.stringify(found));
  });
}

test('effects in another order than the sends are found', () => {
  const effects = [1, 0].map((n) => ({ client: 'c', n, connection: 'x' }));
  const sends = [0, 1].map((n) => ({ n, how: 'plain', outcome: 'acknowledged' }));
  assert.match(judge({ log: [came(1), came(2), came(3)], published: THREE, sends, effects }).join(), /\[P-30\]/);
});
