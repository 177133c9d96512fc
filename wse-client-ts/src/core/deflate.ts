// Writes one zlib stream with fixed Huffman codes (RFC 1950 and 1951): small code for the small messages that a page sends.
import { adler32 } from './adler32';
import { fixedLengths, reverseBits } from './huffman';

/** Bits of the hash of three bytes. */
const HASH_BITS = 15;
const WINDOW = 32_768;
const MIN_MATCH = 3;
const MAX_MATCH = 258;
/** Earlier places tried for the longest match; more gains little on JSON and costs time in proportion. */
const PROBES = 16;

/** `input` compressed; null where that is not smaller. Fixed codes take 13 bits for 258 bytes at least: a ratio of 159, which no receiver refuses. */
export function deflate(input: Uint8Array): Uint8Array<ArrayBuffer> | null {
  const writer = new BitWriter(input.length - 1);
  // Deflate with a window of 32 KiB; no preset dictionary.
  writer.put(0x78, 8);
  writer.put(0x9c, 8);
  // The last block, with fixed codes.
  writer.put(0b011, 3);
  const matcher = new Matcher(input);
  for (let at = 0; at < input.length && !writer.isFull; ) {
    const { length, distance } = matcher.longest(at);
    if (length < MIN_MATCH) writer.literal(input[at] ?? 0);
    else writer.copy(length, distance);
    const end = at + Math.max(1, length);
    for (; at < end; at += 1) matcher.add(at);
  }
  return writer.finish(adler32(input));
}

/** Finds earlier occurrences through chains of equal hashes. */
class Matcher {
  readonly #input: Uint8Array;
  /** One more than the last place of each hash; 0: none. */
  readonly #last = new Int32Array(1 << HASH_BITS);
  /** The same for the place before each place, within the window. */
  readonly #before: Int32Array;

  constructor(input: Uint8Array) {
    this.#input = input;
    this.#before = new Int32Array(Math.min(WINDOW, input.length));
  }

  add(at: number): void {
    if (at + MIN_MATCH > this.#input.length) return;
    const hash = this.#hash(at);
    this.#before[at % WINDOW] = this.#last[hash] ?? 0;
    this.#last[hash] = at + 1;
  }

  longest(at: number): { readonly length: number; readonly distance: number } {
    let best = { length: 0, distance: 0 };
    if (at + MIN_MATCH > this.#input.length) return best;
    let candidate = (this.#last[this.#hash(at)] ?? 0) - 1;
    for (let probe = 0; probe < PROBES && candidate >= 0 && at - candidate < WINDOW; probe += 1) {
      const length = this.#equal(candidate, at);
      if (length > best.length) best = { length, distance: at - candidate };
      candidate = (this.#before[candidate % WINDOW] ?? 0) - 1;
    }
    return best;
  }

  #hash(at: number): number {
    const input = this.#input;
    const three = ((input[at] ?? 0) << 16) | ((input[at + 1] ?? 0) << 8) | (input[at + 2] ?? 0);
    // Knuth's multiplicative hash: 2^32 divided by the golden ratio.
    return Math.imul(three, 0x9e3779b1) >>> (32 - HASH_BITS);
  }

  #equal(one: number, two: number): number {
    const most = Math.min(MAX_MATCH, this.#input.length - two);
    let length = 0;
    while (length < most && this.#input[one + length] === this.#input[two + length]) length += 1;
    return length;
  }
}

/** Writes bits, lowest first, up to a number of bytes. */
class BitWriter {
  readonly #output: Uint8Array<ArrayBuffer>;
  #length = 0;
  #bits = 0;
  #count = 0;

  constructor(most: number) {
    this.#output = new Uint8Array(Math.max(0, most));
  }

  /** Whether more was written than there is room for. */
  get isFull(): boolean {
    return this.#length > this.#output.length;
  }

  put(value: number, count: number): void {
    this.#bits |= value << this.#count;
    this.#count += count;
    for (; this.#count >= 8; this.#count -= 8) {
      this.#output[this.#length++] = this.#bits & 255;
      this.#bits >>>= 8;
    }
  }

  literal(symbol: number): void {
    const code = fixedCode();
    this.put(code.bits[symbol] ?? 0, code.lengths[symbol] ?? 0);
  }

  copy(length: number, distance: number): void {
    this.#writeLength(length - MIN_MATCH);
    const beyond = distance - 1;
    const extra = beyond < 2 ? 0 : 30 - Math.clz32(beyond);
    this.put(reverseBits(beyond < 2 ? beyond : 2 * (extra + 1) + ((beyond >> extra) & 1), 5), 5);
    this.put(beyond & ((1 << extra) - 1), extra);
  }

  /** Ends the block and the stream; null when it did not fit. */
  finish(checksum: number): Uint8Array<ArrayBuffer> | null {
    this.literal(256);
    this.put(0, (8 - this.#count) % 8);
    for (const shift of [24, 16, 8, 0]) this.put((checksum >>> shift) & 255, 8);
    return this.isFull ? null : this.#output.subarray(0, this.#length);
  }

  #writeLength(beyond: number): void {
    if (beyond === MAX_MATCH - MIN_MATCH) {
      this.literal(285);
      return;
    }
    const extra = beyond < 8 ? 0 : 29 - Math.clz32(beyond);
    this.literal(257 + (beyond < 8 ? beyond : 4 * (extra + 1) + ((beyond >> extra) & 3)));
    this.put(beyond & ((1 << extra) - 1), extra);
  }
}

let fixed: { readonly lengths: Uint8Array; readonly bits: Uint16Array } | null = null;

/** The fixed literal code, its bits in the order of writing. */
function fixedCode(): { readonly lengths: Uint8Array; readonly bits: Uint16Array } {
  if (fixed !== null) return fixed;
  const lengths = fixedLengths();
  const bits = Uint16Array.from(lengths, (length, symbol) => reverseBits(firstCode(length) + rank(symbol, length), length));
  fixed = { lengths, bits };
  return fixed;
}

function firstCode(length: number): number {
  return length === 7 ? 0 : length === 8 ? 0x30 : 0x190;
}

/** Place of a symbol among those of its length. */
function rank(symbol: number, length: number): number {
  if (length === 7) return symbol - 256;
  if (length === 9) return symbol - 144;
  return symbol < 144 ? symbol : symbol - 280 + 144;
}
