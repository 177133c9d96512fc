// Whether what clients saw keeps the contract. Pure: receipts, effects and the clients' notes come in, sentences about what is broken come out.
import { leftOutWrongly, skipsOf } from './left-out.mjs';
import { namesOf, tooManyResyncs } from './resyncs.mjs';
import { wrongTables } from './tables.mjs';

/** Everything that a run broke, each with the clause that it breaks; `kills` are the times at which servers were killed. */
export function breaches({ plan, published, effects, seen, kills }) {
  const truth = truthOf(published);
  // Only the in-process bus loses its logs with its process.
  const losses = plan.bus === 'memory' ? kills : [];
  const ofClient = (client, { holds }) => [
    ...followed(client, [...holds, ...namesOf(client).map((topic) => ({ topic }))], truth),
    ...tooManyResyncs(client, losses),
    ...wrongTables(client, holds, published),
    ...unasked(client, plan.drains?.length > 0),
    ...outcomes(client, effects, kills.length),
  ];
  return [...truth.breaches, ...seen.flatMap((client, i) => ofClient(client, plan.clients[i])), ...inOrder(effects)];
}

/** What the bus says is stored: by topic and epoch, what is at each position. */
function truthOf(published) {
  const logs = new Map();
  const found = [];
  for (const { topic, receipt, ...message } of published) {
    const log = entry(entry(logs, topic, () => new Map()), receipt.epoch, () => new Map());
    const other = log.get(receipt.seq);
    if (other !== undefined) found.push(`[G4] position ${receipt.seq} of ${topic} was given to ${other.n} and to ${message.n}`);
    log.set(receipt.seq, message);
  }
  return { logs, breaches: found };
}

function entry(map, key, make) {
  if (!map.has(key)) map.set(key, make());
  return map.get(key);
}

/** [G1] [G2]: each topic that a client follows, by itself. */
function followed({ name, log }, holds, truth) {
  return [...truth.logs].flatMap(([topic, epochs]) => {
    const hold = holds.find((each) => each.topic === topic) ?? holds.find((each) => each.topic === topic.replace(/:.*/, ':*'));
    if (hold === undefined) return [];
    const notes = log.filter((note) => note.topic === topic || (note.topic === hold.topic && note.kind !== 'message'));
    const found = [...sequence(notes, epochs, hold), ...coverage(notes, epochs, hold), ...leftOutWrongly(notes, epochs, topic, hold.filter)];
    return found.map((text) => `${text} (${name}, ${topic})`);
  });
}

/** [G1]: positions ascend; [G2]: another epoch is told; what comes is what is stored, and passes the filter. */
function sequence(notes, epochs, { filter }) {
  const found = [];
  let last = null;
  let isTold = false;
  for (const note of notes) {
    if (note.kind === 'resync') isTold = true;
    if (note.kind !== 'message' && note.kind !== 'snapshot') continue;
    const { epoch, seq, n } = note;
    if (last !== null && last.epoch !== epoch && !isTold) found.push(`[G2] another epoch at position ${seq}, and no resync`);
    const before = last?.epoch === epoch ? last.seq : -1;
    isTold = false;
    last = note;
    if (note.kind === 'snapshot') {
      if (seq < before) found.push(`[P-57] the state of position ${seq} came after ${before}`);
      continue;
    }
    const stored = epochs.get(epoch)?.get(seq);
    if (stored !== undefined && stored.n !== n) found.push(`[G4] ${n} came at position ${seq}, where ${stored.n} is stored`);
    if (filter !== undefined && note.group !== filter.group) found.push(`[P-70] ${n} of group ${note.group} does not pass the filter`);
    if (seq <= before) found.push(`[G1] position ${seq} came after ${before}`);
  }
  return found;
}

