// Filters: what the client asks for, what the server then sends, and what each component shows.
import assert from 'node:assert/strict';
import { messagesOf, ofType } from '../lib/frames.mjs';
import { until } from '../lib/process.mjs';

const CHEAP = { price: { $lt: 10 } };
const DEAR = { price: { $gt: 100 } };
const prices = (topic, ...list) => list.map((price) => [topic, { price }]);
const shown = ({ data }) => data?.price;

export const filters = {
  '[P-23] [P-70] two filters on one topic: only what one of them passes is sent, and each component shows its own': async (stage) => {
    const topic = stage.name('prices');
    const { peer } = await stage.open();
    await stage.follow(peer, 'cheap', topic, CHEAP);
    const answers = () => ofType(peer.frames('in'), 'subscription_update').length;
    const before = answers();
    await stage.follow(peer, 'dear', topic, DEAR);
    await until('the answer for both filters', () => answers() > before);
    await stage.publish(...prices(topic, 1, 50, 200, 60, 2, 70));
    await stage.heard(peer, [{ price: 1 }, { price: 200 }, { price: 2 }]);
    await until('what is shown', async () => shown(await peer.view('cheap')) === 2 && shown(await peer.view('dear')) === 200, 2_000);
    const sent = messagesOf(peer.frames('in'), topic);
    assert.deepEqual(sent.map(({ seq, ps }) => [seq, ps ?? seq - 1]), [[1, 0], [3, 1], [5, 3]], 'on the wire: seq, and [P-34] what passed before');
    await stage.quiet(peer);
  },

  '[P-25] a filter that changes loses nothing, repeats nothing, and asks for its own topic alone': async (stage) => {
    const [topic, other] = [stage.name('prices'), stage.name('other')];
    const { peer } = await stage.open({}, { topics: [other] });
    await stage.follow(peer, 'row', topic, CHEAP);
    await stage.publish(...prices(topic, 1, 50));
    await stage.heard(peer, [{ price: 1 }]);
    const before = ofType(peer.frames('out'), 'subscription').length;
    await peer.follow('row', topic, DEAR);
    await until('the question', () => ofType(peer.frames('out'), 'subscription').length > before);
    await stage.publish(...prices(topic, 2, 200));
    await stage.heard(peer, [{ price: 1 }, { price: 200 }]);
    assert.deepEqual(ofType(peer.frames('out'), 'subscription').slice(before).map(({ envelope }) => envelope.p.topics), [[topic]]);
    await stage.quiet(peer);
  },

  '[P-24] away: what passes the filter is recovered, and nothing else is sent': async (stage) => {
    const topic = stage.name('prices');
    const { peer, gate } = await stage.open();
    await stage.follow(peer, 'row', topic, CHEAP);
    await stage.publish(...prices(topic, 1, 50));
    await stage.heard(peer, [{ price: 1 }]);
    await stage.away({ peer, gate }, () => stage.publish(...prices(topic, 2, 60, 3, 70)));
    await stage.heard(peer, [{ price: 1 }, { price: 2 }, { price: 3 }]);
    await stage.status(peer, 'row', 'recovered');
    assert.deepEqual(ofType(peer.frames('out'), 'client_hello').at(-1).envelope.p.filters, { [topic]: CHEAP });
    assert.deepEqual(messagesOf(peer.frames('in'), topic).map(({ p }) => p.price), [1, 2, 3]);
    await stage.quiet(peer);
  },

  '[P-79] a filter that cannot be compiled is refused with INVALID_FILTER where it is used, and the others go on': async (stage) => {
    const [topic, other] = [stage.name('prices'), stage.name('prices')];
    const { peer } = await stage.open({}, { topics: [other] });
    await peer.follow('wrong', topic, { price: { $near: 1 } });
    await stage.status(peer, 'wrong', 'refused');
    assert.equal((await peer.view('wrong')).code, 'INVALID_FILTER');
    // That is the client's own word; the server's comes as well, unless another request takes its place before it is answered.
    const errors = async () => (await peer.notices()).error;
    await until('the answer of the server', async () => (await errors()).length > 0);
    // Beside one that can be, on the same topic.
    await stage.follow(peer, 'right', topic, CHEAP);
    await stage.publish([other, 0], ...prices(topic, 1, 50));
    await stage.heardOf(peer, { [other]: [0], [topic]: [{ price: 1 }] });
    assert.deepEqual([(await peer.view('wrong')).code, shown(await peer.view('right'))], ['INVALID_FILTER', 1]);
    assert.deepEqual(await errors(), ['INVALID_FILTER']);
  },

  '[P-38] a beacon moves the place on a filtered stream: who returns is live at the top, and nothing is replayed': async (stage) => {
    const topic = stage.name('prices');
    const { peer, gate } = await stage.open();
    await stage.follow(peer, 'row', topic, CHEAP);
    await stage.publish(...prices(topic, 1));
    await stage.heard(peer, [{ price: 1 }]);
    const top = await stage.publish(...prices(topic, 50, 60, 70));
    const beacons = () => ofType(peer.frames('in'), 'beacon').filter(({ envelope }) => envelope.tp === topic);
    await until('the beacon', () => beacons().some(({ envelope }) => envelope.seq === top && envelope.ps === 1), 4_000);
    await stage.away({ peer, gate }, async () => undefined);
    await stage.status(peer, 'row', 'live');
    const [before, hello] = ofType(peer.frames('out'), 'client_hello');
    assert.deepEqual([before.envelope.p.positions, hello.envelope.p.positions[topic].seq], [undefined, top]);
    await stage.publish(...prices(topic, 2));
    await stage.heard(peer, [{ price: 1 }, { price: 2 }]);
    assert.deepEqual(messagesOf(peer.frames('in'), topic).map(({ p }) => p.price), [1, 2]);
    await stage.quiet(peer);
  },
};
