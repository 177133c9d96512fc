// The judge itself: each way of breaking the contract is found, and a run that keeps it is not accused.
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { breaches } from './lib/check.mjs';

const HOLD = { topic: 'rec:t' };

function stored(seq, { epoch = 'e', topic = 'rec:t', n = seq, began = 100 } = {}) {
  return { topic, n, group: n % 10, began, receipt: { epoch, seq } };
}

function came(seq, { epoch = 'e', topic = 'rec:t', n = seq, at = 200 } = {}) {
  return { kind: 'message', topic, epoch, seq, n, group: n % 10, at };
}

const LIVE = { kind: 'topic', topic: 'rec:t', status: 'live', at: 50 };

function judge({ log, published, sends = [], effects = [], bus = 'redis', kills = 0, hold = HOLD }) {
  return breaches({ plan: { bus, clients: [{ holds: [hold] }] }, published, effects, seen: [{ name: 'c', log: [LIVE, ...log], sends }], kills });
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

test('a skip covers a hole and nothing beside it', () => {
  const skip = { kind: 'skip', topic: 'rec:t', from: 2, to: 2, reason: 'latest', at: 150 };
  assert.deepEqual(judge({ log: [came(1), skip, came(3)], published: THREE }), []);
  assert.equal(judge({ log: [came(1), skip, came(4)], published: [...THREE, stored(4)] }).length, 1);
});

test('a restart of the in-process bus may lose what came before, if it is told, and once', () => {
  const published = [stored(1), stored(2), stored(1, { epoch: 'f', n: 3 }), stored(2, { epoch: 'f', n: 4 })];
  const log = [came(1), { kind: 'resync', topic: 'rec:t', reason: 'epoch', at: 150 }, came(1, { epoch: 'f', n: 3 }), came(2, { epoch: 'f', n: 4 })];
  assert.deepEqual(judge({ log, published, bus: 'memory', kills: 1 }), []);
  assert.notDeepEqual(judge({ log, published, bus: 'redis', kills: 1 }), []);
  assert.notDeepEqual(judge({ log: log.filter(({ kind }) => kind !== 'resync'), published, bus: 'memory', kills: 1 }), []);
});

test('a filter keeps back its own, and no more', () => {
  const hold = { topic: 'rec:t', filter: { group: 2 } };
  assert.deepEqual(judge({ log: [came(2)], published: THREE, hold }), []);
  assert.match(judge({ log: [came(1), came(2)], published: THREE, hold }).join(), /\[P-70\]/);
  assert.match(judge({ log: [came(2)], published: [...THREE, stored(12)], hold }).join(), /\[G2\]/);
});

for (const [outcome, effects, isRight] of [
  ['acknowledged', 1, true],
  ['acknowledged', 0, false],
  ['acknowledged', 2, false],
  ['failed: CONNECTION_LOST', 0, true],
  ['failed: CONNECTION_LOST', 1, true],
  ['failed: CONNECTION_LOST', 2, false],
  [null, 1, false],
]) {
  test(`a send whose outcome is ${outcome} with ${effects} effects is ${isRight ? 'right' : 'found'}`, () => {
    const marks = Array.from({ length: effects }, () => ({ client: 'c', n: 0, connection: crypto.randomUUID() }));
    const found = judge({ log: [came(1), came(2), came(3)], published: THREE, sends: [{ n: 0, outcome }], effects: marks }).filter((text) => text.startsWith('[G3]'));
    assert.equal(found.length === 0, isRight, JSON.stringify(found));
  });
}

test('effects in another order than the sends are found', () => {
  const effects = [1, 0].map((n) => ({ client: 'c', n, connection: 'x' }));
  const sends = [{ n: 0, outcome: 'acknowledged' }, { n: 1, outcome: 'acknowledged' }];
  assert.match(judge({ log: [came(1), came(2), came(3)], published: THREE, sends, effects }).join(), /\[P-30\]/);
});
