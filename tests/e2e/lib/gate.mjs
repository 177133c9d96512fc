// A TCP proxy that can go silent, as when a cable is cut, or slow, as when a reader does not keep up; connections stay open.
import net from 'node:net';

export async function openGate(target) {
  const pairs = new Set();
  let silent = false;
  let isShut = false;
  let attempts = 0;
  const server = net.createServer({ allowHalfOpen: true }, (client) => {
    attempts += 1;
    if (isShut) {
      client.destroy();
      return;
    }
    const upstream = net.connect(target, '127.0.0.1');
    const pair = { client, upstream };
    pairs.add(pair);
    pass(client, upstream);
    pass(upstream, client);
    if (silent) for (const socket of [client, upstream]) socket.pause();
  });
  const pass = (from, to) => {
    from.on('data', (chunk) => {
      if (!silent) to.write(chunk);
    });
    from.on('end', () => {
      if (!silent) to.end();
    });
    from.on('error', () => to.destroy());
  };
  await new Promise((done) => server.listen(0, '127.0.0.1', done));
  return {
    port: server.address().port,
    /** Connections that were asked for so far. */
    get attempts() {
      return attempts;
    },
    /** Waits until nobody asks for a connection any more. */
    async untilStill() {
      for (let before = -1; before !== attempts; ) {
        before = attempts;
        await new Promise((done) => setTimeout(done, 500));
      }
    },
    /** From now on nothing passes, in no connection, old or new. */
    cut() {
      silent = true;
      for (const { client, upstream } of pairs) for (const socket of [client, upstream]) socket.pause();
    },
    /** Every connection ends, and there is no new one. */
    shut() {
      isShut = true;
      for (const { client, upstream } of pairs) for (const socket of [client, upstream]) socket.destroy();
      pairs.clear();
    },
    /** New connections pass; the cut ones are gone, without a word to the browser before now. */
    mend() {
      silent = isShut = false;
      for (const { client, upstream } of pairs) for (const socket of [client, upstream]) socket.destroy();
      pairs.clear();
    },
    /** Nothing passes to the clients until `resume`, and nothing is lost: what they do not take waits at the server. */
    stall() {
      for (const { upstream } of pairs) upstream.pause();
    },
    resume() {
      for (const { upstream } of pairs) upstream.resume();
    },
    close() {
      for (const { client, upstream } of pairs) for (const socket of [client, upstream]) socket.destroy();
      server.close();
    },
  };
}
