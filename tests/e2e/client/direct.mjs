// Messages to users and sessions: to all of a user's connections, to one client across its connections, and to nobody else.
import assert from 'node:assert/strict';
import { ofType } from '../lib/frames.mjs';

export const direct = {
  "[P-65] [G2] messages to a user reach all of the user's clients and nobody else, and one that was away gets what was sent meanwhile": async (stage) => {
    const [ada, bob] = [stage.name('ada'), stage.name('bob')];
    const [one, two, other] = [await stage.open({ token: ada }), await stage.open({ token: ada }), await stage.open({ token: bob })];
    // The first of all messages comes while nobody has seen any.
    await stage.away(one, () => stage.send({ user: ada, payload: 1 }));
    await stage.send({ user: ada, payload: 2 });
    await stage.away(one, () => stage.send({ user: ada, payload: 3 }));
    await stage.send({ user: bob, payload: 'for bob' });
    for (const { peer } of [one, two]) {
      await stage.heardOf(peer, { [`@user:${ada}`]: [1, 2, 3] });
      await stage.quiet(peer);
      assert.deepEqual(ofType(peer.frames('out'), 'subscription'), [], 'the server brings them by itself');
    }
    await stage.heardOf(other.peer, { [`@user:${bob}`]: ['for bob'] });
  },

  '[P-66] [G2] messages to a session reach one client, also on the connection that resumes it': async (stage) => {
    const [one, other] = [await stage.open({ token: 'ada' }), await stage.open({ token: 'ada' })];
    const session = await one.peer.send('session', null);
    await stage.send({ session, payload: 1 });
    await stage.away(one, () => stage.send({ session, payload: 2 }));
    assert.equal(await one.peer.send('session', null), session, 'it is the same session');
    await stage.heardOf(one.peer, { [`@session:${session}`]: [1, 2] });
    await stage.heardOf(other.peer, {});
    await stage.quiet(one.peer);
  },
};
