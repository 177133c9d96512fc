// Reads one whole zlib stream (RFC 1950 and 1951) into memory whose bound is known before the first byte is written ([P-17]).
import { adler32 } from './adler32';
import { DEFAULTS } from './defaults.gen';
import { WSEError } from './errors';
import { fixedLengths, huffmanTable, type HuffmanTable } from './huffman';

/** Bounds on what comes out. */
export interface InflateLimits {
  /** Most bytes of output. */
  readonly inflateBytes: number;
  /** Most bytes of output for one of input, where the output is above `inflateRatioFromBytes`. */
  readonly inflateRatio: number;
  readonly inflateRatioFromBytes: number;
}

/** Order in which the lengths of the code-length code are written (RFC 1951, section 3.2.7). */
const LENGTH_ORDER = [16, 17, 18, 0, 8, 7, 9, 6, 10, 5, 11, 4, 12, 3, 13, 2, 14, 1, 15];

const END_OF_BLOCK = 256;

/**
 * What the stream holds. Throws `INVALID_COMPRESSION` where it is broken, truncated, or followed by anything, and
 * `INFLATE_LIMIT` before more memory than the limits allow is taken.
 */
export function inflate(stream: Uint8Array, limits: InflateLimits = DEFAULTS): Uint8Array<ArrayBuffer> {
  // Nobody compresses into something larger: what comes in beyond the limit would come out beyond it.
  if (stream.length > limits.inflateBytes) throw beyond(limits.inflateBytes);
  const byRatio = Math.max(limits.inflateRatioFromBytes, limits.inflateRatio * stream.length);
  return new Inflater(stream, Math.min(limits.inflateBytes, byRatio)).run();
}

class Inflater {
  readonly #input: Uint8Array;
  readonly #most: number;
  /** Next bit to read. */
  #bit = 16;
  #output: Uint8Array<ArrayBuffer>;
  #length = 0;

  constructor(input: Uint8Array, most: number) {
    this.#input = input;
    this.#most = most;
    this.#output = new Uint8Array(Math.min(most, Math.max(256, input.length * 4)));
  }

  run(): Uint8Array<ArrayBuffer> {
    const [method = 0, flags = 0] = this.#input;
    const isZlib = (method & 15) === 8 && method >> 4 <= 7 && ((method << 8) | flags) % 31 === 0 && (flags & 32) === 0;
    if (!isZlib) throw broken('no zlib header');
    let isLast = false;
    while (!isLast) {
      isLast = this.#take(1) === 1;
      this.#block(this.#take(2));
    }
    return this.#finish();
  }

