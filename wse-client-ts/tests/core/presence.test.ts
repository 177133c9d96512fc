// Presence in the core: members from state and changes, entering across connections, what is sent and what is not.
import { describe, expect, it } from 'vitest';
import { createClient } from '../../src/core';
import { createTestClient, MemoryStorage } from '../../src/testing';
import { connected, ids, said } from './presence-client';

describe('watching', () => {
  it('shows who is there, who comes, changes and goes, in the order in which they came', async () => {
    const { client, clock, room, state } = await connected();
    room.enter('bob', { name: 'Bob' }, 'bob');
    expect(state()).toEqual({ members: [], count: 0, status: 'pending', error: null, id: null });
    client.presence.watch('room');
    await clock.advance(0);
    expect(state()).toEqual({ members: [{ id: 'bob', user: 'bob', data: { name: 'Bob' } }], count: 1, status: 'live', error: null, id: null });
    room.enter('eve');
    room.enter('bob', { name: 'Robert' }, 'bob');
    expect(state().members).toEqual([{ id: 'bob', user: 'bob', data: { name: 'Robert' } }, { id: 'eve', user: null, data: null }]);
    room.leave('bob');
    expect([ids(state()), state().count]).toEqual([['eve'], 1]);
  });

  it('ignores changes that are in the state already, and of another epoch ignores none', async () => {
    const { client, clock, server, state } = await connected();
    const log = server.log('@presence:room');
    // Read a moment after the place of the subscription: two changes that follow are in it.
    log.state = () => ({ members: [{ id: 'bob', user: null, data: 2 }], count: 1, e: 'e1', seq: 2 });
    client.presence.watch('room');
    await clock.advance(0);
    server.publish('@presence:room', { set: [{ id: 'eve', user: null, data: 0 }], gone: [], count: 5 }, 'presence');
    server.publish('@presence:room', { set: [{ id: 'bob', user: null, data: 1 }], gone: ['eve'], count: 4 }, 'presence');
    expect(state()).toMatchObject({ members: [{ id: 'bob', data: 2 }], count: 1 });
    server.publish('@presence:room', { set: [{ id: 'bob', user: null, data: 3 }], gone: [], count: 1 }, 'presence');
    expect(state()).toMatchObject({ members: [{ id: 'bob', data: 3 }], count: 1 });
  });

  it('is one object until something changes, and every change is told with its topic', async () => {
    const { client, clock, room, state } = await connected();
    const told: unknown[] = [];
    client.onNotice('presence', (notice) => told.push(notice));
    client.presence.watch('room');
    await clock.advance(0);
    expect(told).toContainEqual({ topic: 'room' });
    const before = state();
    expect(state()).toBe(before);
    await clock.advance(60_000);
    expect(state()).toBe(before);
    told.length = 0;
    room.enter('bob');
    expect(told).toEqual([{ topic: 'room' }]);
    const after = state();
    expect([after === before, after.members === state().members]).toEqual([false, true]);
  });

  it('with countOnly knows how many, and hears nothing of who', async () => {
    const { client, clock, server, room, state } = await connected();
    room.enter('bob');
    client.presence.watch('room', { countOnly: true });
    await clock.advance(0);
    room.enter('eve');
    room.enter('eve', 'other data');
    expect(state(true)).toEqual({ members: [], count: 2, status: 'live', error: null, id: null });
    expect([...server.last.topics]).toEqual(['@count:room']);
  });

  it('goes on after a lost connection from its place, and after a longer loss from the state; meanwhile it is pending with what was known', async () => {
    const { client, clock, server, room, state } = await connected();
    const resyncs: unknown[] = [];
    client.onNotice('resync', (notice) => resyncs.push(notice));
    client.presence.watch('room');
    room.enter('bob');
    await clock.advance(0);
    server.drop();
    room.enter('eve');
    await clock.advance(0);
    expect([state().status, ids(state())]).toEqual(['pending', ['bob']]);
    await clock.advance(5_000);
    expect([state().status, ids(state())]).toEqual(['live', ['bob', 'eve']]);
    expect(server.last.of('client_hello')[0]?.p).toMatchObject({ positions: { '@presence:room': { e: 'e1', seq: 1 } } });
    server.drop();
    room.leave('bob');
    room.enter('kim');
    server.log('@presence:room').restart('e2');
    await clock.advance(5_000);
    expect([state().status, ids(state())]).toEqual(['live', ['eve', 'kim']]);
    // The application has nothing to load.
    expect(resyncs).toEqual([]);
  });

  it('asks for the state again where changes are lost and none is promised, and where it failed', async () => {
    const { client, clock, server, room, state, errors } = await connected();
    const log = server.log('@presence:room');
    const { state: good } = log;
    log.state = () => {
      throw new Error('the bus is away');
    };
    room.enter('bob');
    client.presence.watch('room');
    await clock.advance(0);
    expect(state()).toMatchObject({ members: [], status: 'pending', error: { code: 'SNAPSHOT_FAILED' } });
    expect(errors.map(({ code }) => code)).toEqual(['SNAPSHOT_FAILED']);
    log.state = good;
    await clock.advance(5_000);
    expect(state()).toMatchObject({ members: [{ id: 'bob' }], status: 'live', error: null });
    server.last.send({ t: 'subscription_update', c: 'WSE', p: { topics: [{ tp: '@presence:room', status: 'resync', reason: 'history', e: 'e1', seq: 1 }] } });
    await clock.advance(0);
    expect(server.last.of('snapshot_request').map(({ p }) => p)).toEqual([{ topics: ['@presence:room'] }, { topics: ['@presence:room'] }]);
    expect(state().status).toBe('live');
  });

  it('is shared by all who watch, lingers after the last of them, and is then forgotten', async () => {
    const { client, clock, server, room, state } = await connected({ lingerMs: 1_000 });
    room.enter('bob');
    const stops = [client.presence.watch('room'), client.presence.watch('room')];
    await clock.advance(0);
    stops[0]?.();
    stops[0]?.();
    await clock.advance(5_000);
    expect([[...server.last.topics], state().count]).toEqual([['@presence:room'], 1]);
    stops[1]?.();
    await clock.advance(500);
    stops.push(client.presence.watch('room'));
    expect(ids(state())).toEqual(['bob']);
    room.enter('eve');
    await clock.advance(5_000);
    expect([server.last.of('subscription'), ids(state())]).toEqual([server.last.of('subscription').slice(0, 1), ['bob', 'eve']]);
    stops[2]?.();
    await clock.advance(2_000);
    expect([[...server.last.topics], state()]).toEqual([[], { members: [], count: 0, status: 'pending', error: null, id: null }]);
  });

  it('that is refused says why; the listeners of events and patterns hear nothing of presence', async () => {
    const { client, clock, server, room, state, errors } = await connected({ topics: ['room'] });
    const heard: unknown[] = [];
    client.on('*', (payload) => heard.push(payload));
    client.on('presence', (payload) => heard.push(payload));
    client.onNotice('snapshot', (notice) => heard.push(notice));
    client.presence.watch('room');
    await clock.advance(0);
    room.enter('bob');
    expect([heard, state().count]).toEqual([[], 1]);
    server.refusedTopics.set('closed', 'PRESENCE_OFF');
    client.presence.watch('closed');
    await clock.advance(0);
    expect(client.presence.state('closed')).toMatchObject({ status: 'refused', error: { code: 'PRESENCE_OFF' }, members: [] });
    expect(errors.map(({ code }) => code)).toEqual(['PRESENCE_OFF']);
  });

  it('shows nothing of what another user saw', async () => {
    const { client, clock, server, room, state } = await connected({ token: 'ada' });
    client.presence.watch('room');
    room.enter('bob');
    await clock.advance(0);
    server.user = 'kim';
    server.log('@presence:room').resume = () => ({ answer: { tp: '@presence:room', status: 'refused', code: 'PRESENCE_OFF', message: 'no' }, replay: [] });
    client.setToken('kim');
    await clock.advance(0);
    expect(state()).toMatchObject({ members: [], count: 0, status: 'refused' });
  });
});

