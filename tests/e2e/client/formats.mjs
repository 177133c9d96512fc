// Formats, compression and batches: what the wire carries, and that handlers notice nothing of it.
import assert from 'node:assert/strict';
import { messagesOf, ofType } from '../lib/frames.mjs';

const VALUES = [1, -7, 2.5, 1e300, 9_007_199_254_740_991, 'ä€😀', '', null, true, [[]], { a: { 'b.c': [1, null] } }];
const LARGE = { rows: Array.from({ length: 80 }, (_, id) => ({ id, name: `row ${id}` })) };
const SMALL = 'x';

/** Forms of frames, each once. */
const forms = (frames) => [...new Set(frames.map(({ form }) => form))].sort();

export const formats = {
  '[P-9] by default frames are JSON text: values arrive as they are, and a request is answered': async (stage) => {
    const topic = stage.name('json');
    const { peer } = await stage.open({}, { topics: [topic] });
    for (const [at, value] of VALUES.entries()) {
      await stage.publish([topic, value]);
      await stage.heard(peer, VALUES.slice(0, at + 1)); // together they would be large enough to be compressed
    }
    assert.deepEqual(await peer.send('echo', VALUES), VALUES);
    assert.deepEqual([forms(peer.frames('in')), forms(peer.frames('out'))], [['text'], ['text']]);
    assert.deepEqual(ofType(peer.frames('out'), 'client_hello')[0].envelope.p.formats, ['json']);
    await stage.quiet(peer);
  },

  '[P-16] format msgpack: every frame after the hellos is M:, both ways, and values arrive as they are': async (stage) => {
    const topic = stage.name('msgpack');
    const { peer } = await stage.open({ format: 'msgpack', compression: false }, { topics: [topic] });
    await stage.publish(...VALUES.map((value) => [topic, value]));
    await stage.heard(peer, VALUES);
    assert.deepEqual(await peer.send('echo', VALUES), VALUES);
    const [[hello, ...received], [greeting, ...sent]] = [peer.frames('in'), peer.frames('out')];
    assert.deepEqual([hello.form, greeting.form, forms(received), forms(sent)], ['text', 'text', ['M:'], ['M:']]);
    assert.deepEqual(messagesOf(received, topic).map(({ p }) => p), VALUES);
    assert.deepEqual(sent.find(({ envelope }) => envelope.t === 'echo').envelope.p, VALUES);
    await stage.quiet(peer);
  },

  ...Object.fromEntries(
    [['json', 'text', 'C:'], ['msgpack', 'M:', 'C:M:']].map(([format, plain, compressed]) => [
      `[P-17] compression with format ${format}: large frames are ${compressed} and smaller, both ways; small ones stay ${plain}`,
      async (stage) => {
        const topic = stage.name('zlib');
        // In a batch they would be one frame.
        const { peer } = await stage.open({ format, batch: false }, { topics: [topic] });
        await stage.publish([topic, SMALL]);
        await stage.publish([topic, LARGE]);
        await stage.heard(peer, [SMALL, LARGE]);
        assert.deepEqual([await peer.send('echo', SMALL), await peer.send('echo', LARGE)], [SMALL, LARGE]);
        assert.deepEqual(messagesOf(peer.frames('in'), topic).map(({ form }) => form), [plain, compressed]);
        for (const way of ['in', 'out']) {
          const echoes = peer.frames(way).filter(({ envelope }) => envelope.t === (way === 'out' ? 'echo' : 'reply'));
          assert.deepEqual(echoes.map(({ form }) => form), [plain, compressed]);
          assert.ok(echoes[1].bytes < JSON.stringify(LARGE).length / 2, `${echoes[1].bytes} bytes ${way}`);
        }
        await stage.quiet(peer);
      },
    ]),
  ),

  '[P-9] compression: false and batch: false are not offered, and no frame is either': async (stage) => {
    const topic = stage.name('plain');
    const { peer } = await stage.open({ compression: false, batch: false }, { topics: [topic] });
    const many = Array.from({ length: 100 }, (_, n) => ({ n, ...LARGE }));
    await stage.publish(...many.map((payload) => [topic, payload]));
    await stage.heard(peer, many);
    assert.deepEqual([forms(peer.frames('in')), ofType(peer.frames('in'), 'batch')], [['text'], []]);
  },

  ...Object.fromEntries(
    ['json', 'msgpack'].map((format) => [
      `[P-37] batches with format ${format}: 300 messages come in fewer frames, and handlers get each once, in order`,
      async (stage) => {
        const topic = stage.name('batch');
        const { peer } = await stage.open({ format }, { topics: [topic] });
        const many = Array.from({ length: 300 }, (_, n) => n);
        await stage.publish(...many.map((n) => [topic, n]));
        await stage.heard(peer, many);
        assert.deepEqual((await peer.seen()).map(([, seq]) => seq), many.map((n) => n + 1));
        const batches = ofType(peer.frames('in'), 'batch');
        assert.ok(batches.length > 0 && batches.length < 50, `${batches.length} batches`);
        assert.ok(batches.reduce((sum, { envelope }) => sum + envelope.p.length, 0) > 250);
        await stage.quiet(peer);
      },
    ]),
  ),
};
