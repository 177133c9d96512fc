// The shared vectors of binary frames, batches and the reorder buffer.
import { describe, expect, it } from 'vitest';
import { decodeEnvelope, encodeEnvelope, type Envelope } from '../../src/core';
import type { Agreement } from '../../src/core/agreement';
import { decodePackedEnvelope } from '../../src/core/envelope';
import { decodeFrame, encodeFrame, type Frame, type FrameLimits } from '../../src/core/frames';
import { parseServerMessage, type ServerMessage } from '../../src/core/messages';
import { pack } from '../../src/core/msgpack-encode';
import { ReorderBuffer, ReorderPool } from '../../src/core/reorder';
import { bytesOf, known, readVectors, textOf, type Bytes, type Text } from './vector-files';

type Case = { name: string; rule: string } & Bytes;
type Refused = Case & { code: string };

interface Frames {
  count: number;
  limits: { nesting_depth: number; inflate_bytes: number; inflate_ratio: number; inflate_ratio_from_bytes: number };
  tags: (Case & { tag: 'msgpack' | 'compressed' | 'reserved' | 'unknown' })[];
  msgpack: { accept: (Case & { envelope?: Envelope; payload_count?: number })[]; reject: Refused[] };
  zlib: { accept: (Case & { envelope?: Envelope; inflated?: Text })[]; reject: Refused[] };
  topic_messages: { name: string; payload: Formats; body: Formats }[];
}

interface Formats {
  json: string;
  msgpack: string;
}

const json: Agreement = { format: 'json', compression: true, batch: true };
const msgpack: Agreement = { format: 'msgpack', compression: true, batch: true };
const single: Agreement = { format: 'msgpack', compression: true, batch: false };

function codeOf(run: () => unknown): unknown {
  try {
    run();
  } catch (error) {
    return (error as { code?: string }).code ?? error;
  }
  return null;
}

describe('frames.json', () => {
  const { count, limits, tags, msgpack: packed, zlib, topic_messages } = readVectors<Frames>('frames.json');
  const own: FrameLimits = {
    nestingDepth: limits.nesting_depth,
    inflateBytes: limits.inflate_bytes,
    inflateRatio: limits.inflate_ratio,
    inflateRatioFromBytes: limits.inflate_ratio_from_bytes,
  };
  const decode = (bytes: Bytes): Frame => decodeFrame(bytesOf(bytes), single, own);

  it('has 11 tags, 72 and 127 of MessagePack, 25 and 38 of zlib, 12 topic messages', () => {
    const lists = [tags, packed.accept, packed.reject, zlib.accept, zlib.reject, topic_messages];
    expect(lists.map((list) => list.length)).toEqual([11, 72, 127, 25, 38, 12]);
    expect(count).toBe(11 + 72 + 127 + 25 + 38 + 12);
  });

  it.each(tags)('sorts $name ($rule) by its tag', ({ tag, ...bytes }) => {
    const codes = [single, { ...single, format: 'json' as const, compression: false }].map((agreed) => codeOf(() => decodeFrame(bytesOf(bytes), agreed, own)));
    const agreedCode = { msgpack: /^INVALID_M/, compressed: /^INVALID_COMPRESSION$/, reserved: /^UNSUPPORTED_FORMAT$/, unknown: /^UNSUPPORTED_FORMAT$/ }[tag];
    expect(codes[0]).toMatch(agreedCode);
    expect(codes[1]).toBe('UNSUPPORTED_FORMAT');
  });

  it.each(packed.accept)('accepts $name ($rule), and packs it so that it reads the same', ({ envelope, payload_count: length, ...bytes }) => {
    const decoded = decode(bytes).envelope;
    if (envelope !== undefined) expect(decoded).toEqual(known(envelope));
    else expect(decoded.p).toHaveLength(length ?? -1);
    const again = pack(decoded, new Uint8Array(0));
    expect(decodePackedEnvelope(again)).toEqual(decoded);
  });

  it.each(packed.reject)('refuses $name ($rule) with $code', ({ code, ...bytes }) => {
    expect(codeOf(() => decode(bytes))).toBe(code);
  });

  it.each(zlib.accept)('inflates $name ($rule)', ({ envelope, inflated, ...bytes }) => {
    const { envelope: decoded, size } = decode(bytes);
    const text = inflated === undefined ? undefined : textOf(inflated);
    if (text !== undefined) expect(size).toBe(text.length);
    const expected = text === undefined ? envelope : (JSON.parse(text) as Envelope);
    expect(expected).toBeDefined();
    // Not `toEqual`, which would print a megabyte where they differ.
    expect(JSON.stringify(decoded) === JSON.stringify(known(expected ?? {}))).toBe(true);
  });

  it.each(zlib.reject)('refuses $name ($rule) with $code', ({ code, ...bytes }) => {
    expect(codeOf(() => decode(bytes))).toBe(code);
  });

  it.each(topic_messages)('reads the same of $name in both formats, and writes what reads the same', ({ body }) => {
    const [text, binary] = [decodeEnvelope(body.json), decode({ hex: body.msgpack }).envelope];
    expect(binary).toEqual(text);
    const written = encodeFrame(encodeEnvelope(text), { ...single, compression: false });
    expect(decodeFrame(Uint8Array.from(Buffer.from(written as Uint8Array)).buffer, single).envelope).toEqual(text);
  });
});

