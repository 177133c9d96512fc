// The envelope of protocol 2: decode from text or MessagePack, check every header field, encode ([P-10] to [P-16]).
import { DEFAULTS } from './defaults.gen';
import { WSEError } from './errors';
import { HEADER_KEYS, type HeaderScan, scanHeader } from './header-scan';
import { tooDeep, unpack } from './msgpack-decode';

/** Category: the protocol's own, snapshot, update. */
export type Category = 'WSE' | 'S' | 'U';

/** BACKGROUND, LOW, NORMAL, HIGH, CRITICAL. */
export type Priority = 1 | 3 | 5 | 8 | 10;

/** One frame's content; the keys are those of the wire. */
export interface Envelope {
  v: 2;
  t: string;
  c?: Category;
  id?: string;
  ts?: string;
  tp?: string;
  e?: string;
  seq?: number;
  ps?: number;
  k?: string;
  pri?: Priority;
  cid?: string;
  pid?: string;
  n?: number;
  na?: number;
  pe?: string;
  p?: unknown;
}

/** Bounds on what is decoded. */
export interface EnvelopeLimits {
  /** Nesting levels, the envelope included. */
  readonly nestingDepth: number;
}

const PRIORITIES: readonly unknown[] = [1, 3, 5, 8, 10];
const CATEGORIES: readonly unknown[] = ['WSE', 'S', 'U'];

/** Longest UTF-8 length of the header's strings, in bytes. */
const STRING_BYTES = { t: 256, id: 64, ts: 64, tp: DEFAULTS.topicBytes, e: 64, k: 256, cid: 64, pid: 64, pe: 64 } as const;
const COUNTS = ['seq', 'ps', 'n', 'na'] as const;

/** An envelope, and what was seen of the envelopes in it where it is a batch. */
export interface ReadEnvelope {
  readonly envelope: Envelope;
  readonly items: readonly HeaderScan[];
}

/** Decodes one JSON frame; throws a WSEError with the code that [P-12] names. */
export function decodeEnvelope(text: string, limits: EnvelopeLimits = DEFAULTS): Envelope {
  return readEnvelope(text, limits).envelope;
}

/** The same, for a frame that may be a batch. */
export function readEnvelope(text: string, limits: EnvelopeLimits): ReadEnvelope {
  const value = parseObject(text);
  const scan = scanHeader(text, isBatch(value));
  if (scan.isBeyondJson) throw new WSEError('INVALID_JSON', 'The frame has half a surrogate pair, or a number beyond the largest double.');
  return checkFrame(value, scan, limits);
}

/** Decodes what follows `M:`; throws a WSEError with the code that [P-12] or [P-16] names. */
export function decodePackedEnvelope(bytes: Uint8Array, limits: EnvelopeLimits = DEFAULTS): Envelope {
  return readPackedEnvelope(bytes, limits).envelope;
}

/** The same, for a frame that may be a batch. */
export function readPackedEnvelope(bytes: Uint8Array, limits: EnvelopeLimits): ReadEnvelope {
  const { value, scan } = unpack(bytes, limits.nestingDepth);
  return checkFrame(value, scan, limits);
}

function checkFrame(value: Readonly<Record<string, unknown>>, scan: HeaderScan, limits: EnvelopeLimits): ReadEnvelope {
  if (scan.levels(isBatch(value)) > limits.nestingDepth) throw tooDeep(limits.nestingDepth);
  return { envelope: checkEnvelope(value, scan), items: scan.items };
}

function isBatch(value: Readonly<Record<string, unknown>>): boolean {
  return value['t'] === 'batch' && value['c'] === 'WSE';
}

/** Checks what was parsed elsewhere, such as one envelope of a batch; keeps the known keys. */
export function checkEnvelope(value: Readonly<Record<string, unknown>>, scan: HeaderScan): Envelope {
  if (scan.repeated !== null) throw invalid(scan.repeated);
  const version = value['v'];
  if (!isCount(version) || scan.fractional.has('v')) throw invalid('v');
  if (version !== DEFAULTS.protocolVersion) {
    throw new WSEError('UNSUPPORTED_VERSION', `The frame has version ${version}; this client speaks ${DEFAULTS.protocolVersion}.`);
  }
  return checkHeader(value, scan.fractional);
}

/** Encodes an envelope; throws `INVALID_PAYLOAD` for a payload that JSON cannot hold. */
export function encodeEnvelope(envelope: Omit<Envelope, 'v'>): string {
  try {
    return JSON.stringify({ v: DEFAULTS.protocolVersion, ...envelope });
  } catch (cause) {
    throw WSEError.client('INVALID_PAYLOAD', '', cause);
  }
}

/** UTF-8 length of a string. */
export function utf8Bytes(text: string): number {
  return new TextEncoder().encode(text).length;
}

/** Whether `text` has 1 to `max` bytes of UTF-8. */
export function fitsBytes(text: string, max: number): boolean {
  // No UTF-16 unit takes more than 3 bytes, so most strings need no encoding.
  return text.length > 0 && (text.length * 3 <= max || utf8Bytes(text) <= max);
}

function parseObject(text: string): Record<string, unknown> {
  let value: unknown;
  try {
    value = JSON.parse(text);
  } catch (cause) {
    throw new WSEError('INVALID_JSON', 'The frame is not JSON.', { cause });
  }
  if (typeof value !== 'object' || value === null || Array.isArray(value)) {
    throw new WSEError('INVALID_JSON', 'The frame is not a JSON object.');
  }
  return value as Record<string, unknown>;
}

function checkHeader(value: Readonly<Record<string, unknown>>, fractional: ReadonlySet<string>): Envelope {
  for (const key of [...COUNTS, 'pri']) if (fractional.has(key)) throw invalid(key);
  if (value['t'] === undefined) throw invalid('t');
  for (const [key, max] of Object.entries(STRING_BYTES)) {
    const field = value[key];
    if (field !== undefined && !(typeof field === 'string' && fitsBytes(field, max))) throw invalid(key);
  }
  const { c, pri } = value;
  if (c !== undefined && !CATEGORIES.includes(c)) throw invalid('c');
  for (const key of COUNTS) if (value[key] !== undefined && !isCount(value[key])) throw invalid(key);
  if (pri !== undefined && !PRIORITIES.includes(pri)) throw invalid('pri');
  checkOrigin(value);
  return pick(value);
}

/** Who wants to know an effect says of which message, and where to answer ([P-51]). */
function checkOrigin({ pid, n, na, pe, cid }: Readonly<Record<string, unknown>>): void {
  if (pid === undefined && n === undefined && na === undefined && pe === undefined) return;
  if (pid === undefined) throw invalid('pid');
  if (n === undefined || n === 0) throw invalid('n');
  if (cid === undefined) throw invalid('cid');
}

function isCount(value: unknown): value is number {
  return Number.isSafeInteger(value) && (value as number) >= 0;
}

/** Keeps the known keys; `value` has been checked field by field. */
function pick(value: Readonly<Record<string, unknown>>): Envelope {
  const known: Record<string, unknown> = {};
  for (const key of HEADER_KEYS) if (value[key] !== undefined) known[key] = value[key];
  return known as unknown as Envelope;
}

function invalid(field: string): WSEError {
  return new WSEError('INVALID_MESSAGE', `The frame's \`${field}\` is missing, stands twice or has the wrong type.`);
}
