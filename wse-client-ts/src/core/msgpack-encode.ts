// Writes a value that JSON can hold as MessagePack, each in its shortest form.

/** `value`, as JSON.parse gives it, packed behind `prefix`. */
export function pack(value: unknown, prefix: Uint8Array): Uint8Array<ArrayBuffer> {
  const writer = new Writer(prefix);
  writer.value(value);
  return writer.done();
}

class Writer {
  #bytes = new Uint8Array(1_024);
  #view = new DataView(this.#bytes.buffer);
  #at: number;
  readonly #utf8 = new TextEncoder();

  constructor(prefix: Uint8Array) {
    this.#bytes.set(prefix);
    this.#at = prefix.length;
  }

  done(): Uint8Array<ArrayBuffer> {
    return this.#bytes.subarray(0, this.#at);
  }

  value(value: unknown): void {
    if (typeof value === 'string') this.#text(value);
    else if (typeof value === 'number') this.#number(value);
    else if (typeof value === 'boolean') this.#byte(value ? 0xc3 : 0xc2);
    else if (Array.isArray(value)) this.#array(value);
    else if (typeof value === 'object' && value !== null) this.#map(value);
    else this.#byte(0xc0);
  }

  #array(array: readonly unknown[]): void {
    this.#head(array.length, [0x90, 16], null, 0xdc);
    for (const item of array) this.value(item);
  }

  #map(map: object): void {
    const entries = Object.entries(map);
    this.#head(entries.length, [0x80, 16], null, 0xde);
    for (const [key, item] of entries) {
      this.#text(key);
      this.value(item);
    }
  }

  #text(text: string): void {
    const bytes = this.#utf8.encode(text);
    this.#head(bytes.length, [0xa0, 32], 0xd9, 0xda);
    this.#reserve(bytes.length);
    this.#bytes.set(bytes, this.#at);
    this.#at += bytes.length;
  }

  /** A length: within the type byte, in one byte where there is such a form, in two, or in four. */
  #head(length: number, [short, limit]: readonly [number, number], one: number | null, two: number): void {
    if (length < limit) this.#byte(short | length);
    else if (one !== null && length < 0x100) this.#sized(one, 1, length);
    else if (length < 0x10000) this.#sized(two, 2, length);
    else this.#sized(two + 1, 4, length);
  }

  #number(value: number): void {
    if (!Number.isSafeInteger(value) || Object.is(value, -0)) this.#float(value);
    else if (value >= -32 && value < 128) this.#byte(value & 255);
    else if (value >= 0) this.#unsigned(value);
    else this.#negative(value);
  }

  #unsigned(value: number): void {
    if (value < 0x100) this.#sized(0xcc, 1, value);
    else if (value < 0x10000) this.#sized(0xcd, 2, value);
    else if (value < 0x100000000) this.#sized(0xce, 4, value);
    else this.#big(0xcf, value);
  }

  #negative(value: number): void {
    if (value >= -0x80) this.#sized(0xd0, 1, value);
    else if (value >= -0x8000) this.#sized(0xd1, 2, value);
    else if (value >= -0x80000000) this.#sized(0xd2, 4, value);
    else this.#big(0xd3, value);
  }

  #float(value: number): void {
    this.#byte(0xcb);
    this.#reserve(8);
    this.#view.setFloat64(this.#at, value);
    this.#at += 8;
  }

  #big(type: number, value: number): void {
    this.#byte(type);
    this.#reserve(8);
    this.#view.setBigInt64(this.#at, BigInt(value));
    this.#at += 8;
  }

  #sized(type: number, size: 1 | 2 | 4, value: number): void {
    this.#byte(type);
    for (let shift = (size - 1) * 8; shift >= 0; shift -= 8) this.#byte((value >>> shift) & 255);
  }

  #byte(byte: number): void {
    this.#reserve(1);
    this.#bytes[this.#at++] = byte;
  }

  #reserve(count: number): void {
    if (this.#at + count <= this.#bytes.length) return;
    const larger = new Uint8Array(Math.max(this.#at + count, this.#bytes.length * 2));
    larger.set(this.#bytes);
    this.#bytes = larger;
    this.#view = new DataView(larger.buffer);
  }
}
