// Format, compression and batches: what is offered, what is spoken, and what is refused ([P-9], [P-14] to [P-17], [P-37]).
import { deflateSync, inflateSync } from 'node:zlib';
import { describe, expect, it } from 'vitest';
import type { CreateClientOptions } from '../../src/browser/create-client';
import { createTestClient } from '../../src/testing';

async function connected(options: CreateClientOptions = {}, prepare: (fakes: ReturnType<typeof createTestClient>) => void = () => undefined) {
  const fakes = createTestClient({ topics: ['a'], ...options });
  const seen: unknown[] = [];
  const codes: string[] = [];
  fakes.client.on('*', (payload) => seen.push(payload));
  fakes.client.onNotice('error', ({ code }) => codes.push(code));
  prepare(fakes);
  fakes.client.connect();
  await fakes.clock.advance(0);
  const sendBytes = (...parts: (string | Uint8Array | number[])[]): void => {
    const bytes = Buffer.concat(parts.map((part) => Buffer.from(part as Uint8Array)));
    fakes.server.last.sendRaw(Uint8Array.from(bytes).buffer);
  };
  return { ...fakes, seen, codes, sendBytes };
}

const large = { rows: Array.from({ length: 100 }, (_, id) => ({ id, name: `row ${id}` })) };

/** A message of topic a, as text. */
function message(seq: number, p: unknown = seq): string {
  return JSON.stringify({ v: 2, t: 'a', tp: 'a', e: 'e1', seq, id: `i${seq}`, ts: '2026-01-15T10:30:00.000Z', p });
}

describe('what is offered', () => {
  it('is JSON, zlib and batches by default', async () => {
    const { server } = await connected();
    expect(server.last.received[0]?.p).toMatchObject({ formats: ['json'], compression: ['zlib'], batch: true });
    expect(server.last.agreed).toEqual({ format: 'json', compression: true, batch: true });
  });

  it('is MessagePack before JSON, and nothing that is switched off', async () => {
    const { server } = await connected({ format: 'msgpack', compression: false, batch: false });
    expect(server.last.received[0]?.p).toMatchObject({ formats: ['msgpack', 'json'] });
    expect(server.last.received[0]?.p).not.toHaveProperty('compression');
    expect(server.last.received[0]?.p).not.toHaveProperty('batch');
    expect(server.last.agreed).toEqual({ format: 'msgpack', compression: false, batch: false });
  });

  it('may be declined: then JSON text is spoken, uncompressed, message by message', async () => {
    const { server, client, clock, seen } = await connected({ format: 'msgpack' }, (fakes) => {
      Object.assign(fakes.server, { formats: ['json'], compression: false, batch: false });
    });
    server.on('echo', (p) => p);
    const reply = client.sendMessage('echo', large);
    await clock.advance(0);
    server.publishAll('a', [1, large]);
    expect(await reply).toEqual(large);
    expect(seen).toEqual([1, large]);
    expect(server.last.frames.every((frame) => typeof frame === 'string')).toBe(true);
  });

  it('is said anew at every connection', async () => {
    const { server, clock, seen } = await connected({ format: 'msgpack' });
    server.publish('a', 1);
    server.formats = ['json'];
    server.drop();
    await clock.advance(1_000);
    server.publish('a', 2);
    expect(typeof server.last.frames[0]).toBe('string');
    expect(server.last.agreed.format).toBe('json');
    expect(seen).toEqual([1, 2]);
  });

  it('is all that a server may choose: anything else is an error, and JSON text stays', async () => {
    for (const p of [{ format: 'msgpack' }, { format: 'cbor' }, { compression: 'zlib' }, { compression: 'lz4' }, { batch: true }]) {
      const { server, client, codes, sendBytes } = await connected({ compression: false, batch: false }, (fakes) => (fakes.server.mode = 'mute'));
      server.last.send({ t: 'server_hello', c: 'WSE', p });
      server.last.send({ t: 'server_ready', c: 'WSE', p: {} });
      expect(codes).toEqual(['UNSUPPORTED_FORMAT']);
      sendBytes('M:', [0x80]);
      sendBytes('C:', deflateSync(message(1)));
      server.last.send({ t: 'batch', c: 'WSE', p: [1, 2].map((seq) => JSON.parse(message(seq)) as unknown) });
      expect(codes).toEqual(['UNSUPPORTED_FORMAT', 'UNSUPPORTED_FORMAT', 'UNSUPPORTED_FORMAT', 'UNEXPECTED_MESSAGE']);
      expect(client.state.isConnected).toBe(true);
    }
  });
});

