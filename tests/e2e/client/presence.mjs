// Who is in a topic: clients see each other come, change and go, across short and long breaks, with several connections of a user.
import assert from 'node:assert/strict';
import { until } from '../lib/process.mjs';

/** Above the fixture's grace of 2 s. */
const LONG = 4_500;

export const presence = {
  '[P-60] [P-64] two clients see each other come, change and go, and Python sees the same': async (stage) => {
    const [room, ada, bob] = [stage.name('room:'), stage.name('ada'), stage.name('bob')];
    const [one, two] = [await stage.open({ token: ada }), await stage.open({ token: bob })];
    await stage.attend(one.peer, 'r', room, { data: { name: 'Ada', at: [1, 2] } });
    await stage.attend(two.peer, 'r', room, { data: 'Bob' });
    for (const { peer } of [one, two]) await stage.shows(peer, 'r', [[ada, { at: [1, 2], name: 'Ada' }], [bob, 'Bob']]);
    assert.deepEqual(await stage.attendance(room), [[ada, { at: [1, 2], name: 'Ada' }], [bob, 'Bob']].sort());
    await two.peer.attend('r', room, { data: 'typing' });
    await stage.shows(one.peer, 'r', [[ada, { at: [1, 2], name: 'Ada' }], [bob, 'typing']]);
    await one.peer.attend('r', room, {});
    await stage.shows(two.peer, 'r', [[bob, 'typing']]);
    await stage.shows(one.peer, 'r', [[bob, 'typing']]);
    await two.peer.quit('r');
    await stage.shows(one.peer, 'r', []);
    assert.deepEqual(await stage.attendance(room), []);
    for (const { peer } of [one, two]) await stage.quiet(peer);
  },

  '[P-62] a client that returns within the grace is never seen to be away, and sees what changed meanwhile': async (stage) => {
    const [room, ada, bob] = [stage.name('room:'), stage.name('ada'), stage.name('bob')];
    const [one, two] = [await stage.open({ token: ada }), await stage.open({ token: bob })];
    await stage.attend(one.peer, 'r', room, { data: 0 });
    await stage.attend(two.peer, 'r', room, { data: 0 });
    await stage.shows(two.peer, 'r', [[ada, 0], [bob, 0]]);
    const before = (await two.peer.told('r')).length;
    await stage.away(one, () => two.peer.attend('r', room, { data: 1 }));
    await stage.shows(one.peer, 'r', [[ada, 0], [bob, 1]]);
    await new Promise((done) => setTimeout(done, LONG));
    const shown = (await two.peer.told('r')).slice(before).map((text) => JSON.parse(text));
    assert.deepEqual(shown.map(({ members }) => members), [[[ada, 0], [bob, 1]].sort()], 'only the change of its own');
    await stage.quiet(one.peer);
  },

  '[P-62] one that is away for longer is seen to leave once, and to come back once': async (stage) => {
    const [room, ada] = [stage.name('room:'), stage.name('ada')];
    const [one, watcher] = [await stage.open({ token: ada }), await stage.open()];
    await stage.attend(one.peer, 'r', room, { data: 'here' });
    await stage.attend(watcher.peer, 'r', room);
    await stage.shows(watcher.peer, 'r', [[ada, 'here']]);
    const before = (await watcher.peer.told('r')).length;
    await stage.awayFor(one, LONG);
    await stage.shows(watcher.peer, 'r', [[ada, 'here']]);
    await stage.shows(one.peer, 'r', [[ada, 'here']]);
    const shown = (await watcher.peer.told('r')).slice(before).map((text) => JSON.parse(text).count);
    assert.deepEqual(shown, [0, 1]);
  },

  '[P-61] two clients of one user are one member, with the data set last, until the last of them leaves': async (stage) => {
    const [room, ada] = [stage.name('room:'), stage.name('ada')];
    const [one, two, watcher] = [await stage.open({ token: ada }), await stage.open({ token: ada }), await stage.open()];
    await stage.attend(watcher.peer, 'r', room);
    await stage.attend(one.peer, 'r', room, { data: 'first' });
    await stage.attend(two.peer, 'r', room, { data: 'second' });
    for (const { peer } of [one, two, watcher]) await stage.shows(peer, 'r', [[ada, 'second']]);
    await two.peer.quit('r');
    await stage.shows(watcher.peer, 'r', [[ada, 'first']]);
    await one.peer.close();
    await stage.shows(watcher.peer, 'r', [], LONG + 2_000);
    const counts = (await watcher.peer.told('r')).map((text) => JSON.parse(text)).filter(({ status }) => status === 'live').map(({ count }) => count);
    assert.ok(counts.every((count) => count <= 1), `${counts}`);
  },

  '[P-64] countOnly tells how many, and nothing of who': async (stage) => {
    const [room, ada] = [stage.name('room:'), stage.name('ada')];
    const [one, watcher] = [await stage.open({ token: ada }), await stage.open()];
    await stage.attend(watcher.peer, 'n', room, { countOnly: true });
    await stage.attend(one.peer, 'r', room, { data: 'a secret' });
    const count = (n) => until(`a count of ${n}`, async () => JSON.stringify(await watcher.peer.room('n')) === JSON.stringify({ members: [], count: n, status: 'live', code: null }), 5_000);
    await count(1);
    await one.peer.attend('r', room, { data: 'another' });
    await one.peer.attend('r', room, {});
    await count(0);
    assert.ok(!JSON.stringify(watcher.peer.frames('in')).includes('secret'));
  },

  '[P-60] who finds a topic full is told so, and comes in once somebody has gone': async (stage) => {
    const [room, users] = [stage.name('room:'), ['ada', 'bob', 'eve', 'joe'].map((name) => stage.name(name))];
    const peers = [];
    for (const user of users) peers.push((await stage.open({ token: user })).peer);
    const late = peers.pop();
    for (const peer of peers) await stage.attend(peer, 'r', room, { data: 1 });
    await late.attend('r', room, { data: 2 });
    await until('a refusal', async () => (await late.room('r')).code === 'PRESENCE_FULL');
    const { members, status } = await late.room('r');
    assert.deepEqual({ members, status }, { members: users.slice(0, 3).map((user) => [user, 1]).sort(), status: 'refused' });
    await peers[0].quit('r');
    await stage.shows(late, 'r', [[users[1], 1], [users[2], 1], [users[3], 2]], 10_000);
    assert.equal((await late.room('r')).code, null);
  },

  '[P-60] what is refused says why: a topic without presence, and data that is too large, which leaves what others see': async (stage) => {
    const [room, ada] = [stage.name('room:'), stage.name('ada')];
    const { peer } = await stage.open({ token: ada });
    await peer.attend('off', 'prices', { data: 1 });
    await until('a refusal', async () => (await peer.room('off')).code === 'PRESENCE_OFF');
    assert.equal((await peer.room('off')).status, 'refused');
    await stage.attend(peer, 'r', room, { data: 'small' });
    await peer.attend('r', room, { data: 'x'.repeat(1_100) });
    await until('a refusal', async () => (await peer.room('r')).code === 'PRESENCE_DATA_TOO_LARGE');
    assert.deepEqual(await peer.room('r'), { members: [[ada, 'small']], count: 1, status: 'live', code: 'PRESENCE_DATA_TOO_LARGE' });
  },
};
