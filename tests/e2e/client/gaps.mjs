// Frames that are lost or overtaken on the way: the client's own reordering and recovery, at the seam of its transport.
import assert from 'node:assert/strict';
import { ofType } from '../lib/frames.mjs';

const isMessage = (n) => (data) => JSON.parse(data).p?.n === n;
const many = (topic, ...list) => list.map((n) => [topic, { n }]);

export const gaps = {
  '[P-34] a message that is lost on the way is asked for again: handlers get each once, in order': async (stage) => {
    const topic = stage.name('gap');
    const [isThird, lost] = [isMessage(3), []];
    const tamper = (data, pass) => (lost.length === 0 && isThird(data) ? lost.push(data) : pass(data));
    const { peer } = await stage.open({ batch: false }, { topics: [topic], tamper });
    await stage.publish(...many(topic, 1, 2, 3, 4, 5));
    // By its own clock: the server's heartbeat, which would show the gap too, comes after 4 s.
    await stage.heard(peer, [1, 2, 3, 4, 5].map((n) => ({ n })), 2_500);
    assert.equal(lost.length, 1);
    assert.deepEqual(asked(peer), ['subscribe', 'unsubscribe', 'subscribe']);
    await stage.quiet(peer);
  },

  '[P-29] [P-34] a message that never arrives whole is passed over after a few questions, told once, and the rest goes on': async (stage) => {
    const topic = stage.name('gap');
    const isThird = isMessage(3);
    const tamper = (data, pass) => (isThird(data) ? undefined : pass(data));
    const { peer } = await stage.open({ batch: false, reorderWaitMs: 50 }, { topics: [topic], tamper });
    await stage.publish(...many(topic, 1, 2, 3, 4, 5));
    await stage.heard(peer, [1, 2, 4, 5].map((n) => ({ n })), 3_500);
    await stage.publish(...many(topic, 6));
    await stage.heard(peer, [1, 2, 4, 5, 6].map((n) => ({ n })));
    assert.deepEqual((await peer.notices()).resync, [{ topic, reason: 'unreadable' }]);
    assert.equal(asked(peer).filter((action) => action === 'subscribe').length, 1 + 4);
  },

  '[P-34] a message that was overtaken is waited for: handlers get all in order, and nothing is asked for': async (stage) => {
    const topic = stage.name('gap');
    let late = null;
    const [isSecond, isFourth] = [isMessage(2), isMessage(4)];
    const tamper = (data, pass) => {
      if (isSecond(data)) late = data;
      else pass(data);
      if (isFourth(data)) pass(late);
    };
    const { peer } = await stage.open({ batch: false }, { topics: [topic], tamper });
    await stage.publish(...many(topic, 1, 2, 3, 4, 5));
    await stage.heard(peer, [1, 2, 3, 4, 5].map((n) => ({ n })));
    assert.deepEqual(asked(peer), ['subscribe']);
    await stage.quiet(peer);
  },

  '[P-29] [P-62] a frame that is too large for it ends a connection in a way that is not leaving: the client returns, and is present all the while': async (stage) => {
    const [topic, room, ada] = [stage.name('gap'), stage.name('room:'), stage.name('ada')];
    const isFirst = isMessage(1);
    let isTooLarge = true;
    const tamper = (data, pass) => {
      if (isTooLarge && isFirst(data)) {
        isTooLarge = false;
        // Above the 16 MiB that a client takes.
        pass(' '.repeat((16 << 20) + 1));
      } else pass(data);
    };
    const [{ peer }, watcher] = [await stage.open({ batch: false, compression: false }, { topics: [topic], tamper, user: ada }), await stage.open()];
    await stage.attend(peer, 'r', room, { data: 'here' });
    await stage.attend(watcher.peer, 'r', room);
    await stage.shows(watcher.peer, 'r', [[ada, 'here']]);
    const before = (await watcher.peer.told('r')).length;
    await stage.publish(...many(topic, 1, 2));
    await stage.heard(peer, [{ n: 1 }, { n: 2 }]);
    assert.equal(ofType(peer.frames('out'), 'client_hello').length, 2);
    assert.deepEqual((await peer.notices()).error, ['MESSAGE_TOO_LARGE']);
    await stage.shows(peer, 'r', [[ada, 'here']]);
    assert.deepEqual((await watcher.peer.told('r')).slice(before), []);
  },

  '[P-33] a message that comes twice is handed over once': async (stage) => {
    const topic = stage.name('gap');
    const tamper = (data, pass) => {
      pass(data);
      if (isMessage(2)(data)) pass(data);
    };
    const { peer } = await stage.open({ batch: false }, { topics: [topic], tamper });
    await stage.publish(...many(topic, 1, 2, 3));
    await stage.heard(peer, [1, 2, 3].map((n) => ({ n })));
    await stage.quiet(peer);
  },
};

function asked(peer) {
  return ofType(peer.frames('out'), 'subscription').map(({ envelope }) => envelope.p.action);
}
