// Frames: from what a socket delivers to an envelope and back, as the two hellos agreed ([P-9], [P-14] to [P-17]).
import type { Agreement } from './agreement';
import { DEFAULTS } from './defaults.gen';
import { deflate } from './deflate';
import { readEnvelope, readPackedEnvelope, utf8Bytes, type EnvelopeLimits, type ReadEnvelope } from './envelope';
import { WSEError } from './errors';
import { inflate, type InflateLimits } from './inflate';
import { pack } from './msgpack-encode';

/** An envelope and how much came in for it. */
export interface Frame extends ReadEnvelope {
  /** Size after inflating: bytes, or UTF-16 units of text. */
  readonly size: number;
}

/** Bounds on what is decoded. */
export type FrameLimits = EnvelopeLimits & InflateLimits;

const [MSGPACK, COMPRESSED] = ['M:', 'C:'].map((tag) => new TextEncoder().encode(tag)) as [Uint8Array, Uint8Array];

/** Decodes one frame; throws a WSEError with the code that the protocol names. */
export function decodeFrame(data: string | ArrayBuffer, agreed: Agreement, limits: FrameLimits = DEFAULTS): Frame {
  if (typeof data === 'string') {
    checkSize(data.length, limits);
    return { ...readEnvelope(data, limits), size: data.length };
  }
  const bytes = new Uint8Array(data);
  if (hasTag(bytes, COMPRESSED)) {
    if (!agreed.compression) throw notAgreed('compression');
    return decodeInflated(inflate(bytes.subarray(2), limits), agreed, limits);
  }
  checkSize(bytes.length, limits);
  return decodePacked(bytes, agreed, limits);
}

/** Encodes a JSON envelope as the connection wants it: compressed from `compressionFromBytes` on, where that makes it smaller. */
export function encodeFrame(text: string, agreed: Agreement): string | Uint8Array<ArrayBuffer> {
  if (agreed.format === 'msgpack') {
    const packed = pack(JSON.parse(text), MSGPACK);
    // Numbers with few digits are shorter in JSON, which [P-16] takes too: what fits the server's limit so must not outgrow it.
    if (packed.length <= text.length || packed.length <= utf8Bytes(text)) return compress(packed, agreed) ?? packed;
  }
  // No UTF-16 unit takes more than 3 bytes, so most frames need no encoding.
  if (!agreed.compression || text.length * 3 < DEFAULTS.compressionFromBytes) return text;
  return compress(new TextEncoder().encode(text), agreed) ?? text;
}

function checkSize(size: number, { inflateBytes }: FrameLimits): void {
  if (size > inflateBytes) throw new WSEError('MESSAGE_TOO_LARGE', `The frame has more than ${inflateBytes} bytes.`);
}

function decodeInflated(body: Uint8Array, agreed: Agreement, limits: FrameLimits): Frame {
  if (hasTag(body, MSGPACK)) return decodePacked(body, agreed, limits);
  if (hasTag(body, COMPRESSED)) throw new WSEError('INVALID_COMPRESSION', 'The compressed frame holds a compressed frame.');
  return { ...readEnvelope(readText(body), limits), size: body.length };
}

function decodePacked(bytes: Uint8Array, agreed: Agreement, limits: FrameLimits): Frame {
  if (!hasTag(bytes, MSGPACK)) throw new WSEError('UNSUPPORTED_FORMAT', 'The binary frame has no tag that this client knows.');
  if (agreed.format !== 'msgpack') throw notAgreed('MessagePack');
  return { ...readPackedEnvelope(bytes.subarray(2), limits), size: bytes.length };
}

function readText(bytes: Uint8Array): string {
  try {
    return new TextDecoder('utf-8', { fatal: true, ignoreBOM: true }).decode(bytes);
  } catch (cause) {
    throw new WSEError('INVALID_JSON', 'The frame is not UTF-8.', { cause });
  }
}

function compress(frame: Uint8Array, agreed: Agreement): Uint8Array<ArrayBuffer> | null {
  if (!agreed.compression || frame.length < DEFAULTS.compressionFromBytes) return null;
  const stream = deflate(frame);
  if (stream === null || stream.length + 2 >= frame.length) return null;
  const tagged = new Uint8Array(stream.length + 2);
  tagged.set(COMPRESSED);
  tagged.set(stream, 2);
  return tagged;
}

function hasTag(bytes: Uint8Array, tag: Uint8Array): boolean {
  return bytes[0] === tag[0] && bytes[1] === tag[1];
}

function notAgreed(what: string): WSEError {
  return new WSEError('UNSUPPORTED_FORMAT', `The server sent ${what}, which was not negotiated.`);
}
