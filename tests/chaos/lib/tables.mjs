// Whether the snapshots of topics, and what clients make of them and the messages after them, are what was published ([P-57]). Pure.
import { hasState } from './plan.mjs';

/** What is wrong with the tables that a client holds. */
export function wrongTables({ name, log, tables }, holds, published) {
  return holds.filter(({ topic }) => hasState(topic)).flatMap(({ topic, filter }) => {
    const messages = published.filter((message) => message.topic === topic && (filter === undefined || message.group === filter.group));
    const states = log.filter((note) => note.kind === 'snapshot' && note.topic === topic);
    const found = [...states.flatMap((note) => tooOld(note, messages, filter)), ...ends(tables[topic] ?? {}, messages)];
    return found.map((text) => `[P-57] ${text} (${name}, ${topic})`);
  });
}

/** A state holds what every message up to its position says, and only what passes the filter. */
function tooOld({ epoch, seq, state }, messages, filter) {
  const rows = new Map(state.map(({ key, n }) => [key, n]));
  const lacking = messages.filter(({ receipt, key, n }) => receipt.epoch === epoch && receipt.seq <= seq && !(rows.get(key) >= n));
  const foreign = state.filter(({ group }) => filter !== undefined && group !== filter.group);
  return [
    ...lacking.slice(0, 3).map(({ key, n }) => `the state at ${seq} lacks ${n} of ${key}`),
    ...foreign.slice(0, 3).map(({ n }) => `the state at ${seq} has ${n}, which does not pass the filter`),
  ];
}

/** At the end a client's table has the newest of each key. */
function ends(table, messages) {
  const newest = new Map();
  for (const { key, n } of messages) newest.set(key, Math.max(n, newest.get(key) ?? 0));
  return [...newest].filter(([key, n]) => table[key] !== n).map(([key, n]) => `the table ends with ${table[key]} of ${key}, and ${n} was the last`);
}
