// A TCP proxy that does to connections what networks do: cut, stall, delay, throttle, go half-open, refuse.
import net from 'node:net';

const THROTTLE_TICK_MS = 20;

/** Opens the proxy in front of a port of this machine. */
export async function openProxy(target) {
  const network = { pairs: new Set(), stalled: false, refusing: false, isGone: false, delayMs: 0, bytesPerTick: Infinity, bytesBeforeCut: Infinity, turns: Infinity, cuts: [], wasSlow: false, held: null, breaking: null };
  const server = net.createServer((client) => {
    if (network.refusing || network.isGone) return client.resetAndDestroy();
    const upstream = net.connect({ port: target, host: '127.0.0.1', noDelay: true });
    client.setNoDelay(true);
    const pair = { client, upstream, silent: false, heard: true, turns: 0, held: null };
    network.pairs.add(pair);
    pass(network, pair, client, upstream);
    pass(network, pair, upstream, client);
    const gone = () => {
      if (pair.silent) return;
      network.pairs.delete(pair);
    };
    client.on('close', gone);
    upstream.on('close', gone);
  });
  await new Promise((done) => server.listen(0, '127.0.0.1', done));
  return { port: server.address().port, cuts: network.cuts, wasSlow: () => network.wasSlow, ...faults(network), close: () => (end(network), server.close()) };
}

function faults(network) {
  return {
    /** Every connection is reset; `cuts` has the times of this, and of when connections fell silent. */
    cut: () => end(network),
    /** Every connection is reset as soon as so many more bytes have passed to a client. */
    cutAfter: (bytes) => (network.bytesBeforeCut = bytes),
    /** Nothing passes until `heal`, then all of it. */
    stall: () => (network.stalled = true),
    /** The connections that are there lose everything from now on and are never closed; new ones pass. */
    halfOpen: () => silence(network),
    /** Everything comes later by so much. */
    delay: (ms) => (network.delayMs = ms),
    /** Not more than so much passes, in each direction of each connection; the sender is held back. */
    throttle: (bytesPerSecond) => Object.assign(network, { bytesPerTick: Math.ceil((bytesPerSecond * THROTTLE_TICK_MS) / 1_000), wasSlow: true }),
    /** Each client may speak so many times on a connection: once, and again each time that it has been answered. What it says after that is lost. */
    letSpeak: (times) => (network.turns = times),
    /** What is answered to a question that has this text does not pass until `heal`, nor what follows it there; resolves when the first such answer has come. */
    holdAnswers: (text) => new Promise((came) => (network.held = { text, came })),
    /** As soon as a question has this text every connection is reset, and new ones are until `heal`; the question does not pass. Resolves then. */
    breakAt: (text) => new Promise((came) => (network.breaking = { text, came })),
    /** New connections are reset. */
    refuse: () => (network.refusing = true),
    /** Every connection is reset, and new ones are until `heal`. */
    away() {
      network.refusing = true;
      end(network);
    },
    /** The network is gone for good: every connection is reset, or, where nobody is told, loses everything from now on. */
    vanish(isSilent) {
      network.isGone = true;
      if (isSilent) silence(network);
      else end(network);
    },
    /** The network is well again; what it lost stays lost. */
    heal() {
      Object.assign(network, { stalled: false, refusing: false, delayMs: 0, bytesPerTick: Infinity, held: null, breaking: null });
    },
  };
}

/** From here on neither end sees what the other does, nor that it closes. */
function silence(network) {
  network.cuts.push(Date.now());
  network.pairs.forEach((pair) => (pair.silent = true));
}

function end(network) {
  network.cuts.push(Date.now());
  for (const { client, upstream } of network.pairs) for (const socket of [client, upstream]) socket.resetAndDestroy();
  network.pairs.clear();
}

/** Moves bytes one way, one chunk after the other, so that order holds whatever the network does. */
async function pass(network, pair, from, to) {
  from.on('error', () => undefined);
  from.on('close', () => pair.silent || to.destroy());
  try {
    for await (const chunk of from) await carry(network, pair, chunk, to);
    if (!pair.silent) to.end();
  } catch {
    // The other end is gone; `close` has told it.
  }
}

async function carry(network, pair, chunk, to) {
  if (network.delayMs > 0) await sleep(network.delayMs);
  if (!isInTurn(network, pair, to) || breaks(network, pair, chunk, to)) return;
  await heldBack(network, pair, chunk, to);
  for (let at = 0; at < chunk.length; ) {
    while (network.stalled) await sleep(THROTTLE_TICK_MS);
    if (pair.silent) return;
    const piece = chunk.subarray(at, at + Math.min(network.bytesPerTick, chunk.length, to === pair.client ? network.bytesBeforeCut : Infinity));
    at += piece.length;
    if (to === pair.client && (network.bytesBeforeCut -= piece.length) <= 0) {
      to.write(piece, () => end(network));
      network.bytesBeforeCut = Infinity;
      return;
    }
    if (!to.write(piece)) await drained(to);
    if (network.bytesPerTick !== Infinity) await sleep(THROTTLE_TICK_MS);
  }
}

/** Counts how often the client has spoken after it was answered: its round trips. */
function isInTurn(network, pair, to) {
  const speaks = to === pair.upstream;
  if (speaks && pair.heard) pair.turns += 1;
  pair.heard = !speaks;
  return !speaks || pair.turns <= network.turns;
}

/** Ends all connections at a question that was waited for. */
function breaks(network, pair, chunk, to) {
  const { breaking } = network;
  if (breaking === null || to !== pair.upstream || !chunk.includes(breaking.text)) return false;
  Object.assign(network, { breaking: null, refusing: true });
  end(network);
  breaking.came();
  return true;
}

/** Marks the connection of a question whose answer is to be held, and holds it. */
async function heldBack(network, pair, chunk, to) {
  if (to === pair.upstream) {
    if (network.held !== null && chunk.includes(network.held.text)) pair.held = network.held;
    return;
  }
  if (pair.held === null || pair.held !== network.held) return;
  pair.held.came();
  while (pair.held === network.held) await sleep(THROTTLE_TICK_MS);
}

function drained(socket) {
  return new Promise((done) => {
    if (socket.destroyed) return done();
    socket.once('drain', done);
    socket.once('close', done);
  });
}

function sleep(ms) {
  return new Promise((done) => setTimeout(done, ms));
}
