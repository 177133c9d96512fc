// Inflate and deflate against zlib itself, and against what no zlib stream may be.
import { constants, deflateRawSync, deflateSync, inflateSync } from 'node:zlib';
import { afterEach, describe, expect, it, vi } from 'vitest';
import { DEFAULTS } from '../../src/core';
import { adler32 } from '../../src/core/adler32';
import { deflate } from '../../src/core/deflate';
import { inflate } from '../../src/core/inflate';

/** Numbers that are the same at every run (xorshift32). */
function draw(seed: number): () => number {
  let state = seed | 1;
  return () => {
    state ^= state << 13;
    state ^= state >>> 17;
    state ^= state << 5;
    return (state >>> 0) / 2 ** 32;
  };
}

/** Bytes of every kind: noise, few values, runs, repeated phrases. */
function sample(random: () => number): Buffer {
  const parts: Buffer[] = [];
  const pieces = Math.floor(random() * 12);
  for (let piece = 0; piece < pieces; piece += 1) {
    const length = Math.floor(random() ** 3 * 40_000);
    const kind = Math.floor(random() * 4);
    if (kind === 0) parts.push(Buffer.from(Uint8Array.from({ length }, () => random() * 256)));
    else if (kind === 1) parts.push(Buffer.from(Uint8Array.from({ length }, () => 97 + random() * 4)));
    else if (kind === 2) parts.push(Buffer.alloc(length, random() * 256));
    else parts.push(Buffer.from(JSON.stringify(Array.from({ length: length / 100 }, (_, id) => ({ id, name: `row ${id}`, price: random() })))));
  }
  return Buffer.concat(parts);
}

function codeOf(run: () => unknown): unknown {
  try {
    return run();
  } catch (error) {
    return (error as { code: string }).code;
  }
}

const text = Buffer.from('a message, a message, and a message again: '.repeat(50));

afterEach(() => vi.restoreAllMocks());

describe('inflate', () => {
  it('reads what zlib writes, at every level and strategy', () => {
    const random = draw(7);
    for (let round = 0; round < 150; round += 1) {
      const data = sample(random);
      const strategy = [constants.Z_DEFAULT_STRATEGY, constants.Z_FIXED, constants.Z_HUFFMAN_ONLY, constants.Z_RLE][round % 4];
      const stream = deflateSync(data, { level: round % 10, ...(strategy === undefined ? {} : { strategy }), memLevel: 1 + (round % 9) });
      expect(Buffer.compare(inflate(stream, { ...DEFAULTS, inflateRatio: 2_000 }), data)).toBe(0);
    }
  });

  it('refuses every stream that is cut off, at each byte', () => {
    for (const options of [{ level: 0 }, { level: 9 }, { strategy: constants.Z_FIXED }]) {
      const stream = deflateSync(text, options);
      for (let length = 0; length < stream.length; length += 1) expect(codeOf(() => inflate(stream.subarray(0, length)))).toBe('INVALID_COMPRESSION');
    }
  });

  it('agrees with zlib on streams with a bit turned', () => {
    const stream = deflateSync(text);
    let refused = 0;
    for (let bit = 0; bit < stream.length * 8; bit += 1) {
      const turned = Buffer.from(stream);
      turned[bit >> 3] = (turned[bit >> 3] ?? 0) ^ (1 << (bit & 7));
      const zlib = codeOf(() => inflateSync(turned, { maxOutputLength: 1 << 20 }).toString('latin1'));
      const own = codeOf(() => Buffer.from(inflate(turned, { ...DEFAULTS, inflateBytes: 1 << 20 })).toString('latin1'));
      if (own === 'INVALID_COMPRESSION') refused += 1;
      expect(own === 'INVALID_COMPRESSION' ? /^(Z_|ERR_)/.test(String(zlib)) : own === zlib).toBe(true);
    }
    // Bits that pad the last byte mean nothing.
    expect(refused).toBeGreaterThanOrEqual(stream.length * 8 - 7);
  });

  it.each([
    ['nothing', Buffer.alloc(0)],
    ['noise', Buffer.from('no stream at all')],
    ['raw deflate', deflateRawSync(text)],
    ['a preset dictionary', deflateSync(text, { dictionary: Buffer.from('a message') })],
    ['bytes after the end', Buffer.concat([deflateSync(text), Buffer.from('x')])],
    ['two streams', Buffer.concat([deflateSync(text), deflateSync(text)])],
    ['a block of no kind', Buffer.from([0x78, 0x9c, 0x07, 0, 0, 0, 0, 1])],
  ])('refuses %s', (_, stream) => {
    expect(codeOf(() => inflate(stream))).toBe('INVALID_COMPRESSION');
  });

  it('stops at the limit of size and at that of ratio, and not before', () => {
    const limits = { inflateBytes: 1_000_000, inflateRatio: 200, inflateRatioFromBytes: 65_536 };
    const random = draw(5);
    const noise = Buffer.from(Uint8Array.from({ length: 1_000_001 }, () => random() * 16));
    expect(inflate(deflateSync(noise.subarray(0, 1_000_000)), limits)).toHaveLength(1_000_000);
    expect(codeOf(() => inflate(deflateSync(noise), limits))).toBe('INFLATE_LIMIT');
    expect(inflate(deflateSync(Buffer.alloc(65_536)), limits)).toHaveLength(65_536);
    expect(codeOf(() => inflate(deflateSync(Buffer.alloc(65_537)), limits))).toBe('INFLATE_LIMIT');
  });

  it('takes no more memory for a bomb than the bound and the half of it that grew last', () => {
    const bomb = deflateSync(Buffer.alloc(64 << 20));
    const taken: number[] = [];
    const Original = globalThis.Uint8Array;
    vi.stubGlobal('Uint8Array', new Proxy(Original, {
      construct(target, [first, ...rest]: unknown[]) {
        if (typeof first === 'number') taken.push(first);
        return Reflect.construct(target, [first, ...rest]) as object;
      },
    }));
    const bound = Math.min(DEFAULTS.inflateBytes, DEFAULTS.inflateRatio * bomb.length);
    expect(codeOf(() => inflate(bomb))).toBe('INFLATE_LIMIT');
    vi.unstubAllGlobals();
    expect(taken.length).toBeGreaterThan(3);
    expect(Math.max(...taken)).toBeLessThanOrEqual(bound);
    expect(taken.reduce((sum, size) => sum + size)).toBeLessThan(3 * bound);
  });
});