/** [G2]: every position that was to come came, is in the first state, was kept back by the filter, or is told as skipped. */
function coverage(notes, epochs, { topic, filter }) {
  const isOwn = topic.startsWith('@');
  // What is for its user or its session a client gets from its first connection on, without a word of it: nothing is sent before that.
  const live = isOwn ? { at: -Infinity } : notes.find(({ kind, status }) => kind === 'topic' && status !== 'pending');
  if (live === undefined) return ['[G2] the topic was never live'];
  const messages = notes.filter(({ kind }) => kind === 'message');
  const skips = skipsOf(notes);
  // What was published before the first message came is due from the moment at which the topic was live, or began anew.
  const anew = notes.findLast(({ kind, at }) => kind === 'resync' && at <= (messages[0]?.at ?? Infinity));
  const since = (anew ?? live).at;
  const present = messages.at(-1)?.epoch ?? [...epochs.keys()].at(-1);
  return [...epochs].flatMap(([epoch, log]) => {
    const seqs = messages.filter((note) => note.epoch === epoch).map(({ seq }) => seq);
    const came = new Set(seqs);
    // What the present log has is all due; of an earlier one, what lies between messages that came.
    const asked = epoch === messages[0]?.epoch || messages.length === 0 ? [...log].filter(([, { began }]) => began > since).map(([seq]) => seq) : [];
    const first = notes.find((note) => note.epoch === epoch);
    const from = first?.kind === 'snapshot' ? first.seq + 1 : least([...asked, ...seqs]);
    const to = epoch === present ? most([...log.keys()]) : most(seqs);
    const missing = [];
    for (let seq = from; seq <= to; seq += 1) {
      const stored = log.get(seq);
      const isKept = filter !== undefined && stored?.group !== filter.group;
      if (!came.has(seq) && !isKept && !skips.some((skip) => skip.epoch === epoch && skip.from <= seq && seq <= skip.to)) missing.push(seq);
    }
    return missing.length === 0 ? [] : [`[G2] ${missing.length} of ${to} positions never came and no word was said: ${missing.slice(0, 8).join(' ')}`];
  });
}

function least(numbers) {
  return numbers.reduce((a, b) => Math.min(a, b), Infinity);
}

function most(numbers) {
  return numbers.reduce((a, b) => Math.max(a, b), -Infinity);
}

/** [P-33]: on one connection nothing is missing that is not told, and nothing comes twice: the client has nothing to put right. While it moves, two connections bring the same ([P-68]). */
function unasked({ name, reordered }, moves) {
  const wrong = Object.entries(reordered).filter(([what, count]) => count > 0 && !(moves && what === 'old'));
  return wrong.map(([what, count]) => `[P-33] the client had ${count} times to mend what came: ${what} (${name})`);
}

/**
 * [G3]: every send has an outcome; acknowledged or failed in its handler, its effect is there once; otherwise failed, not more than once.
 * What the client keeps fails otherwise only as unknown, and only where a server was killed.
 */
function outcomes({ name, sends }, effects, kills) {
  return sends.flatMap(({ n, how, keep, outcome }) => {
    const count = effects.filter((effect) => effect.client === name && effect.n === n).length;
    const whole = how === 'raise' ? 'failed: HANDLER_FAILED' : 'acknowledged';
    const isLost = keep ? outcome === 'failed: OUTCOME_UNKNOWN' && kills > 0 : outcome?.startsWith('failed') && outcome !== 'failed: HANDLER_FAILED';
    const isRight = outcome === whole ? count === 1 : isLost && count <= 1;
    return isRight ? [] : [`[G3] send ${n} (${outcome ?? 'no outcome'}) had ${count} effects (${name})`];
  });
}

/** [P-30]: the messages of one connection take effect in the order in which it sent them. */
function inOrder(effects) {
  const last = new Map();
  return effects.flatMap(({ client, n, connection }) => {
    const before = last.get(connection) ?? -1;
    last.set(connection, n);
    return n > before ? [] : [`[P-30] effect ${n} came after effect ${before} (${client}, ${connection})`];
  });
}
