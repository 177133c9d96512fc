// Filters by value: what a subscription's filter looks like, and one key for all that are equal.

/** A filter as the server takes it, such as `{ price: { $gt: 100 } }`; see the protocol's section on filters. */
export type Filter = Readonly<Record<string, unknown>>;

/** Equal for filters that are equal by value, whatever the order of their keys; empty for none. */
export function filterKey(filter: Filter | undefined): string {
  return filter === undefined ? '' : JSON.stringify(filter, (_key, value: unknown) => (isPlain(value) ? sorted(value) : value));
}

/** Names what one holder sees of a topic: the topic itself, or (a topic has no white space) the topic and its filter. */
export function viewKey(topic: string, filter: Filter | undefined): string {
  return filter === undefined ? topic : `${topic} ${filterKey(filter)}`;
}

function isPlain(value: unknown): value is Record<string, unknown> {
  return typeof value === 'object' && value !== null && !Array.isArray(value);
}

function sorted(object: Record<string, unknown>): Record<string, unknown> {
  return Object.fromEntries(Object.entries(object).sort(([a], [b]) => (a < b ? -1 : 1)));
}
