// What filters ask of JSON values: the places that a path reaches, equality, order ([P-72] to [P-75]).
import { fitsBytes } from './envelope';

/** An object of JSON. */
export type JsonObject = Readonly<Record<string, unknown>>;

/** A value that a path reaches; `undefined` where the field is missing. */
export type Place = unknown;

const PATH = { bytes: 256, segments: 16 } as const;

/** Whether it is an object of JSON: neither null nor an array. */
export function isObject(value: unknown): value is JsonObject {
  return typeof value === 'object' && value !== null && !Array.isArray(value);
}

/** A path's segments; `undefined` for one that breaks a rule. */
export function readPath(text: string): string[] | undefined {
  const segments = text.split('.');
  return fitsBytes(text, PATH.bytes) && segments.length <= PATH.segments && !segments.includes('') ? segments : undefined;
}

/** Whether `accepts` holds at one of the places that the path reaches. */
export function places(value: unknown, path: readonly string[], accepts: (place: Place) => boolean, from = 0): boolean {
  const segment = path[from];
  if (segment === undefined || value === undefined) return accepts(value);
  if (!Array.isArray(value)) return places(field(value, segment), path, accepts, from + 1);
  if (/^(?:0|[1-9]\d{0,8})$/.test(segment)) return places(value[Number(segment)], path, accepts, from + 1);
  if (value.length === 0) return accepts(undefined);
  return value.some((element) => places(field(element, segment), path, accepts, from + 1));
}

function field(value: unknown, key: string): unknown {
  return isObject(value) && Object.hasOwn(value, key) ? value[key] : undefined;
}

/** Deep equality. */
export function equal(a: unknown, b: unknown): boolean {
  if (Array.isArray(a)) return Array.isArray(b) && a.length === b.length && a.every((element, index) => equal(element, b[index]));
  if (!isObject(a)) return a === b;
  if (!isObject(b)) return false;
  const keys = Object.keys(a);
  return keys.length === Object.keys(b).length && keys.every((key) => Object.hasOwn(b, key) && equal(a[key], b[key]));
}

/** A part of a string, or an element of an array. */
export function contains(value: unknown, operand: unknown): boolean {
  if (Array.isArray(value)) return value.some((element) => equal(element, operand));
  return typeof value === 'string' && typeof operand === 'string' && value.includes(operand);
}

/** Arrays and objects inside one another, the value itself included. */
export function depthOf(value: unknown): number {
  if (typeof value !== 'object' || value === null) return 0;
  return 1 + Math.max(0, ...Object.values(value).map(depthOf));
}

/** Order by code point, where JavaScript's own is by UTF-16 unit. */
export function compareText(a: string, b: string): number {
  const length = Math.min(a.length, b.length);
  for (let i = 0; i < length; i++) {
    const [x, y] = [a.charCodeAt(i), b.charCodeAt(i)];
    if (x !== y) return rank(x) - rank(y);
  }
  return a.length - b.length;
}

/** Surrogates stand for code points above all that one unit holds. */
function rank(unit: number): number {
  return unit >= 0xd800 && unit < 0xe000 ? unit + 0x10000 : unit;
}