  #block(kind: number): void {
    if (kind === 0) this.#stored();
    else if (kind === 1) this.#compressed(fixedCodes());
    else if (kind === 2) this.#compressed(this.#codes());
    else throw broken('a block of no kind');
  }

  /** The bits ahead, 16 or more; zeros past the end. */
  #peek(): number {
    const at = this.#bit >> 3;
    const input = this.#input;
    return ((input[at] ?? 0) | ((input[at + 1] ?? 0) << 8) | ((input[at + 2] ?? 0) << 16)) >>> (this.#bit & 7);
  }

  #take(count: number): number {
    const value = this.#peek() & ((1 << count) - 1);
    this.#skip(count);
    return value;
  }

  #skip(count: number): void {
    this.#bit += count;
    if (this.#bit > this.#input.length * 8) throw broken('no end');
  }

  #symbol({ table, mask }: HuffmanTable): number {
    const entry = table[this.#peek() & mask] ?? 0;
    if (entry === 0) throw broken('a code that stands for nothing');
    this.#skip(entry & 15);
    return entry >> 4;
  }

  #stored(): void {
    this.#align();
    const length = this.#take(16);
    if ((this.#take(16) ^ length) !== 0xffff) throw broken('a stored block of two lengths');
    const from = this.#bit >> 3;
    this.#skip(length * 8);
    this.#reserve(length);
    this.#output.set(this.#input.subarray(from, from + length), this.#length);
    this.#length += length;
  }

  #compressed([literals, distances]: readonly [HuffmanTable, HuffmanTable]): void {
    for (;;) {
      const symbol = this.#symbol(literals);
      if (symbol === END_OF_BLOCK) return;
      if (symbol < END_OF_BLOCK) {
        this.#reserve(1);
        this.#output[this.#length++] = symbol;
      } else {
        this.#copy(this.#copyLength(symbol - 257), this.#distance(this.#symbol(distances)));
      }
    }
  }

  #copyLength(code: number): number {
    if (code > 28) throw broken('a length of no code');
    if (code < 8) return code + 3;
    if (code === 28) return 258;
    const extra = (code >> 2) - 1;
    return ((4 + (code & 3)) << extra) + 3 + this.#take(extra);
  }

  #distance(code: number): number {
    if (code > 29) throw broken('a distance of no code');
    if (code < 2) return code + 1;
    const extra = (code >> 1) - 1;
    return ((2 + (code & 1)) << extra) + 1 + this.#take(extra);
  }

  #copy(length: number, distance: number): void {
    if (distance > this.#length) throw broken('a distance to before its start');
    this.#reserve(length);
    const output = this.#output;
    // Byte by byte: the copy may reach into what it has just written.
    for (let end = this.#length + length; this.#length < end; this.#length += 1) output[this.#length] = output[this.#length - distance] ?? 0;
  }

  #reserve(count: number): void {
    const needed = this.#length + count;
    if (needed <= this.#output.length) return;
    if (needed > this.#most) throw beyond(this.#most);
    const larger = new Uint8Array(Math.min(this.#most, Math.max(needed, this.#output.length * 2)));
    larger.set(this.#output.subarray(0, this.#length));
    this.#output = larger;
  }

  /** The two codes of a dynamic block (section 3.2.7). */
  #codes(): readonly [HuffmanTable, HuffmanTable] {
    const [literals, distances, given] = [this.#take(5) + 257, this.#take(5) + 1, this.#take(4) + 4];
    if (literals > 286 || distances > 30) throw broken('too many codes');
    const order = new Uint8Array(19);
    for (const at of LENGTH_ORDER.slice(0, given)) order[at] = this.#take(3);
    const lengths = this.#lengths(code(order, true), literals + distances);
    if (lengths[END_OF_BLOCK] === 0) throw broken('a block without an end');
    return [code(lengths.subarray(0, literals), false), code(lengths.subarray(literals), false)];
  }

  #lengths(table: HuffmanTable, count: number): Uint8Array {
    const lengths = new Uint8Array(count);
    for (let at = 0; at < count; ) {
      const symbol = this.#symbol(table);
      if (symbol < 16) {
        lengths[at++] = symbol;
        continue;
      }
      if (symbol === 16 && at === 0) throw broken('nothing to repeat');
      const value = symbol === 16 ? (lengths[at - 1] ?? 0) : 0;
      const times = symbol === 16 ? 3 + this.#take(2) : symbol === 17 ? 3 + this.#take(3) : 11 + this.#take(7);
      if (at + times > count) throw broken('too many lengths');
      lengths.fill(value, at, at + times);
      at += times;
    }
    return lengths;
  }

  #align(): void {
    this.#bit = (this.#bit + 7) & ~7;
  }

  #finish(): Uint8Array<ArrayBuffer> {
    this.#align();
    const from = this.#bit >> 3;
    this.#skip(32);
    if (from + 4 !== this.#input.length) throw broken('something after its end');
    const output = this.#output.subarray(0, this.#length);
    const [a = 0, b = 0, c = 0, d = 0] = this.#input.subarray(from);
    if (((a << 24) | (b << 16) | (c << 8) | d) >>> 0 !== adler32(output)) throw broken('another checksum');
    return output;
  }
}

let fixed: readonly [HuffmanTable, HuffmanTable] | null = null;

function fixedCodes(): readonly [HuffmanTable, HuffmanTable] {
  // 30 of the 32 distances mean something, which `#distance` checks.
  fixed ??= [code(fixedLengths(), true), code(new Uint8Array(32).fill(5), true)];
  return fixed;
}

function code(lengths: Uint8Array, isWhole: boolean): HuffmanTable {
  const table = huffmanTable(lengths, isWhole);
  if (table === null) throw broken('lengths that make no code');
  return table;
}

function broken(what: string): WSEError {
  return new WSEError('INVALID_COMPRESSION', `The compressed frame has ${what}.`);
}

function beyond(most: number): WSEError {
  return new WSEError('INFLATE_LIMIT', `The compressed frame inflates beyond ${most} bytes.`);
}
