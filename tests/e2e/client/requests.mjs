// Requests and subscriptions at their limits: what the server would not answer is answered by the client.
import assert from 'node:assert/strict';

const nested = (levels) => (levels === 0 ? 1 : [nested(levels - 1)]);
const codeOf = (promise) => promise.then(() => 'answered', (error) => error.code ?? /\b([A-Z_]+): /.exec(error.message)?.[1]);

export const requests = {
  '[P-12] [P-19] what no server could read is refused at once, and the connection stays': async (stage) => {
    const { peer } = await stage.open();
    assert.equal(await codeOf(peer.send('echo', nested(64))), 'TOO_DEEP');
    assert.equal(await codeOf(peer.send('echo', 'x'.repeat(1_048_576))), 'MESSAGE_TOO_LARGE');
    assert.deepEqual(await peer.send('echo', nested(62)), nested(62));
    assert.equal(peer.frames('out').filter(({ envelope }) => envelope.t === 'client_hello').length, 1);
    await stage.quiet(peer);
  },

  '[P-16] with format msgpack, what fits the limit as JSON is sent, whatever it would be packed': async (stage) => {
    const { peer } = await stage.open({ format: 'msgpack' });
    const floats = Array(230_000).fill(0.5);
    assert.deepEqual(await peer.send('echo', floats), floats);
    assert.deepEqual(peer.frames('out').filter(({ envelope }) => envelope.t === 'echo').map(({ form }) => form), ['C:']);
    await stage.quiet(peer);
  },

  '[P-28] [P-30] replies and errors find their requests, in whatever number': async (stage) => {
    const { peer } = await stage.open();
    const sent = Array.from({ length: 200 }, (_, n) => ({ n }));
    assert.deepEqual(await Promise.all(sent.map((payload) => peer.send('echo', payload))), sent);
    assert.equal(await codeOf(peer.send('nobody', 1)), 'NO_HANDLER');
    await stage.quiet(peer);
  },

  '[P-30] messages that are kept, and those that are not, go out in the order in which they were made': async (stage) => {
    const { peer } = await stage.open();
    const sent = Array.from({ length: 20 }, (_, n) => n);
    assert.deepEqual(await Promise.all(sent.map((n) => peer.send('echo', n, { keep: n % 2 === 0 }))), sent);
    assert.deepEqual(peer.frames('out').filter(({ envelope }) => envelope.t === 'echo').map(({ envelope }) => envelope.p), sent);
    await stage.quiet(peer);
  },

  '[P-32] a topic past the limit of subscriptions is refused, and comes when another is let go': async (stage) => {
    const topics = Array.from({ length: 127 }, () => stage.name('many'));
    const { peer } = await stage.open({ topics, lingerMs: 50 });
    const [last, extra] = [stage.name('last'), stage.name('extra')];
    await stage.follow(peer, 'last', last);
    await peer.follow('extra', extra);
    await stage.status(peer, 'extra', 'refused');
    assert.equal((await peer.view('extra')).code, 'TOO_MANY_SUBSCRIPTIONS');
    await peer.leave('last');
    await stage.status(peer, 'extra', 'live');
    await stage.publish([extra, 1], [last, 2], [topics[126], 3]);
    await stage.heardOf(peer, { [extra]: [1], [topics[126]]: [3] });
  },
};
