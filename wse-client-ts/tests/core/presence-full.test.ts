// A client in a topic that is full, or that lost its place, and what is told of what it leaves.
import { describe, expect, it } from 'vitest';
import { connected, said } from './presence-client';

describe('entering', () => {
  it('of a full topic is tried again, less often each time, at least once a minute and on every connection, until there is room', async () => {
    const { client, clock, server, state } = await connected();
    server.refusedTopics.set('room', 'PRESENCE_FULL');
    client.presence.enter('room', 'x');
    await clock.advance(0);
    expect(state()).toMatchObject({ status: 'refused', error: { code: 'PRESENCE_FULL', topic: 'room' }, id: null });
    const tries: number[] = [];
    for (let second = 1; second <= 300; second += 1) {
      const before = said({ server }).length;
      await clock.advance(1_000);
      if (said({ server }).length > before) tries.push(second);
    }
    // Each is the middle of its wait: of 10, 20, 40 and 60 s.
    expect(tries).toEqual([5, 15, 35, 65, 95, 125, 155, 185, 215, 245, 275]);
    server.drop();
    await clock.advance(4_000);
    expect(said({ server })).toHaveLength(1);
    server.refusedTopics.clear();
    await clock.advance(60_000);
    expect([said({ server }).at(-1), said({ server }).length]).toEqual([{ action: 'enter', topic: 'room', data: 'x' }, 2]);
    expect(state()).toMatchObject({ status: 'live', error: null, id: 'user-ada' });
    server.refusedTopics.set('room', 'PRESENCE_FULL');
    client.presence.update('room', 'y');
    await clock.advance(0);
    expect(state()).toMatchObject({ status: 'refused', error: { code: 'PRESENCE_FULL' } });
    await clock.advance(5_000);
    expect(said({ server }).slice(2)).toEqual([{ action: 'update', topic: 'room', data: 'y' }, { action: 'enter', topic: 'room', data: 'y' }]);
  });

  it('of a full topic is tried again by each client at another time', async () => {
    const waits = await Promise.all(
      [0.1, 0.4, 0.9].map(async (draw) => {
        const { client, clock, server, environment } = await connected();
        environment.draw = draw;
        server.refusedTopics.set('room', 'PRESENCE_FULL');
        client.presence.enter('room', 'x');
        await clock.advance(0);
        for (let ms = 500; ms <= 60_000; ms += 500) {
          await clock.advance(500);
          if (said({ server }).length > 1) return ms;
        }
        return Infinity;
      }),
    );
    expect(waits).toEqual([1_000, 4_000, 9_000]);
  });

  it('that the server takes back unasked is refused, told, and tried again; other errors that name the topic mean nothing', async () => {
    const { client, clock, server, room, state, errors } = await connected();
    const takeBack = (code: string, topic: string): void => server.last.send({ t: 'error', c: 'WSE', p: { code, message: 'by the test', topic } });
    client.presence.watch('room');
    client.presence.enter('room', 'x');
    await clock.advance(0);
    const told: unknown[] = [];
    client.onNotice('presence', (notice) => told.push(notice));
    takeBack('PRESENCE_FULL', 'hall');
    takeBack('SNAPSHOT_FAILED', 'room');
    takeBack('UNAVAILABLE', 'room');
    expect([told, state().status]).toEqual([[], 'live']);
    room.drop(() => true);
    told.length = 0;
    takeBack('PRESENCE_FULL', 'room');
    expect(state()).toMatchObject({ members: [], status: 'refused', error: { code: 'PRESENCE_FULL', topic: 'room' }, id: null });
    expect([told, errors.length]).toEqual([[{ topic: 'room' }], 4]);
    await clock.advance(4_999);
    expect(said({ server })).toHaveLength(1);
    await clock.advance(1);
    expect(said({ server })[1]).toEqual({ action: 'enter', topic: 'room', data: 'x' });
    expect(state()).toMatchObject({ status: 'live', error: null, count: 1 });
    client.presence.leave('room');
    await clock.advance(0);
    expect(said({ server })[2]).toEqual({ action: 'leave', topic: 'room' });
  });

  it('that is taken back while other data is on its way stands as that is answered', async () => {
    const { client, clock, server, state } = await connected();
    client.presence.enter('room', 'x');
    await clock.advance(0);
    server.mode = 'mute';
    client.presence.update('room', 'y');
    await clock.advance(0);
    server.last.send({ t: 'error', c: 'WSE', p: { code: 'PRESENCE_FULL', message: 'by the test', topic: 'room' } });
    expect(state().status).toBe('refused');
    server.last.send({ t: 'reply', c: 'WSE', cid: server.last.of('presence')[1]!.cid!, p: { id: 'own' } });
    expect(state()).toMatchObject({ status: 'live', error: null });
    await clock.advance(10_000);
    expect(said({ server })).toHaveLength(2);
  });

  it('stands as the connection that it moved to says, whatever the other one takes back', async () => {
    const { client, clock, server, state } = await connected();
    client.presence.enter('room', 'x');
    server.on('slow', () => undefined);
    client.send('slow', null, { keep: false }).catch(() => undefined);
    await clock.advance(0);
    const [first] = server.open;
    server.move();
    await clock.advance(500);
    expect([server.open.length, state().status]).toEqual([2, 'live']);
    first?.send({ t: 'error', c: 'WSE', p: { code: 'PRESENCE_FULL', message: 'by the test', topic: 'room' } });
    expect(state().status).toBe('live');
  });

  it('and leaving are told to who watches, also what ends by the linger, and nothing is kept of it', async () => {
    const { client, clock, server, state } = await connected();
    const told: string[] = [];
    client.onNotice('presence', ({ topic }) => told.push(`${topic} ${client.presence.state(topic).status}`));
    client.presence.watch('room');
    await clock.advance(0);
    told.length = 0;
    server.refusedTopics.set('room', 'PRESENCE_DATA_TOO_LARGE');
    client.presence.enter('room', 'x');
    expect(told).toEqual(['room pending']);
    await clock.advance(0);
    client.presence.leave('room');
    expect([told, state()]).toEqual([['room pending', 'room refused', 'room live'], expect.objectContaining({ status: 'live', error: null, id: null })]);
    server.refusedTopics.clear();
    const own = client.presence.hold('room');
    own.set('y');
    await clock.advance(0);
    told.length = 0;
    own.leave({ lingers: true });
    await clock.advance(500);
    expect([told, state().id]).toEqual([[], 'user-ada']);
    await clock.advance(1_500);
    expect([told.at(-1), state().id]).toEqual(['room live', null]);
    for (let n = 0; n < 100; n += 1) {
      client.presence.enter(`hall-${n}`);
      client.presence.leave(`hall-${n}`);
    }
    await clock.advance(0);
    told.length = 0;
    client.subscribe('else');
    await clock.advance(0);
    expect(told).toEqual([]);
  });

  it('is told of every topic that changes, though a listener looks at others', async () => {
    const { client, clock, server } = await connected();
    for (const topic of ['a', 'b']) client.presence.enter(topic);
    await clock.advance(0);
    const told: string[] = [];
    client.onNotice('presence', ({ topic }) => {
      told.push(topic);
      for (const other of ['a', 'b']) client.presence.state(other);
    });
    server.drop();
    expect(told).toEqual(['a', 'b']);
  });
});
