// Filters: the shared vectors, and what they cannot say.
import { readFileSync } from 'node:fs';
import { afterAll, describe, expect, it } from 'vitest';
import type { WSEError } from '../../src/core/errors';
import { compileFilter } from '../../src/core/filter';

interface Vectors {
  count: number;
  accept: { name: string; rule: string; filter: unknown; payload: unknown; matches: boolean; wide?: true }[];
  reject: { name: string; rule: string; filter: unknown }[];
}

const { count, accept, reject } = JSON.parse(readFileSync(new URL('../../../vectors/filters.json', import.meta.url), 'utf8')) as Vectors;

describe('filters.json', () => {
  const ran = { accept: 0, reject: 0 };

  // [P-74]: numbers of 64 bits are doubles here, so the 9 cases that doubles do not hold are the server's alone.
  it.each(accept.filter(({ wide }) => wide === undefined))('$name ($rule): $matches', ({ filter, payload, matches }) => {
    expect(compileFilter(filter).matches(payload)).toBe(matches);
    ran.accept++;
  });

  it.each(reject)('refuses $name ($rule)', ({ filter }) => {
    expect(() => compileFilter(filter)).toThrow(expect.objectContaining({ name: 'WSEError', code: 'INVALID_FILTER' }));
    ran.reject++;
  });

  afterAll(() => {
    expect(ran).toEqual({ accept: 637 - 9, reject: 117 });
    expect(count).toBe(637 + 117);
  });
});

describe('compileFilter', () => {
  const fault = (filter: unknown): string => {
    try {
      compileFilter(filter);
    } catch (error) {
      return (error as WSEError).message;
    }
    throw new Error('it was compiled');
  };

  it('names the place of the fault and says what to write', () => {
    expect(fault({ $and: [{ a: 1 }, { 'price.bid': { $in: 5 } }] })).toBe('filter refused at $and[1].price.bid.$in: the operator takes an array of values');
    expect(fault([])).toBe('filter refused at the top: a filter is an object of fields and operators');
    expect(fault({ a: { $regex: 'a\\p{L}' } })).toContain('a.$regex: character 2 of the pattern');
  });

  it('refuses what JSON and UTF-8 cannot hold', () => {
    const cyclic: Record<string, unknown> = {};
    cyclic['a'] = cyclic;
    for (const filter of [cyclic, { a: 1n }, undefined, () => 1, { a: '\ud800' }, { '\udfff': 1 }, { a: ['\\\udc00'] }]) {
      expect(fault(filter)).toMatch(/^filter refused at the top: /);
    }
    expect(compileFilter({ a: '\\ud800' }).matches({ a: '\\ud800' })).toBe(true);
  });

  it('reads only own fields', () => {
    expect(compileFilter({ toString: { $exists: true } }).matches({})).toBe(false);
    expect(compileFilter({ constructor: null }).matches({})).toBe(true);
    expect(compileFilter(JSON.parse('{"__proto__":1}')).matches(JSON.parse('{"__proto__":1}'))).toBe(true);
  });

  it('gives filters that differ in the order of keys the same key', () => {
    const key = (filter: unknown): string => compileFilter(filter).key;
    expect(key({ b: { $lt: 2, $gt: 1 }, a: { y: 1, x: 2 } })).toBe(key({ a: { x: 2, y: 1 }, b: { $gt: 1, $lt: 2 } }));
    expect(key({ a: 1 })).not.toBe(key({ a: 2 }));
  });

  it('is a snapshot of what it was given', () => {
    const list = ['a'];
    const filter = compileFilter({ tag: { $in: list } });
    list.push('b');
    expect(filter.matches({ tag: 'b' })).toBe(false);
  });
});
