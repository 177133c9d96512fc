// Lines that go silent, break or are slow: noticed, tried again with pauses between, and judged by their round trips.
import assert from 'node:assert/strict';
import { setTimeout as sleep } from 'node:timers/promises';
import { until } from '../lib/process.mjs';

/** The fixture's heartbeat is 4 s: a ping after it, the verdict as long after that, and room for a busy machine. */
const NOTICED = 11_000;
const PAUSE = 400;
/** Above what is fair, of one round trip. */
const LATE = 1_000;

export const links = {
  '[P-26] a line that goes silent without an end is given up, and what was missed comes on the next one': async (stage) => {
    const topic = stage.name('silent');
    const { peer, gate } = await stage.open({}, { topics: [topic] });
    gate.cut();
    await stage.publish([topic, 1]);
    await until('the client to notice', async () => !(await peer.isConnected()), NOTICED);
    gate.mend();
    await stage.heard(peer, [1]);
    assert.ok(await peer.isConnected());
    await stage.quiet(peer);
  },

  '[P-41] while no connection can be made, attempts have pauses between them, and one is made as soon as it can be': async (stage) => {
    // From the first failure on the pause is the cap, so that nothing is drawn.
    const { peer, gate } = await stage.open({ backoffCapMs: PAUSE, breakerFailures: 1 });
    gate.shut();
    await until('the client to be away', async () => !(await peer.isConnected()));
    const before = gate.attempts;
    await sleep(5 * PAUSE);
    const attempts = gate.attempts - before;
    assert.ok(attempts >= 2 && attempts <= 6, `${attempts} attempts in ${5 * PAUSE} ms`);
    gate.mend();
    await until('the client to be back', () => peer.isConnected(), 5_000);
  },

  '[P-26] a line is judged by its round trips, and is offline when it has gone': async (stage) => {
    const isPong = (data) => typeof data === 'string' && JSON.parse(data).t === 'pong';
    // A timer of Node may be a millisecond early.
    const late = (data, pass) => (isPong(data) ? setTimeout(pass, LATE + 20, data) : pass(data));
    const [quick, slow] = [await stage.open(), await stage.open({}, { tamper: late })];
    const judged = (peer) => until('a round trip', async () => (({ rttMs, ...link }) => rttMs !== null && { rttMs, ...link })(await peer.link()), 8_000);
    const [{ health, rttMs }, other] = [await judged(quick.peer), await judged(slow.peer)];
    assert.ok(rttMs < LATE && other.rttMs >= LATE, `${rttMs} ms and ${other.rttMs} ms`);
    assert.deepEqual([health === 'poor' || health === 'offline', other.health], [false, 'poor']);
    slow.gate.shut();
    await until('it to be offline', async () => (await slow.peer.link()).health === 'offline');
  },
};
