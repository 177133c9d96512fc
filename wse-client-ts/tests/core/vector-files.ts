// Reads the shared vectors: what every implementation of the protocol must agree on.
import { readFileSync } from 'node:fs';
import type { Envelope } from '../../src/core';
import { HEADER_KEYS } from '../../src/core/header-scan';

const folder = new URL('../../../vectors/', import.meta.url);

/** One file. */
export function readVectors<T>(name: string): T {
  return JSON.parse(readFileSync(new URL(name, folder), 'utf8')) as T;
}

/** Text, whole or in pieces. */
export type Text = { text: string } | { repeat: { text: string; times: number }[] };

/** Bytes, whole or in pieces. */
export type Bytes = { hex: string } | { repeat: { hex: string; times: number }[] };

/** The whole text. */
export function textOf(text: Text): string {
  return 'text' in text ? text.text : text.repeat.map((piece) => piece.text.repeat(piece.times)).join('');
}

/** The whole of the bytes. */
export function bytesOf(bytes: Bytes): ArrayBuffer {
  const pieces = 'hex' in bytes ? [Buffer.from(bytes.hex, 'hex')] : bytes.repeat.map(({ hex, times }) => Buffer.alloc((hex.length / 2) * times, hex, 'hex'));
  return Uint8Array.from(Buffer.concat(pieces)).buffer;
}

/** An envelope without the keys that no header has, which the client does not keep. */
export function known(envelope: Partial<Envelope>): Partial<Envelope> {
  return Object.fromEntries(HEADER_KEYS.filter((key) => key in envelope).map((key) => [key, envelope[key]]));
}