describe('deflate', () => {
  it('writes what zlib reads, and null where that is not smaller', () => {
    const random = draw(11);
    let smaller = 0;
    for (let round = 0; round < 150; round += 1) {
      const data = sample(random);
      const stream = deflate(data);
      if (stream === null) continue;
      smaller += 1;
      expect(stream.length).toBeLessThan(data.length);
      expect(Buffer.compare(inflateSync(stream), data)).toBe(0);
      expect(Buffer.compare(inflate(stream, { ...DEFAULTS, inflateRatio: 2_000 }), data)).toBe(0);
    }
    expect(smaller).toBeGreaterThan(100);
    expect(deflate(Buffer.alloc(0))).toBeNull();
    expect(deflate(Buffer.from('abc'))).toBeNull();
    expect(deflate(Buffer.from(Uint8Array.from({ length: 5_000 }, () => random() * 256)))).toBeNull();
  });

  it('makes JSON at most half as large again as zlib does at its default level', () => {
    const rows = Array.from({ length: 200 }, (_, id) => ({ id, symbol: `SYM${id % 17}`, price: 100 + id / 7, note: 'a note on the row' }));
    const data = Buffer.from(JSON.stringify(rows));
    expect(deflate(data)?.length).toBeLessThan(deflateSync(data).length * 1.5);
  });

  it('never reaches the ratio that a receiver refuses', () => {
    const data = Buffer.alloc(1 << 20);
    expect(data.length / (deflate(data)?.length ?? 1)).toBeLessThan(DEFAULTS.inflateRatio);
  });
});

it('sums as RFC 1950 says', () => {
  expect(adler32(Buffer.from('Wikipedia'))).toBe(0x11e60398);
  expect(adler32(new Uint8Array(0))).toBe(1);
  expect(adler32(Buffer.alloc(100_000, 255))).toBe(deflateSync(Buffer.alloc(100_000, 255)).readUInt32BE(deflateSync(Buffer.alloc(100_000, 255)).length - 4));
});
