// Clients that do not keep up: what is left out on purpose is told, and nothing else is lost.
import assert from 'node:assert/strict';
import { setTimeout as sleep } from 'node:timers/promises';
import { messagesOf, ofType } from '../lib/frames.mjs';
import { until } from '../lib/process.mjs';

/** More than lies between a server and a client that does not read, and less than the log keeps. */
const FLOOD = { count: 750, bytes: 20_000 };

export const slow = {
  '[P-43] latest: a slow client gets the newest of each key, and is told of each message that it does not get': async (stage) => {
    const { messages, skips } = await flooded(stage, 'latest', { keys: 5 });
    assert.deepEqual(messages.slice(-5).map(({ n }) => n % 5).sort(), [0, 1, 2, 3, 4]);
    assert.deepEqual([...new Set(skips.map(({ reason }) => reason))], ['latest']);
  },

  '[P-43] drop_low: a slow client loses the lowest priority first, nothing critical, and is told': async (stage) => {
    const priorities = [...[1, 3, 5, 8].flatMap((each) => Array(5).fill(each)), 10];
    const { messages, skips } = await flooded(stage, 'low', { priorities });
    const critical = messages.filter(({ n }) => priorities[n % priorities.length] === 10);
    assert.equal(critical.length, Math.floor(FLOOD.count / priorities.length));
    assert.deepEqual([...new Set(skips.map(({ reason }) => reason))], ['drop_low']);
  },

  '[P-43] ttl: what expires while a client does not read is told and not handed to it, and what is fresh follows': async (stage) => {
    const { messages, skips } = await flooded(stage, 'ttl', { ttl: 2 }, 2_100);
    assert.deepEqual(messages.map(({ n }) => n), Array.from({ length: messages.length }, (_, n) => n), 'what was on its way before');
    assert.ok(messages.length < FLOOD.count);
    assert.deepEqual([...new Set(skips.map(({ reason }) => reason))], ['ttl']);
  },

  '[G2] recover: a slow client gets all of it, once and in order': async (stage) => {
    const { messages, skips } = await flooded(stage, 'all', {});
    assert.deepEqual([messages.map(({ n }) => n), skips], [Array.from({ length: FLOOD.count }, (_, n) => n), []]);
  },
};

/** What a client that reads nothing for a while has heard and been told in the end: together every message, each once. */
async function flooded(stage, namespace, order, wait = 0) {
  const topic = stage.name(`${namespace}:x`);
  const { peer, gate } = await stage.open({ compression: false }, { topics: [topic] });
  const before = await stage.health();
  gate.stall();
  const last = await stage.fill({ topic, ...FLOOD, ...order });
  const { fell_behind: behind, skipped_latest: latest, skipped_drop_low: low } = await stage.health();
  assert.ok(behind + latest + low > before.fell_behind + before.skipped_latest + before.skipped_drop_low, 'the server noticed');
  await sleep(wait);
  gate.resume();
  const heard = async () => [...(await peer.seen()).map(([, seq]) => [seq, seq]), ...(await peer.notices()).skip.map(({ from, to }) => [from, to])];
  await until('the last message', async () => (await heard()).some(([, to]) => to === last), 10_000);
  let next = 1;
  for (const [from, to] of (await heard()).sort(([a], [b]) => a - b)) {
    assert.equal(from, next);
    next = to + 1;
  }
  assert.equal(next, last + 1);
  const seen = await peer.seen();
  assert.deepEqual(seen.map(([, seq]) => seq), messagesOf(peer.frames('in'), topic).map(({ seq }) => seq), 'handlers got what came, in its order');
  const asked = ofType(peer.frames('out'), 'subscription').map(({ envelope }) => envelope.p.action);
  assert.deepEqual(asked, ['subscribe'], 'what is told is no gap');
  await stage.quiet(peer);
  return { messages: seen.map(([, , payload]) => payload), skips: (await peer.notices()).skip };
}