describe('faults.json', () => {
  interface Faults {
    count: number;
    limits: Frames['limits'];
    text: (Text & Fault)[];
    binary: (Bytes & Fault)[];
  }
  interface Fault {
    name: string;
    faults: string[];
    code: string;
  }
  const { count, limits, text, binary } = readVectors<Faults>('faults.json');
  const own: FrameLimits = {
    nestingDepth: limits.nesting_depth,
    inflateBytes: limits.inflate_bytes,
    inflateRatio: limits.inflate_ratio,
    inflateRatioFromBytes: limits.inflate_ratio_from_bytes,
  };
  const cases = [...text.map((each) => ({ ...each, frame: textOf(each) })), ...binary.map((each) => ({ ...each, frame: bytesOf(each) }))];

  it('has 14 of text and 18 of binary frames', () => {
    expect([text.length, binary.length, count]).toEqual([14, 18, 14 + 18]);
  });

  it.each(cases)('refuses $name with $code', ({ faults, code, frame }) => {
    const read = (): ServerMessage => parseServerMessage(decodeFrame(frame, single, own));
    // A type that a client does not know is no fault of the server's ([P-29]).
    if (code === 'UNKNOWN_TYPE') expect([faults, read()]).toMatchObject([['message'], { kind: 'unknown' }]);
    else expect(codeOf(read)).toBe(code);
  });
});

describe('batches.json', () => {
  interface Batches {
    count: number;
    accept: (Formats & { name: string; rule: string; items: Record<keyof Formats, string[]> })[];
    reject: (Formats & { name: string; rule: string; code: string })[];
  }
  const { count, accept, reject } = readVectors<Batches>('batches.json');
  const parse = (frame: string, agreed: Agreement): ServerMessage =>
    parseServerMessage(decodeFrame(agreed.format === 'json' ? frame : bytesOf({ hex: frame }), agreed));

  it('has 6 that are taken and 34 that are not', () => {
    expect([accept.length, reject.length, count]).toEqual([6, 34, 6 + 34]);
  });

  it.each(accept)('reads $name ($rule) as what each envelope in it is alone', (batch) => {
    for (const agreed of [json, msgpack]) {
      const message = parse(batch[agreed.format], agreed);
      const alone = batch.items[agreed.format].map((item) => parse(item, agreed));
      const bare = (each: object): object => ({ ...each, size: 0 });
      expect(message).toMatchObject({ kind: 'batch' });
      expect((message as Extract<ServerMessage, { kind: 'batch' }>).messages.map(bare)).toEqual(alone.map(bare));
    }
  });

  it.each(reject)('refuses $name ($rule) with $code', (batch) => {
    for (const agreed of [json, msgpack]) expect(codeOf(() => parse(batch[agreed.format], agreed))).toBe(batch.code);
  });
});

describe('reorder.json', () => {
  interface Step {
    op: 'start' | 'push' | 'timeout' | 'stop' | 'clear';
    at: number;
    next: number;
    seq: number;
    bytes: number;
    out: string;
    ready: number[];
    due: number | null;
  }
  interface Reorder {
    count: number;
    steps: number;
    scripts: { name: string; limits: { items: number; bytes: number; wait_ms: number }; steps: Step[] }[];
  }
  const { count, steps, scripts } = readVectors<Reorder>('reorder.json');

  it('has 20 scripts of 121 steps', () => {
    expect([scripts.length, scripts.flatMap((script) => script.steps).length]).toEqual([20, 121]);
    expect([count, steps]).toEqual([20, 121]);
  });

  it.each(scripts)('$name', ({ limits, steps: script }) => {
    const pool = new ReorderPool({ items: limits.items, bytes: limits.bytes, waitMs: limits.wait_ms });
    const buffer = new ReorderBuffer<number>(pool);
    for (const step of script) {
      const ready: number[] = [];
      const take = (item: number): number => ready.push(item);
      let out: string | undefined;
      if (step.op === 'start') buffer.start(step.at, step.next - 1, take);
      else if (step.op === 'push') out = buffer.push(step.at, { seq: step.seq, previous: step.seq - 1, size: step.bytes, item: step.seq }, take);
      else if (step.op === 'timeout') out = buffer.handleTimeout(step.at) ? 'recover' : 'rest';
      else buffer[step.op]();
      expect([step, out, ready, buffer.pollTimeout()]).toEqual([step, step.out, step.ready, step.due]);
      expect(pool.bytes).toBeLessThanOrEqual(limits.bytes);
    }
  });
});
