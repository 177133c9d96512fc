// Patterns: births while connected and while away, beside exact subscriptions, and under filters.
import assert from 'node:assert/strict';
import { messagesOf, ofType } from '../lib/frames.mjs';
import { until } from '../lib/process.mjs';

export const patterns = {
  '[P-39] a pattern brings topics of its namespace from before and born later, from their first message, and says which': async (stage) => {
    const [space, other] = [stage.name('orders'), stage.name('other')];
    await stage.publish([`${space}:1`, 'before']);
    const { peer } = await stage.open({}, { topics: [`${space}:*`] });
    assert.deepEqual(await peer.view('view0'), { status: 'live', code: null, ...(await peer.view('view0')) });
    await stage.publish([`${space}:1`, 'a'], [`${space}:2`, 'b'], [`${space}:2`, 'c'], [`${other}:1`, 'no']);
    await stage.heardOf(peer, { [`${space}:1`]: ['a'], [`${space}:2`]: ['b', 'c'] });
    for (const [topic, payload] of [[`${space}:3`, 'born'], [`${space}:1`, 'old']]) {
      await stage.publish([topic, payload]);
      await until('what is shown', async () => (({ data, topic: from }) => data === payload && from === topic)(await peer.view('view0')), 2_000);
    }
    assert.deepEqual(ofType(peer.frames('out'), 'subscription').map(({ envelope }) => envelope.p.topics), [[`${space}:*`]]);
    await stage.quiet(peer);
  },

  '[P-39] away: known topics are recovered from their places, topics born meanwhile from their first message': async (stage) => {
    const space = stage.name('orders');
    const { peer, gate } = await stage.open({}, { topics: [`${space}:*`] });
    await stage.publish([`${space}:1`, 'a']);
    await stage.heard(peer, ['a']);
    await stage.away({ peer, gate }, () => stage.publish([`${space}:1`, 'b'], [`${space}:2`, 'c'], [`${space}:2`, 'd']));
    await stage.heardOf(peer, { [`${space}:1`]: ['a', 'b'], [`${space}:2`]: ['c', 'd'] });
    await stage.publish([`${space}:2`, 'e'], [`${space}:3`, 'f']);
    await stage.heardOf(peer, { [`${space}:1`]: ['a', 'b'], [`${space}:2`]: ['c', 'd', 'e'], [`${space}:3`]: ['f'] });
    const { positions } = ofType(peer.frames('out'), 'client_hello').at(-1).envelope.p;
    assert.deepEqual(Object.keys(positions).filter((name) => !name.startsWith('@')).sort(), [`${space}:*`, `${space}:1`].sort());
    await stage.quiet(peer);
  },

  '[P-39] a topic by itself and through its pattern comes once, and goes on when either is let go': async (stage) => {
    const space = stage.name('orders');
    const [pattern, topic] = [`${space}:*`, `${space}:1`];
    const { peer } = await stage.open({ lingerMs: 50 }, { topics: [pattern] });
    await stage.follow(peer, 'exact', topic);
    await stage.publish([topic, 'a']);
    await stage.heard(peer, ['a']);
    await until('both', async () => (await peer.view('view0')).data === 'a' && (await peer.view('exact')).data === 'a', 2_000);
    await peer.leave('exact');
    await gone(peer, topic);
    await stage.publish([topic, 'b']);
    await stage.heard(peer, ['a', 'b']);
    await stage.follow(peer, 'exact', topic);
    await peer.leave('view0');
    await gone(peer, pattern);
    await stage.publish([topic, 'c'], [`${space}:2`, 'no']);
    await stage.heard(peer, ['a', 'b', 'c']);
    assert.deepEqual(messagesOf(peer.frames('in'), topic).map(({ p }) => p), ['a', 'b', 'c']);
    await stage.quiet(peer);
  },

  '[P-39] [P-70] a filter on a pattern holds for each of its topics, also for those born later': async (stage) => {
    const space = stage.name('orders');
    const { peer } = await stage.open();
    await stage.follow(peer, 'large', `${space}:*`, { n: { $gt: 5 } });
    await stage.publish([`${space}:1`, { n: 1 }], [`${space}:1`, { n: 7 }], [`${space}:2`, { n: 8 }], [`${space}:2`, { n: 2 }]);
    await stage.heardOf(peer, { [`${space}:1`]: [{ n: 7 }], [`${space}:2`]: [{ n: 8 }] });
    assert.equal(messagesOf(peer.frames('in'), `${space}:1`).length, 1);
    await stage.quiet(peer);
  },
};

/** The server has let it go. */
async function gone(peer, topic) {
  const isGone = ({ envelope }) => envelope.p.topics.some(({ tp, status }) => tp === topic && status === 'unsubscribed');
  await until(`${topic} to be let go`, () => ofType(peer.frames('in'), 'subscription_update').filter(isGone).length > 0, 5_000);
}
