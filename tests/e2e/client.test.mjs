// The packed client against real servers: its core in Node and its hooks in Chromium, on taken sockets and by ASGI.
import assert from 'node:assert/strict';
import { join } from 'node:path';
import { after, before, describe, test } from 'node:test';
import { direct } from './client/direct.mjs';
import { filters } from './client/filters.mjs';
import { formats } from './client/formats.mjs';
import { gaps } from './client/gaps.mjs';
import { links } from './client/links.mjs';
import { patterns } from './client/patterns.mjs';
import { presence } from './client/presence.mjs';
import { requests } from './client/requests.mjs';
import { returns } from './client/returns.mjs';
import { slow } from './client/slow.mjs';
import { snapshots } from './client/snapshots.mjs';
import { users } from './client/users.mjs';
import { builtPage } from './lib/page.mjs';
import { FIXTURES } from './lib/paths.mjs';
import { NodePeer, PagePeer } from './lib/peers.mjs';
import { freePort } from './lib/process.mjs';
import { uvicorn } from './lib/server.mjs';
import { Stage } from './lib/stage.mjs';
import { chosen } from './lib/ways.mjs';

const FOLDER = join(FIXTURES, 'client');
const SCENARIOS = { ...direct, ...formats, ...filters, ...patterns, ...presence, ...requests, ...returns, ...slow, ...snapshots, ...users };
/** At the seam of the transport, or against pauses that a browser makes too: in Node alone. */
const IN_NODE = { ...SCENARIOS, ...gaps, ...links };
const WAYS = [
  { name: 'in Node on taken sockets', transport: 'native', takeover: 'always', Peer: NodePeer, scenarios: IN_NODE },
  { name: 'in Node by ASGI', transport: 'asgi', takeover: 'never', Peer: NodePeer, scenarios: IN_NODE },
  { name: 'in Chromium, through the hooks under StrictMode', transport: 'native', takeover: 'always', Peer: PagePeer, scenarios: SCENARIOS },
];

for (const { name, transport, takeover, Peer, scenarios } of chosen(WAYS)) {
  describe(`the client ${name}`, { concurrency: false }, () => {
    let server, port;
    before(async () => {
      port = await freePort();
      const env = { TAKEOVER: takeover, ...(Peer === PagePeer ? { PAGE: await builtPage() } : {}) };
      server = await uvicorn({ name: `client-${takeover}`, folder: FOLDER, port, env });
    });
    after(async () => {
      await PagePeer.end();
      await server?.stop();
    });

    for (const [what, scenario] of Object.entries(scenarios)) {
      test(`${what} (${name})`, { timeout: 30_000 }, async () => {
        const stage = new Stage(port, Peer);
        try {
          await scenario(stage);
        } finally {
          await stage.close();
        }
      });
    }

    test(`health says ${transport}`, async () => {
      const health = await (await fetch(`http://127.0.0.1:${port}/wse/health`)).json();
      assert.equal(health.transport, transport, health.reason);
    });
  });
}
