// What a topic says of a break: how many missed messages were replayed, or why they are lost.
import assert from 'node:assert/strict';
import { until } from '../lib/process.mjs';

/** One more than the server's history holds of a topic. */
const BEYOND = 16_385;

async function says(peer, id, wanted) {
  const told = async () => (({ status, recovered, reason }) => ({ status, recovered, reason }))(await peer.view(id));
  await until(`${id} to be ${wanted.status}`, async () => (await told()).status === wanted.status, 10_000);
  assert.deepEqual(await told(), wanted);
}

export const returns = {
  '[P-24] [G2] a topic and a pattern say how many messages were missed, and what the history has lost': async (stage) => {
    const space = stage.name('news');
    const [topic, pattern] = [stage.name('news'), `${space}:*`];
    const { peer, gate } = await stage.open({}, { topics: [topic, pattern] });
    await stage.publish([topic, 1], [`${space}:1`, 1]);
    await stage.heardOf(peer, { [topic]: [1], [`${space}:1`]: [1] });
    for (const id of ['view0', 'view1']) await says(peer, id, { status: 'live', recovered: 0, reason: null });
    await stage.away({ peer, gate }, () => stage.publish([topic, 2], [topic, 3], [`${space}:1`, 2], [`${space}:2`, 1], [`${space}:2`, 2]));
    await says(peer, 'view0', { status: 'recovered', recovered: 2, reason: null });
    await says(peer, 'view1', { status: 'recovered', recovered: 3, reason: null });
    await stage.quiet(peer);
    await stage.away({ peer, gate }, () => stage.fill({ topic, count: BEYOND, bytes: 2 }));
    await says(peer, 'view0', { status: 'resync', recovered: 0, reason: 'history' });
    assert.deepEqual((await peer.notices()).resync, [{ topic, reason: 'history' }]);
    await stage.publish([topic, 4]);
    await stage.heardOf(peer, { [topic]: [1, 2, 3, 4], [`${space}:1`]: [1, 2], [`${space}:2`]: [1, 2] });
  },
};
