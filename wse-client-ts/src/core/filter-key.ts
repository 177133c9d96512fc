// Filters by value: what a subscription's filter looks like, and one key for all that are equal.
import { WSEError } from './errors';
import { compareText, isObject } from './filter-value';

/** A filter as the server takes it, such as `{ price: { $gt: 100 } }`; see the protocol's section on filters. */
export type Filter = Readonly<Record<string, unknown>>;

/** Equal for filters that are equal by value, whatever the order of their keys; empty for none. Throws `INVALID_FILTER` for what has no JSON. */
export function filterKey(filter: Filter | undefined): string {
  if (filter === undefined) return '';
  try {
    return JSON.stringify(filter, sortKeys);
  } catch (cause) {
    throw new WSEError('INVALID_FILTER', 'A filter is what its JSON says; this one has none.', { cause, fault: 'application' });
  }
}

/** Names what one holder sees of a topic: the topic itself, or (a topic has no white space) the topic and its filter. */
export function viewKey(topic: string, filter: Filter | undefined): string {
  return viewOf(topic, filterKey(filter));
}

/** The same from the filter's key. */
export function viewOf(topic: string, key: string): string {
  return key === '' ? topic : `${topic} ${key}`;
}

/** For JSON.stringify: objects with their keys in order. */
export function sortKeys(_key: string, value: unknown): unknown {
  if (!isObject(value)) return value;
  return Object.fromEntries(Object.entries(value).sort(([a], [b]) => compareText(a, b)));
}