describe('MessagePack', () => {
  it('is spoken both ways after the hellos, with pings, requests, replies and subscriptions in it', async () => {
    const { server, client, clock, seen, codes } = await connected({ format: 'msgpack' });
    const payload = { text: 'ä€😀', numbers: [0, -1, 127, 128, -33, 65_536, -70_000, 2 ** 40, -(2 ** 40), 1.5, -0.25], nested: { list: [null, true, false, {}] } };
    server.on('echo', (p) => p);
    const reply = client.sendMessage('echo', payload);
    client.subscribe('b');
    await clock.advance(0);
    server.publish('b', payload);
    expect(await reply).toEqual(payload);
    expect(seen).toEqual([payload]);
    expect(codes).toEqual([]);
    const [hello, ...others] = server.last.frames;
    expect(typeof hello).toBe('string');
    expect(others.length).toBeGreaterThanOrEqual(3);
    for (const frame of others) expect(Buffer.from(frame).subarray(0, 2).toString()).toBe('M:');
    expect(server.last.of('ping')).toHaveLength(1);
  });

  it('gives way to JSON text for what would be larger in it, so that what fits the limit is sent', async () => {
    const { client, server, clock } = await connected({ format: 'msgpack', compression: false });
    const floats = Array.from({ length: 100 }, () => 0.5);
    server.on('floats', (p) => p);
    const reply = client.sendMessage('floats', floats);
    await clock.advance(0);
    expect(await reply).toEqual(floats);
    expect(server.last.frames.filter((frame) => typeof frame === 'string').slice(1)).toEqual([expect.stringContaining('"floats"')]);
  });

  it('that is none is an error with a code, and the messages around it arrive in order', async () => {
    const { server, seen, codes, sendBytes, client } = await connected({ format: 'msgpack' });
    const head = [0x83, 0xa1, 0x76, 0x02, 0xa1, 0x74, 0xa1, 0x61, 0xa1, 0x70];
    server.publish('a', 1);
    const bad = [[0xc4, 1, 0], [0xd4, 5, 0], [0xc1], [0xcb, 0x7f, 0xf8, 0, 0, 0, 0, 0, 0], [0xa2, 0xff, 0xfe], [0x81, 1, 1], [0xdd, 0xff, 0xff, 0xff, 0xff], [0xdb, 0x40, 0, 0, 0], [0xc0, 0xc0], []];
    for (const tail of bad) sendBytes('M:', Uint8Array.from([...head, ...tail]));
    sendBytes('M:', [0x01]);
    sendBytes('M:');
    expect(codes).toEqual(Array(bad.length + 2).fill('INVALID_MSGPACK'));
    sendBytes('M:', Uint8Array.from([0x83, 0xa1, 0x76, 0x02, 0xa1, 0x74, 0xa1, 0x61, 0xa1, 0x74, 0xa1, 0x62]));
    sendBytes('M:', Uint8Array.from([0x83, 0xa1, 0x76, 0x02, 0xa1, 0x74, 0xa1, 0x61, 0xa3, 0x73, 0x65, 0x71, 0xca, 0x40, 0, 0, 0]));
    sendBytes('M:', Uint8Array.from([...head, ...Array<number>(10_000).fill(0x91), 0xc0]));
    sendBytes('E:', 'sealed');
    expect(codes.slice(bad.length + 2)).toEqual(['INVALID_MESSAGE', 'INVALID_MESSAGE', 'TOO_DEEP', 'UNSUPPORTED_FORMAT']);
    server.publish('a', 2);
    expect(seen).toEqual([1, 2]);
    expect(client.state.isConnected).toBe(true);
  });

  it('takes a key named __proto__ for a key', async () => {
    const { seen, sendBytes } = await connected({ format: 'msgpack' });
    sendBytes('M:', [0x83, 0xa1, 0x76, 0x02, 0xa1, 0x74, 0xa1, 0x62, 0xa1, 0x70, 0x81, 0xa9], '__proto__', [0x81, 0xa1, 0x78, 0x01]);
    expect(JSON.stringify(seen)).toBe('[{"__proto__":{"x":1}}]');
    expect((seen[0] as { x?: number }).x).toBeUndefined();
  });
});

