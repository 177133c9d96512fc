// The checksum at the end of a zlib stream (RFC 1950, section 8.2).

/** So many bytes can be summed before a 32-bit sum could overflow. */
const RUN = 2_000;

/** Adler-32 of `bytes`, as an unsigned number. */
export function adler32(bytes: Uint8Array): number {
  let [a, b] = [1, 0];
  for (let from = 0; from < bytes.length; from += RUN) {
    for (const byte of bytes.subarray(from, from + RUN)) {
      a += byte;
      b += a;
    }
    a %= 65_521;
    b %= 65_521;
  }
  return ((b << 16) | a) >>> 0;
}
