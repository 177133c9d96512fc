// The envelope's header rules, one by one.
import { describe, expect, it } from 'vitest';
import { decodeEnvelope } from '../../src/core';

describe('decodeEnvelope', () => {
  it('keeps the known keys and ignores the others', () => {
    const text = '{"v":2,"t":"a","zz":1,"c":"S","id":"i","tp":"x","e":"e","seq":9007199254740991,"k":"k","pri":8,"cid":"c","p":{"deep":[1]},"ts":"2026-01-15T10:30:00.000Z"}';
    const { zz: _zz, ...known } = JSON.parse(text) as Record<string, unknown>;
    expect(decodeEnvelope(text)).toEqual(known);
  });

  it.each([
    ['{"v":2,"t":"a","seq":1.0}', 'INVALID_MESSAGE'],
    ['{"v":2,"t":"a","seq":1e2}', 'INVALID_MESSAGE'],
    ['{"v":2.0,"t":"a"}', 'INVALID_MESSAGE'],
    ['{"v":2,"t":"a","seq":-1}', 'INVALID_MESSAGE'],
    ['{"v":2,"t":"a","seq":9007199254740992}', 'INVALID_MESSAGE'],
    ['{"v":2,"t":"a","seq":null}', 'INVALID_MESSAGE'],
    ['{"v":2,"t":"a","pri":4}', 'INVALID_MESSAGE'],
    ['{"v":2,"t":"a","c":"X"}', 'INVALID_MESSAGE'],
    ['{"v":2,"t":""}', 'INVALID_MESSAGE'],
    [`{"v":2,"t":"${'ä'.repeat(129)}"}`, 'INVALID_MESSAGE'],
    ['{"v":2,"t":"a","ts":1}', 'INVALID_MESSAGE'],
    ['{"v":3.5,"t":"a"}', 'INVALID_MESSAGE'],
    ['{"v":"2","t":"a"}', 'INVALID_MESSAGE'],
    ['{"t":"a"}', 'INVALID_MESSAGE'],
    ['{"v":3,"t":"a"}', 'UNSUPPORTED_VERSION'],
    ['null', 'INVALID_JSON'],
    [`{"v":2,"t":"a","p":${'['.repeat(64)}${']'.repeat(64)}}`, 'TOO_DEEP'],
  ])('refuses %s with %s', (text, code) => {
    expect(() => decodeEnvelope(text)).toThrow(expect.objectContaining({ code }));
  });

  it('looks for fractions in its own header only, not in payloads or strings', () => {
    const envelope = decodeEnvelope('{"v":2,"t":"\\"seq\\":1.5","p":{"seq":1.5,"pri":1.5},"seq":7}');
    expect(envelope.seq).toBe(7);
  });

  it('accepts what is as deep as the limit', () => {
    expect(decodeEnvelope(`{"v":2,"t":"a","p":${'['.repeat(63)}${']'.repeat(63)}}`).t).toBe('a');
  });
});

describe('numbers and strings that JSON.parse takes and the protocol does not', () => {
  it.each([
    ['1e308', true],
    ['-1.5E+308', true],
    ['0.0000001e314', true],
    ['1e-400', true],
    [`0.${'0'.repeat(400)}1`, true],
    [`1${'0'.repeat(308)}`, true],
    ['1e309', false],
    ['-1.5E+400', false],
    ['1.00001e309', false],
    [`1${'0'.repeat(309)}`, false],
    [`[{"a":[true,"1e999",${'9'.repeat(310)}.5]}]`, false],
    ['"1e999 \\\\ud800"', true],
    ['"\\ud83d\\ude00"', true],
    ['"\\ud83d \\ude00"', false],
    ['"\\uDC00"', false],
  ])('%s: %s', (payload, isTaken) => {
    const read = (): unknown => decodeEnvelope(`{"v":2,"t":"a","p":${payload}}`);
    if (isTaken) expect(read).not.toThrow();
    else expect(read).toThrow(expect.objectContaining({ code: 'INVALID_JSON' }));
  });
});