describe('compression', () => {
  it.each(['json', 'msgpack'] as const)('takes large frames of %s both ways and leaves small ones alone', async (format) => {
    const { server, client, clock, seen } = await connected({ format });
    server.on('echo', (p) => p);
    const replies = [client.sendMessage('echo', large), client.sendMessage('echo', 'small')];
    await clock.advance(0);
    server.publish('a', large);
    expect(await Promise.all(replies)).toEqual([large, 'small']);
    expect(seen).toEqual([large]);
    const compressed = server.last.frames.filter((frame) => typeof frame !== 'string' && Buffer.from(frame).subarray(0, 2).toString() === 'C:');
    expect(compressed).toHaveLength(1);
    const inside = inflateSync(Buffer.from(compressed[0] ?? '').subarray(2));
    expect(format === 'json' ? (JSON.parse(inside.toString()) as { p: unknown }).p : inside.subarray(0, 2).toString()).toEqual(format === 'json' ? large : 'M:');
  });

  it('keeps the order of frames in every form', async () => {
    const { server, seen, sendBytes } = await connected();
    for (let seq = 1; seq <= 30; seq += 3) {
      sendBytes('C:', deflateSync(message(seq, [seq, large])));
      server.last.sendRaw(message(seq + 1));
      sendBytes('C:', deflateSync(message(seq + 2)));
    }
    expect(seen.map((payload) => (Array.isArray(payload) ? (payload[0] as number) : payload))).toEqual(Array.from({ length: 30 }, (_, n) => n + 1));
  });

  it('that is none is an error with a code, and the connection stays', async () => {
    const { seen, codes, sendBytes, client } = await connected();
    const stream = deflateSync(message(1));
    sendBytes('C:');
    sendBytes('C:', 'no stream');
    sendBytes('C:', stream.subarray(0, -1));
    sendBytes('C:', stream, 'x');
    sendBytes('C:', deflateSync(Buffer.concat([Buffer.from('C:'), stream])));
    sendBytes('C:', deflateSync('no JSON'));
    sendBytes('C:', deflateSync(Buffer.from([0x22, 0xff, 0x22])));
    sendBytes('C:', deflateSync(Buffer.from([0x4d, 0x3a, 0x80])));
    expect(codes).toEqual([...Array<string>(5).fill('INVALID_COMPRESSION'), 'INVALID_JSON', 'INVALID_JSON', 'UNSUPPORTED_FORMAT']);
    sendBytes('C:', stream);
    expect(seen).toEqual([1]);
    expect(client.state.isConnected).toBe(true);
  });

  it('that would grow beyond the limit closes with 4004, and the client returns', async () => {
    const { server, client, clock, codes, sendBytes } = await connected();
    sendBytes('C:', deflateSync(Buffer.alloc(32 << 20, ' ')));
    expect(codes).toEqual(['INFLATE_LIMIT']);
    expect(server.last.clientCloseCode).toBe(4004);
    expect(client.state).toMatchObject({ status: 'waiting', error: { code: 'INFLATE_LIMIT', fault: 'peer' } });
    await clock.advance(1_000);
    expect(server.connections).toHaveLength(2);
    expect(client.state.isConnected).toBe(true);
  });

  it('is not used where it makes nothing smaller', async () => {
    const { server, client, clock } = await connected();
    let noise = '';
    for (let n = 1, state = 9; n < 1_500; n += 1) noise += String.fromCharCode(0x4e00 + ((state = (state * 75 + 74) % 65_537) % 20_000));
    void client.sendMessage('x', noise).catch(() => undefined);
    await clock.advance(0);
    expect(server.last.frames.filter((frame) => typeof frame === 'string' && frame.includes(noise))).toHaveLength(1);
  });
});

