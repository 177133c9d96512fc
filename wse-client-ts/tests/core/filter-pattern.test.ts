// Patterns of filters against JavaScript's own engine, which goes back where this one does not.
import { describe, expect, it } from 'vitest';
import { compileFilter } from '../../src/core/filter';

const isIn = (pattern: string, text: string): boolean => compileFilter({ a: { $regex: pattern } }).matches({ a: text });

/** Numbers below `below`, the same on every run. */
function draws(seed: number): (below: number) => number {
  let state = seed;
  return (below) => {
    state = (Math.imul(state, 1_664_525) + 1_013_904_223) >>> 0;
    return Math.floor((state / 2 ** 32) * below);
  };
}

const ATOMS = ['a', 'b', '_', 'é', '😀', '.', '\\d', '\\W', '\\s', '[ab]', '[^a]', '[a-c_-]', '[\\S]', '\\.', '\\n'];
const REPETITIONS = ['', '', '', '*', '+', '?', '*?', '??', '{2}', '{0,2}', '{1,}', '{2,3}?', '{0}', '{0,}'];
const CHARACTERS = ['a', 'a', 'b', 'c', '1', '_', ' ', '.', '-', '\n', 'é', '😀'];

/** A pattern of the subset whose meaning is the same under the flag `u`. */
function pattern(draw: (below: number) => number, depth: number): string {
  const pick = (list: readonly string[]): string => list[draw(list.length)] ?? '';
  const item = (): string => {
    if (draw(6) === 0) return pick(['^', '$', '\\b']);
    const atom = depth > 0 && draw(3) === 0 ? `(${pick(['', '?:'])}${pattern(draw, depth - 1)})` : pick(ATOMS);
    return atom + pick(REPETITIONS);
  };
  const branch = (): string => Array.from({ length: draw(4) }, item).join('');
  return Array.from({ length: 1 + draw(2) }, branch).join('|');
}

describe('$regex', () => {
  it('finds what RegExp finds, in 3,000 pairs of patterns and strings', () => {
    const draw = draws(3);
    const wrong: unknown[] = [];
    let [found, ran] = [0, 0];
    while (ran < 3_000) {
      const source = pattern(draw, 2);
      if (source.length > 60) continue;
      const text = Array.from({ length: draw(7) }, () => CHARACTERS[draw(CHARACTERS.length)]).join('');
      const expected = new RegExp(source, 'u').test(text);
      if (isIn(source, text) !== expected) wrong.push([source, text]);
      found += Number(expected);
      ran += 1;
    }
    expect(wrong).toEqual([]);
    expect(found).toBeGreaterThan(750);
    expect(found).toBeLessThan(2_750);
  });

  // An engine that goes back takes 2^28 steps for the first two, 10^12 for the third.
  it.each([
    ['^(a+)+$', `${'a'.repeat(28)}!`],
    ['(a|a?)*b', 'a'.repeat(28)],
    ['.*.*.*.*.*=', 'a'.repeat(600)],
  ])('goes through the string once for %s', (source, text) => {
    expect(isIn(source, text)).toBe(false);
  });

  it('takes a long string and the costliest pattern', () => {
    expect(isIn('(?:a?){255}(?:a?b?){128}!', `${'ab'.repeat(500)}!`)).toBe(true);
    expect(isIn('(?:x*)*y', 'x'.repeat(50_000))).toBe(false);
  });
});
