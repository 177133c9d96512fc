// Reads fields of payloads that are `unknown` until looked at.
import { WSEError } from './errors';

/** The object, or an empty one for anything else. */
export function asRecord(value: unknown): Readonly<Record<string, unknown>> {
  return typeof value === 'object' && value !== null && !Array.isArray(value) ? (value as Record<string, unknown>) : {};
}

/** The string, or nothing. */
export function readText(value: unknown): string | undefined {
  return typeof value === 'string' ? value : undefined;
}

/** The integer above 0, or the fallback. */
export function count(value: unknown, fallback: number): number {
  return typeof value === 'number' && Number.isSafeInteger(value) && value > 0 ? value : fallback;
}

/** A message of the server's that lacks what the protocol requires. */
export function malformed(type: string): WSEError {
  return new WSEError('INVALID_MESSAGE', `The server's \`${type}\` lacks a field that the protocol requires.`);
}
