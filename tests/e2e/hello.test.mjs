// The packed client and a server that compresses whatever it may: the hello, which says so, is not among it.
import assert from 'node:assert/strict';
import { join } from 'node:path';
import { after, before, describe, test } from 'node:test';
import { FIXTURES } from './lib/paths.mjs';
import { NodePeer } from './lib/peers.mjs';
import { freePort } from './lib/process.mjs';
import { uvicorn } from './lib/server.mjs';
import { Stage } from './lib/stage.mjs';

for (const takeover of ['always', 'never']) {
  describe(`a server that compresses frames of any size, takeover ${takeover}`, { concurrency: false }, () => {
    let server, port;
    before(async () => {
      port = await freePort();
      server = await uvicorn({ name: `hello-${takeover}`, folder: join(FIXTURES, 'client'), port, env: { TAKEOVER: takeover, COMPRESSION_FROM: '1' } });
    });
    after(async () => server?.stop());

    for (const format of ['json', 'msgpack']) {
      test(`[P-9] its hello is text, and the client reads what follows in ${format}`, { timeout: 30_000 }, async () => {
        const stage = new Stage(port, NodePeer);
        try {
          const topic = stage.name('hello');
          const { peer } = await stage.open({ format }, { topics: [topic] });
          const value = { text: 'all alike '.repeat(20) };
          await stage.publish([topic, value]);
          await stage.heard(peer, [value]);
          const [hello, ...others] = peer.frames('in');
          assert.deepEqual([hello.form, hello.envelope.t], ['text', 'server_hello']);
          assert.ok(others.some(({ form }) => form.startsWith('C:')), 'what follows is compressed');
          await stage.quiet(peer);
        } finally {
          await stage.close();
        }
      });
    }
  });
}
