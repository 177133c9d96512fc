// Another token: what one user saw is not shown to the next, whether the server can be reached or not, and the same user has it back.
import assert from 'node:assert/strict';
import { until } from '../lib/process.mjs';

/** All that a page shows of one user: a topic's latest payload, who is in a room, and messages that wait. */
async function shown(peer) {
  const [{ data = null }, { members }, unsent] = [await peer.view('view'), await peer.room('r'), await peer.unsent()];
  return { data, members, unsent };
}

const NOTHING = { data: null, members: [], unsent: [] };

async function shows(peer, wanted) {
  await until(`${JSON.stringify(wanted)} to be shown`, async () => JSON.stringify(await shown(peer)) === JSON.stringify(wanted), 10_000).catch(() => undefined);
  assert.deepEqual(await shown(peer), wanted);
}

/** Ada sees a message and herself, loses the network, and sends something. */
async function ada(stage) {
  const [topic, room, user] = [stage.name('news:'), stage.name('room:'), stage.name('ada')];
  const { peer, gate } = await stage.open({}, { user });
  await stage.follow(peer, 'view', topic);
  await stage.attend(peer, 'r', room, { data: 'here' });
  await stage.publish([topic, { n: 1 }]);
  await shows(peer, { data: { n: 1 }, members: [[user, 'here']], unsent: [] });
  gate.cut();
  const reply = peer.send('echo', 'of ada').catch((error) => error);
  await shows(peer, { data: { n: 1 }, members: [[user, 'here']], unsent: ['of ada'] });
  return { topic, user, peer, gate, reply };
}

export const users = {
  '[G7] another token hides what the user before saw while the server cannot be reached, and the next user never sees it': async (stage) => {
    const { peer, gate, reply } = await ada(stage);
    const bob = stage.name('bob');
    await peer.sign(bob);
    await shows(peer, NOTHING);
    await new Promise((done) => setTimeout(done, 500));
    assert.deepEqual(await shown(peer), NOTHING);
    gate.mend();
    await shows(peer, { data: null, members: [[bob, 'here']], unsent: [] });
    assert.match(String(await reply), /another user/i);
    await stage.heard(peer, [{ n: 1 }]);
  },

  '[G7] [G2] the same user with another token has it back, and what was missed': async (stage) => {
    const { topic, user, peer, gate, reply } = await ada(stage);
    await peer.sign(`${user}#again`);
    await shows(peer, NOTHING);
    gate.mend();
    await shows(peer, { data: { n: 1 }, members: [[user, 'here']], unsent: [] });
    assert.equal(await reply, 'of ada');
    gate.cut();
    await peer.sign(`${user}#once more`);
    await stage.publish([topic, { n: 2 }]);
    gate.mend();
    await shows(peer, { data: { n: 2 }, members: [[user, 'here']], unsent: [] });
    await stage.heard(peer, [{ n: 1 }, { n: 2 }]);
    await stage.quiet(peer);
  },

  '[G7] [G2] without a token nothing is shown, and who signs in again gets what was missed': async (stage) => {
    const { topic, user, peer, gate, reply } = await ada(stage);
    await peer.sign(null);
    await shows(peer, NOTHING);
    await stage.publish([topic, { n: 2 }]);
    gate.mend();
    await peer.sign(user);
    await shows(peer, { data: { n: 2 }, members: [[user, 'here']], unsent: [] });
    assert.equal(await reply, 'of ada');
    await stage.heard(peer, [{ n: 1 }, { n: 2 }]);
    await stage.quiet(peer);
  },
};
