// Whether what a server left out on purpose may be left out ([P-43]). Pure.
import { CRITICAL, kindOf } from './plan.mjs';

const REASONS = { latest: 'latest', low: 'drop_low', ttl: 'ttl' };

/** Every skip of a topic that breaks its rule; `logs` is what is stored, by epoch. */
export function leftOutWrongly(notes, logs, topic, filter) {
  const wrongly = skipsOf(notes).flatMap(({ from, to, reason, at, epoch }) => {
    if (REASONS[kindOf(topic)] !== reason) return [`[P-43] ${from} to ${to} were left out by ${reason}`];
    const passing = [...(logs.get(epoch) ?? [])].filter(([, message]) => filter === undefined || message.group === filter.group);
    const within = passing.filter(([seq]) => from <= seq && seq <= to);
    return within.filter(([seq, message]) => !mayGo(reason, seq, message, passing, at)).map(([seq]) => `[P-43] ${seq} was left out by ${reason}, which does not hold for it`);
  });
  return [...wrongly, ...overlaps(notes)];
}

/** A position comes or is told as skipped, and once: of a place that the client has passed nothing is told. */
function overlaps(notes) {
  const skips = skipsOf(notes);
  const came = notes.filter(({ kind }) => kind === 'message');
  return skips.flatMap(({ epoch, from, to }, i) => {
    const isWithin = (other) => other.epoch === epoch && from <= other.seq && other.seq <= to;
    const both = came.filter(isWithin).map(({ seq }) => `[P-43] ${seq} came, and ${from} to ${to} were left out`);
    const twice = skips.slice(0, i).filter((before) => before.epoch === epoch && before.from <= to && from <= before.to);
    return [...both, ...twice.map((before) => `[P-43] ${from} to ${to} were left out, and ${before.from} to ${before.to} before`)];
  });
}

function mayGo(reason, seq, message, passing, at) {
  if (reason === 'latest') return passing.some(([later, { key }]) => later > seq && key === message.key);
  if (reason === 'drop_low') return message.priority !== CRITICAL;
  // It was given its time after `began`; both are whole milliseconds.
  return message.ttl !== null && at >= message.began + message.ttl * 1_000 - 2;
}

/** Every skip with its epoch: that of the notes before it, or after a resync of those that follow. */
export function skipsOf(notes) {
  let epoch;
  return notes.flatMap((note, i) => {
    if (note.kind === 'resync') epoch = undefined;
    epoch = note.epoch ?? epoch ?? notes.slice(i).find((later) => later.epoch !== undefined)?.epoch;
    return note.kind === 'skip' ? [{ ...note, epoch }] : [];
  });
}