describe('a batch', () => {
  it('is one frame, handed on one by one in order, each with its own id and position', async () => {
    for (const format of ['json', 'msgpack'] as const) {
      const { server, client, clock } = await connected({ format });
      const metas: unknown[] = [];
      client.on('a', (payload, { id, seq }) => metas.push([payload, id, seq]));
      const sent: unknown[] = [];
      const send = server.last.send.bind(server.last);
      server.last.send = (envelope) => {
        sent.push(envelope.t);
        send(envelope);
      };
      server.publishAll('a', ['x', 'y', 'z']);
      server.publishAll('a', ['alone']);
      expect(sent).toEqual(['batch', 'a']);
      expect(metas).toEqual([['x', 'a-1', 1], ['y', 'a-2', 2], ['z', 'a-3', 3], ['alone', 'a-4', 4]]);
      await clock.advance(0);
    }
  });

  it('may hold what is nested as deep as a message alone may be', async () => {
    const { server, seen, codes } = await connected();
    const deep = JSON.parse('['.repeat(63) + ']'.repeat(63)) as unknown;
    server.publishAll('a', [deep, deep]);
    expect(codes).toEqual([]);
    expect(seen).toHaveLength(2);
  });

  it('repeats and gaps within it are what they are alone', async () => {
    const { server, clock, seen } = await connected();
    const batch = (...seqs: number[]): void => server.last.send({ t: 'batch', c: 'WSE', p: seqs.map((seq) => JSON.parse(message(seq)) as unknown) });
    batch(1, 2);
    batch(1, 2, 3);
    batch(5, 6);
    expect(seen).toEqual([1, 2, 3]);
    server.last.sendRaw(message(4));
    expect(seen).toEqual([1, 2, 3, 4, 5, 6]);
    await clock.advance(5_000);
    expect(server.last.of('subscription')).toEqual([]);
  });

  it('that is none is one error', async () => {
    const { server, seen, codes } = await connected();
    const [one, two] = [1, 2].map((seq) => JSON.parse(message(seq)) as Record<string, unknown>);
    const bad = [null, {}, [], [one], [one, 7], [one, { ...two, tp: 'b' }], [two, one], [one, one], [one, { ...two, seq: 'x' }], [one, { ...two, c: 'WSE' }], [one, { v: 2, t: 'a' }], [one, [two]]];
    for (const p of bad) server.last.send({ t: 'batch', c: 'WSE', p });
    expect(codes).toEqual(bad.map(() => 'INVALID_MESSAGE'));
    server.last.send({ t: 'batch', c: 'WSE', p: [one, { ...two, v: 3 }] });
    expect(codes.at(-1)).toBe('INVALID_MESSAGE');
    expect(seen).toEqual([]);
  });

  it('stops where a handler closes the client, and what was left comes again', async () => {
    const { server, client, clock, seen } = await connected();
    const stop = client.on('a', () => {
      stop();
      client.close();
    });
    server.publishAll('a', [1, 2, 3]);
    expect(seen).toEqual([1]);
    client.connect();
    await clock.advance(0);
    expect(seen).toEqual([1, 2, 3]);
  });
});

it('refuses a header in which a key stands twice', async () => {
  const { server, codes } = await connected();
  server.last.sendRaw('{"v":2,"t":"a","t":"b"}');
  server.last.sendRaw('{"v":2,"t":"a","\\u0074":"b"}');
  server.last.sendRaw('{"v":2,"t":"a","x":1,"x":2,"p":{"t":1,"t":2,"v":"\\"}"}}');
  expect(codes).toEqual(['INVALID_MESSAGE', 'INVALID_MESSAGE']);
});
