// Reads one MessagePack map of JSON's values and nothing else ([P-16]).
import { WSEError } from './errors';
import { BATCH_LEVELS, HeaderScan } from './header-scan';

/** A map read, and what its values alone do not tell. */
export interface Unpacked {
  readonly value: Record<string, unknown>;
  readonly scan: HeaderScan;
}

/** Reads `bytes` as one map; throws `INVALID_MSGPACK`, or `TOO_DEEP` beyond `nestingDepth` levels and those that a batch has around its items. */
export function unpack(bytes: Uint8Array, nestingDepth: number): Unpacked {
  return new Reader(bytes, nestingDepth).run();
}

/** Strings up to so many bytes of ASCII are read without TextDecoder, whose call costs more than they do. */
const SHORT = 24;

class Reader {
  readonly #bytes: Uint8Array;
  readonly #view: DataView;
  readonly #depth: number;
  // A byte order mark is part of the string that it stands in.
  readonly #utf8 = new TextDecoder('utf-8', { fatal: true, ignoreBOM: true });
  readonly #scan = new HeaderScan();
  #at = 0;
  /** The frame's own `t`, once it is read. */
  #type: unknown;
  /** The frame's key whose value is being read. */
  #field = '';
  #inItems = false;

  constructor(bytes: Uint8Array, depth: number) {
    this.#bytes = bytes;
    this.#view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
    this.#depth = depth;
  }

  run(): Unpacked {
    const value = this.#value(0);
    if (typeof value !== 'object' || value === null || Array.isArray(value)) throw invalid('no map');
    if (this.#at !== this.#bytes.length) throw invalid('bytes after the value');
    return { value: value as Record<string, unknown>, scan: this.#scan };
  }

  #value(level: number): unknown {
    const type = this.#uint(1);
    if (type < 0x80) return type;
    if (type >= 0xe0) return type - 0x100;
    if (type < 0x90) return this.#map(type & 15, level);
    if (type < 0xa0) return this.#array(type & 15, level);
    if (type < 0xc0) return this.#text(type & 31);
    return this.#marked(type, level);
  }

  #marked(type: number, level: number): unknown {
    if (type === 0xc0) return null;
    if (type === 0xc2 || type === 0xc3) return type === 0xc3;
    if (type === 0xca || type === 0xcb) return this.#float(type === 0xca ? 4 : 8);
    if (type >= 0xcc && type <= 0xcf) return this.#uint(1 << (type - 0xcc));
    if (type >= 0xd0 && type <= 0xd3) return this.#int(1 << (type - 0xd0));
    if (type >= 0xd9 && type <= 0xdb) return this.#text(this.#uint(1 << (type - 0xd9)));
    if (type === 0xdc || type === 0xdd) return this.#array(this.#uint(type === 0xdc ? 2 : 4), level);
    if (type === 0xde || type === 0xdf) return this.#map(this.#uint(type === 0xde ? 2 : 4), level);
    throw invalid('a binary or extension type, which JSON has not');
  }

  #map(length: number, level: number): Record<string, unknown> {
    this.#enter(length * 2, level, false);
    const scan = level === 0 ? this.#scan : this.#inItems && level === BATCH_LEVELS ? this.#scan.items.at(-1) : undefined;
    const map: Record<string, unknown> = {};
    for (let left = length; left > 0; left -= 1) {
      const key = this.#key();
      scan?.see(key, this.#isFloat());
      if (level === 0) this.#field = key;
      const value = this.#value(level + 1);
      if (level === 0 && key === 't') this.#type = value;
      setOwn(map, key, value);
    }
    return map;
  }

  #array(length: number, level: number): unknown[] {
    this.#enter(length, level, true);
    const array: unknown[] = [];
    for (let left = length; left > 0; left -= 1) array.push(this.#value(level + 1));
    return array;
  }

  /** Values take a byte at least: a length that the frame cannot hold ends here, before anything is made of it. */
  #enter(values: number, level: number, isArray: boolean): void {
    if (level === 1) this.#inItems = isArray && this.#field === 'p' && (this.#type ?? 'batch') === 'batch';
    this.#scan.enter(level + 1, this.#inItems && level > 0);
    if (level >= this.#depth + BATCH_LEVELS) throw tooDeep(this.#depth);
    this.#need(values);
  }

  #key(): string {
    const type = this.#bytes[this.#at] ?? 0;
    if (!((type >= 0xa0 && type < 0xc0) || (type >= 0xd9 && type <= 0xdb))) throw invalid('a key that is no string');
    return this.#value(0) as string;
  }

  #isFloat(): boolean {
    const type = this.#bytes[this.#at];
    return type === 0xca || type === 0xcb;
  }

  #text(length: number): string {
    this.#need(length);
    const bytes = this.#bytes.subarray(this.#at, this.#at + length);
    this.#at += length;
    if (length <= SHORT && bytes.every((byte) => byte < 0x80)) return String.fromCharCode(...bytes);
    try {
      return this.#utf8.decode(bytes);
    } catch (cause) {
      throw invalid('a string that is not UTF-8', cause);
    }
  }

  #uint(size: number): number {
    let value = 0;
    this.#need(size);
    for (let left = size; left > 0; left -= 1) value = value * 256 + (this.#bytes[this.#at++] ?? 0);
    return value;
  }

  #int(size: number): number {
    const at = this.#at;
    this.#need(size);
    this.#at += size;
    if (size === 8) return Number(this.#view.getBigInt64(at));
    return size === 4 ? this.#view.getInt32(at) : size === 2 ? this.#view.getInt16(at) : this.#view.getInt8(at);
  }

  #float(size: number): number {
    const at = this.#at;
    this.#need(size);
    this.#at += size;
    const value = size === 4 ? this.#view.getFloat32(at) : this.#view.getFloat64(at);
    if (!Number.isFinite(value)) throw invalid('NaN or an infinity, which JSON has not');
    return value;
  }

  #need(count: number): void {
    if (count > this.#bytes.length - this.#at) throw invalid('a length beyond its end');
  }
}

/** As JSON.parse does it: a key named `__proto__` is a key like any other. */
function setOwn(map: Record<string, unknown>, key: string, value: unknown): void {
  if (key === '__proto__') Object.defineProperty(map, key, { value, writable: true, enumerable: true, configurable: true });
  else map[key] = value;
}

/** More than `depth` levels. */
export function tooDeep(depth: number): WSEError {
  return new WSEError('TOO_DEEP', `The frame is nested deeper than ${depth} levels.`);
}

function invalid(what: string, cause?: unknown): WSEError {
  return new WSEError('INVALID_MSGPACK', `The MessagePack has ${what}.`, { cause });
}
