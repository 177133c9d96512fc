// Two published test suites, each case as the payload of a frame: what is JSON and what is MessagePack is not ours to say.
import { describe, expect, it } from 'vitest';
import type { Agreement } from '../../src/core/agreement';
import { decodeFrame } from '../../src/core/frames';
import { bytesOf, readVectors } from './vector-files';

interface Case {
  name: string;
  hex: string;
  code?: string;
  payload?: unknown;
}

interface Published {
  count: number;
  json: { accept: Case[]; reject: Case[]; decided: Case[] };
  msgpack: { accept: Case[]; reject: Case[] };
}

const { count, json, msgpack } = readVectors<Published>('published.json');
const lists = [json.accept, json.reject, json.decided, msgpack.accept, msgpack.reject];

/** A JSON frame as a socket delivers it: text. What is not UTF-8 never gets that far. */
function textFrame(bytes: ArrayBuffer): string | null {
  try {
    return new TextDecoder('utf-8', { fatal: true, ignoreBOM: true }).decode(bytes);
  } catch {
    return null;
  }
}

function outcome(data: string | ArrayBuffer, format: Agreement['format']): unknown {
  try {
    const { envelope } = decodeFrame(data, { format, compression: false, batch: false });
    return { payload: JSON.parse(JSON.stringify(envelope.p)) as unknown }; // -0 is 0 by value
  } catch (error) {
    return { code: (error as { code?: unknown }).code };
  }
}

const expected = ({ code, payload }: Case): unknown => (code === undefined ? { payload } : { code });

describe('published.json', () => {
  it('has 316 cases of JSON and 233 of MessagePack', () => {
    expect(lists.map((list) => list.length)).toEqual([95, 186, 35, 194, 39]);
    expect(count).toBe(316 + 233);
  });

  it('is read as the JSON suite says, and as our rules say where it says nothing', () => {
    const texts = lists.slice(0, 3).flat().flatMap((test) => {
      const text = textFrame(bytesOf(test));
      return text === null ? [] : [{ test, text }];
    });
    expect(texts.length).toBe(291);
    for (const { test, text } of texts) expect([test.name, outcome(text, 'json')]).toEqual([test.name, expected(test)]);
  });

  it('is read as the MessagePack suite says', () => {
    for (const test of lists.slice(3).flat()) expect([test.name, outcome(bytesOf(test), 'msgpack')]).toEqual([test.name, expected(test)]);
  });
});