describe('entering', () => {
  it('is seen by others, with data that is sent when it changes by value and only then', async () => {
    const { client, clock, room, state, ...fakes } = await connected();
    client.presence.enter('room', { name: 'Ada', at: [1, 2] });
    expect(state().status).toBe('pending');
    await clock.advance(0);
    expect(room.members).toEqual([{ id: 'user-ada', user: 'ada', data: { name: 'Ada', at: [1, 2] } }]);
    expect(state()).toMatchObject({ status: 'live', id: 'user-ada', members: [] });
    client.presence.update('room', { at: [1, 2], name: 'Ada' });
    client.presence.enter('room', { name: 'Ada', at: [1, 2] });
    await clock.advance(0);
    client.presence.update('room', { name: 'Ada', at: [2, 1] });
    await clock.advance(0);
    expect(said(fakes)).toEqual([
      { action: 'enter', topic: 'room', data: { name: 'Ada', at: [1, 2] } },
      { action: 'update', topic: 'room', data: { name: 'Ada', at: [2, 1] } },
    ]);
    client.presence.leave('room');
    client.presence.leave('room');
    await clock.advance(0);
    expect([said(fakes)[2], said(fakes).length, room.members]).toEqual([{ action: 'leave', topic: 'room' }, 3, []]);
  });

  it('sends only the newest of the data that was set while an answer was due', async () => {
    const { client, clock, server, state } = await connected();
    server.mode = 'mute';
    for (let n = 0; n <= 50; n += 1) {
      client.presence.update('room', n);
      await clock.advance(100);
    }
    expect(said({ server })).toEqual([{ action: 'enter', topic: 'room', data: 0 }]);
    server.last.send({ t: 'reply', c: 'WSE', cid: server.last.of('presence')[0]!.cid!, p: { id: 'own' } });
    expect(said({ server })).toEqual([{ action: 'enter', topic: 'room', data: 0 }, { action: 'update', topic: 'room', data: 50 }]);
    expect(state()).toMatchObject({ id: 'own', status: 'live' });
  });

  it('is done again on every connection, as whoever the server says it is', async () => {
    const { client, clock, server, room, ...fakes } = await connected();
    client.presence.enter('room', 'x');
    await clock.advance(0);
    server.drop();
    await clock.advance(0);
    expect(client.presence.state('room').status).toBe('pending');
    client.presence.update('room', 'y');
    await clock.advance(5_000);
    expect(said({ ...fakes, server })).toEqual([{ action: 'enter', topic: 'room', data: 'y' }]);
    server.endGrace();
    expect([room.members.length, client.presence.state('room').status]).toEqual([1, 'live']);
    server.user = null;
    server.drop();
    await clock.advance(5_000);
    server.endGrace();
    expect(room.members).toMatchObject([{ id: expect.stringMatching(/^key-./) as string, user: null, data: 'y' }]);
  });

  it('is done again after a move, on the connection that the client moved to', async () => {
    const { client, clock, server, room } = await connected();
    client.presence.watch('room');
    client.presence.enter('room', 'x');
    await clock.advance(0);
    const [first] = server.open;
    const shown: unknown[] = [];
    client.onNotice('presence', () => shown.push(client.presence.state('room').status));
    server.move();
    await clock.advance(5_000);
    expect([...new Set(shown)]).toEqual(['live']);
    expect(server.last).not.toBe(first);
    expect(server.last.of('presence').map(({ p }) => p)).toEqual([{ action: 'enter', topic: 'room', data: 'x' }]);
    expect([room.members.length, client.presence.state('room')]).toMatchObject([1, { status: 'live', count: 1 }]);
    client.presence.enter('hall');
    await clock.advance(0);
    expect(client.presence.state('hall').status).toBe('live');
    server.refusedTopics.set('hall', 'PRESENCE_OFF');
    server.move();
    await clock.advance(5_000);
    expect(client.presence.state('hall')).toMatchObject({ status: 'refused', error: { code: 'PRESENCE_OFF' } });
  });

  it('of several holders is one member with the data set last, until the last one leaves', async () => {
    const { client, clock, room } = await connected();
    const [one, two] = [client.presence.hold('room'), client.presence.hold('room')];
    one.set(1);
    two.set(2);
    await clock.advance(0);
    expect(room.members).toMatchObject([{ data: 2 }]);
    one.set(3);
    await clock.advance(0);
    expect(room.members).toMatchObject([{ data: 3 }]);
    one.leave();
    await clock.advance(0);
    expect(room.members).toMatchObject([{ data: 2 }]);
    two.leave({ lingers: true });
    await clock.advance(500);
    one.set(2);
    await clock.advance(5_000);
    expect([room.members.length, client.presence.state('room').status]).toEqual([1, 'live']);
    one.leave({ lingers: true });
    await clock.advance(2_000);
    expect(room.members).toEqual([]);
  });

  it('that is refused says why, by error and status; what may pass is tried again, and other data is', async () => {
    const { client, clock, server, room, errors } = await connected();
    server.refusedTopics.set('room', 'PRESENCE_DATA_TOO_LARGE');
    client.presence.enter('room', 'long');
    await clock.advance(10_000);
    expect(client.presence.state('room')).toMatchObject({ status: 'refused', error: { code: 'PRESENCE_DATA_TOO_LARGE', topic: 'room' } });
    expect([errors.length, server.last.of('presence').length]).toEqual([1, 1]);
    server.refusedTopics.clear();
    client.presence.update('room', 'short');
    await clock.advance(0);
    expect([client.presence.state('room').status, room.members.length]).toEqual(['live', 1]);
    server.refusedTopics.set('room', 'UNAVAILABLE');
    client.presence.update('room', 'new');
    await clock.advance(0);
    expect(client.presence.state('room')).toMatchObject({ status: 'live', error: { code: 'UNAVAILABLE' } });
    server.refusedTopics.clear();
    await clock.advance(5_000);
    expect([client.presence.state('room').error, room.members[0]?.data]).toEqual([null, 'new']);
  });

  it('of a topic too many is tried again when another one is left', async () => {
    const { client, clock, server } = await connected();
    client.presence.enter('a');
    server.refusedTopics.set('b', 'TOO_MANY_PRESENCES');
    client.presence.enter('b');
    await clock.advance(10_000);
    server.refusedTopics.clear();
    client.presence.leave('a');
    await clock.advance(0);
    expect(client.presence.state('b').status).toBe('live');
  });

  it('takes what has a JSON that the server can read, and says otherwise whose fault it is', async () => {
    const { client, clock, server } = await connected();
    expect(() => client.presence.enter('room', 1n)).toThrow(expect.objectContaining({ code: 'INVALID_PAYLOAD' }));
    expect(() => client.presence.enter('room', () => 1)).toThrow(expect.objectContaining({ code: 'INVALID_PAYLOAD' }));
    client.presence.enter('room', 'half \ud800');
    await clock.advance(0);
    expect(client.presence.state('room')).toMatchObject({ status: 'refused', error: { code: 'INVALID_PAYLOAD' } });
    client.presence.update('room', 'x'.repeat(server.messageBytes));
    await clock.advance(0);
    expect(client.presence.state('room')).toMatchObject({ status: 'refused', error: { code: 'MESSAGE_TOO_LARGE' } });
    expect(server.last.of('presence')).toEqual([]);
  });

  it('ends when the client closes, and is taken up when it connects again', async () => {
    const { client, clock, room } = await connected();
    client.presence.enter('room');
    await clock.advance(0);
    client.close();
    expect(room.members).toEqual([]);
    client.connect();
    await clock.advance(0);
    expect(room.members).toHaveLength(1);
  });

  it('is not interrupted by another token of the same user, and ends where the token is taken away', async () => {
    const { client, clock, server, room } = await connected({ token: 'old' });
    client.presence.enter('room', 'x');
    await clock.advance(0);
    client.setToken('new');
    expect(room.members).toHaveLength(1);
    await clock.advance(0);
    server.endGrace();
    expect([server.connections.length, room.members.length]).toEqual([2, 1]);
    client.setToken(null);
    expect(room.members).toEqual([]);
  });

  it('is not told to a server that has not answered, nor before there is one', async () => {
    const fakes = createTestClient();
    fakes.client.presence.enter('room');
    fakes.client.presence.leave('room');
    fakes.client.presence.enter('other');
    fakes.client.connect();
    await fakes.clock.advance(0);
    expect(said(fakes)).toMatchObject([{ action: 'enter', topic: 'other' }]);
    fakes.client.presence.leave('other');
    fakes.client.presence.enter('other', 1);
    await fakes.clock.advance(0);
    expect(said(fakes)).toMatchObject([{ action: 'enter', data: null }, { action: 'enter', data: 1 }]);
  });
});

describe('an anonymous client', () => {
  it('is the same member after the page was loaded again, another one in another tab, and tells its key to nobody but the server', async () => {
    const { client, clock, server, room, environment, storage, state } = await connected({}, null);
    client.presence.watch('room');
    client.presence.enter('room', 'first');
    await clock.advance(0);
    const key = storage.values.get('wse-client.presence');
    expect(said({ server })).toEqual([{ action: 'enter', topic: 'room', data: 'first', key }]);
    server.drop();
    const reloaded = createClient({}, { transport: server.transport, clock, environment, storage });
    reloaded.presence.enter('room', 'again');
    reloaded.connect();
    await clock.advance(0);
    expect(room.members).toMatchObject([{ data: 'again' }]);
    const other = createClient({}, { transport: server.transport, clock, environment, storage: new MemoryStorage() });
    other.presence.enter('room', 'other');
    other.connect();
    await clock.advance(5_000);
    expect(state().members.map(({ data }) => data)).toEqual(['first', 'other']);
  });
});
