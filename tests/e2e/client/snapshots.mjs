// Snapshots: the state before the messages, whatever comes while it is made, and a connection that breaks meanwhile.
import assert from 'node:assert/strict';
import { ofType } from '../lib/frames.mjs';
import { until } from '../lib/process.mjs';

const numbers = (topic, from, count) => Array.from({ length: count }, (_, n) => [topic, { n: from + n }]);

export const snapshots = {
  '[P-56] [P-57] a state that is slower than 1,000 messages comes before all of them, and the topic is pending until then': async (stage) => {
    const topic = stage.name('held:slow');
    const { peer } = await stage.open();
    const asked = (await stage.health()).snapshots;
    await peer.follow('view', topic);
    await until('the state to be asked for', async () => (await stage.health()).snapshots > asked, 5_000);
    await stage.publish(...numbers(topic, 1, 1000));
    assert.deepEqual([(await peer.view('view')).status, await peer.seen()], ['pending', []]);
    await stage.letStatesGo(topic);
    await stage.heard(peer, [{ state: topic }, ...numbers(topic, 1, 1000).map(([, payload]) => payload)]);
    await stage.status(peer, 'view', 'live');
    await until('what is shown', async () => (await peer.view('view')).data?.n === 1000, 2_000);
    await stage.quiet(peer);
  },

  '[P-56] a connection that breaks while the state is made asks from the top, and gets it': async (stage) => {
    const topic = stage.name('held:cut');
    // One user's connections would share the call that is under way.
    const { peer, gate } = await stage.open({}, { user: null });
    const asked = (await stage.health()).snapshots;
    await peer.follow('view', topic);
    await until('the state to be asked for', async () => (await stage.health()).snapshots > asked, 5_000);
    await stage.away({ peer, gate }, () => stage.publish(...numbers(topic, 1, 3)));
    await stage.letStatesGo(topic);
    await stage.status(peer, 'view', 'live');
    await stage.publish(...numbers(topic, 4, 1));
    await stage.heard(peer, [{ state: topic }, { n: 4 }]);
    const { positions = {} } = ofType(peer.frames('out'), 'client_hello').at(-1).envelope.p;
    assert.deepEqual(Object.keys(positions).filter((name) => !name.startsWith('@')), []);
    await stage.quiet(peer);
  },

  '[P-56] who returns with a position gets what was missed, and no state': async (stage) => {
    const topic = stage.name('held:back');
    const { peer, gate } = await stage.open();
    await stage.letStatesGo(topic);
    await stage.follow(peer, 'view', topic);
    await stage.away({ peer, gate }, () => stage.publish(...numbers(topic, 1, 3)));
    await stage.heard(peer, [{ state: topic }, { n: 1 }, { n: 2 }, { n: 3 }]);
    await stage.status(peer, 'view', 'recovered');
    await stage.quiet(peer);
  },

  '[P-58] [P-59] a state that fails is an error of the topic, whose messages come all the same; asked for again it comes, and is shown': async (stage) => {
    const topic = stage.name('broken:x');
    const { peer } = await stage.open();
    await peer.follow('view', topic);
    await until('the error', async () => (await peer.view('view')).code === 'SNAPSHOT_FAILED', 5_000);
    assert.equal((await peer.view('view')).status, 'live');
    await stage.publish([topic, { n: 1 }]);
    await stage.heard(peer, [{ n: 1 }]);
    await peer.refetch('view');
    await until('the state', async () => (await peer.view('view')).data?.state === topic, 5_000);
    const { status, code } = await peer.view('view');
    assert.deepEqual({ status, code }, { status: 'live', code: null });
    await stage.publish([topic, { n: 2 }]);
    await stage.heard(peer, [{ n: 1 }, { state: topic }, { n: 2 }]);
    assert.deepEqual((await peer.notices()).error, ['SNAPSHOT_FAILED']);
  },
};
