// Whether what a server left out on purpose may be left out ([P-43]). Pure.
import { CRITICAL, kindOf } from './plan.mjs';

const REASONS = { latest: 'latest', low: 'drop_low', ttl: 'ttl' };

/** Every skip of a topic that breaks its rule; `logs` is what is stored, by epoch. */
export function leftOutWrongly(notes, logs, topic, filter) {
  return withEpochs(notes).flatMap(({ from, to, reason, at, epoch }) => {
    if (REASONS[kindOf(topic)] !== reason) return [`[P-43] ${from} to ${to} were left out by ${reason}`];
    const passing = [...(logs.get(epoch) ?? [])].filter(([, message]) => filter === undefined || message.group === filter.group);
    const within = passing.filter(([seq]) => from <= seq && seq <= to);
    return within.filter(([seq, message]) => !mayGo(reason, seq, message, passing, at)).map(([seq]) => `[P-43] ${seq} was left out by ${reason}, which does not hold for it`);
  });
}

function mayGo(reason, seq, message, passing, at) {
  if (reason === 'latest') return passing.some(([later, { key }]) => later > seq && key === message.key);
  if (reason === 'drop_low') return message.priority !== CRITICAL;
  // It was given its time after `began`; both are whole milliseconds.
  return message.ttl !== null && at >= message.began + message.ttl * 1_000 - 2;
}

/** A skip is of the epoch that the notes around it are of. */
function withEpochs(notes) {
  let epoch = notes.find((note) => note.epoch !== undefined)?.epoch;
  return notes.flatMap((note) => {
    epoch = note.epoch ?? epoch;
    return note.kind === 'skip' ? [{ ...note, epoch }] : [];
  });
}
