// Canonical Huffman codes of DEFLATE (RFC 1951, section 3.2.2) as one look-up table.

/** A code to read with: the next `bits` bits index the table; an entry is `symbol << 4 | length`, 0 stands for nothing. */
export interface HuffmanTable {
  readonly table: Uint16Array;
  readonly mask: number;
}

/** Longest code. */
const MAX_BITS = 15;

/**
 * The table of a code, given each symbol's length (0: unused); null where no such code exists. A code that leaves patterns
 * without a symbol is none, but (unless `isWhole`) for one single symbol of one bit, or for no symbol at all.
 */
export function huffmanTable(lengths: Uint8Array, isWhole: boolean): HuffmanTable | null {
  const counts = countLengths(lengths);
  let bits = MAX_BITS;
  while (bits > 1 && counts[bits] === 0) bits -= 1;
  const next = new Uint16Array(MAX_BITS + 2);
  let free = 1;
  for (let length = 1; length <= MAX_BITS; length += 1) {
    const count = counts[length] ?? 0;
    free = free * 2 - count;
    if (free < 0) return null;
    next[length + 1] = ((next[length] ?? 0) + count) << 1;
  }
  if (free > 0 && (isWhole || bits > 1)) return null;
  return fill(lengths, next, bits);
}

/** The lowest `count` bits of `code` in reverse: Huffman codes come highest bit first, all else lowest first. */
export function reverseBits(code: number, count: number): number {
  let reversed = 0;
  for (let bit = 0; bit < count; bit += 1) reversed = (reversed << 1) | ((code >> bit) & 1);
  return reversed;
}

/** Lengths of the fixed literal code (section 3.2.6). */
export function fixedLengths(): Uint8Array {
  return new Uint8Array(288).fill(8, 0, 144).fill(9, 144, 256).fill(7, 256, 280).fill(8, 280);
}

function countLengths(lengths: Uint8Array): Uint16Array {
  const counts = new Uint16Array(MAX_BITS + 1);
  for (const length of lengths) if (length > 0) counts[length] = (counts[length] ?? 0) + 1;
  return counts;
}

function fill(lengths: Uint8Array, next: Uint16Array, bits: number): HuffmanTable {
  const table = new Uint16Array(1 << bits);
  for (const [symbol, length] of lengths.entries()) {
    if (length === 0) continue;
    const code = next[length] ?? 0;
    next[length] = code + 1;
    for (let at = reverseBits(code, length); at < table.length; at += 1 << length) table[at] = (symbol << 4) | length;
  }
  return { table, mask: table.length - 1 };
}
