// What an application sees of a client, written down in the order in which it saw it. Runs in Node and in a page.
import { attend, tapped } from './attend.mjs';

/** How soon a snapshot that failed is asked for again. */
const ASK_AGAIN_MS = 100;

/** Starts a client that notes everything; `plan` says what it holds and which room it attends, `lib` is `wse-client/core`. */
export function record({ createClient, Reduction, viewKey }, roles, { name, endpoints, options, holds, room = null, isTapped = false }) {
  const [log, sends] = [[], []];
  let session = null;
  const note = (entry) => log.push({ ...entry, at: Date.now() });
  const transport = isTapped ? { transport: tapped(roles.transport, note) } : {};
  const client = createClient({ endpoints, windowEvents: false, backoffBaseMs: 50, backoffCapMs: 400, connectTimeoutMs: 1_500, ...options }, { ...roles, ...transport });
  noteMessages(client, note);
  noteTopics(client, note);
  client.onNotice('error', ({ code, message, topic }) => {
    note({ kind: 'error', code, message, topic });
    if (code === 'SNAPSHOT_FAILED') setTimeout(() => client.resnapshot(topic), ASK_AGAIN_MS);
  });
  client.onNotice('status', ({ status, connection, user }) => note({ kind: 'status', status, connection, user }));
  const holder = client.hold();
  const tables = new Map();
  for (const { topic, filter } of holds) {
    holder.add([topic], filter === undefined ? {} : { filter });
    const table = new Reduction(client, viewKey(topic, filter), reduce);
    table.subscribe(() => undefined);
    tables.set(topic, table);
  }
  const attending = room === null ? null : attend(client, room, note);
  client.connect();
  return {
    name,
    /** Sends a message whose handler leaves a mark; its outcome is noted when it is known. */
    send({ n, how, keep = false }) {
      const outcome = { n, how, keep, outcome: null };
      sends.push(outcome);
      client.sendMessage('effect', { client: name, n, how }, { keep, ...(keep ? {} : { timeout: 15_000 }) }).then(
        (reply) => (outcome.outcome = reply === n ? 'acknowledged' : `another reply: ${JSON.stringify(reply)}`),
        (error) => (outcome.outcome = `failed: ${error.code}`),
      );
    },
    /** The name under which what is sent to its session comes. */
    async session() {
      session = `@session:${await client.sendMessage('session', null, { keep: false })}`;
      return session;
    },
    act: (what) => attending.act(what),
    setToken: (token) => client.setToken(token),
    isReady: () => holds.every(({ topic }) => ['live', 'recovered', 'resync'].includes(client.topics.get(topic)?.status)),
    seen: () => ({ name, session, log, sends, shown: attending?.shown() ?? {}, pending: client.pending, outbox: client.outbox.counts, reordered: client.reorderCounts, tables: Object.fromEntries([...tables].map(([topic, table]) => [topic, table.read().state ?? {}])) }),
    close: () => client.close(),
  };
}

function noteMessages(client, note) {
  client.on('*', (payload, { topic, category, epoch, seq }) => {
    if (topic === undefined || payload === null || typeof payload !== 'object' || category === 'S') return;
    note({ kind: 'message', topic, epoch, seq, n: payload.n, key: payload.key, group: payload.group });
  });
  client.onNotice('snapshot', ({ topic, state, epoch, seq }) => note({ kind: 'snapshot', topic, epoch, seq, state }));
}

function noteTopics(client, note) {
  client.onNotice('resync', ({ topic, reason }) => note({ kind: 'resync', topic, reason }));
  client.onNotice('skip', ({ topic, from, to, reason }) => note({ kind: 'skip', topic, from, to, reason }));
  const known = new Map();
  client.onNotice('topics', () => {
    for (const [topic, { status }] of client.topics) {
      if (known.get(topic) !== status) note({ kind: 'topic', topic, status });
      known.set(topic, status);
    }
  });
}

/** The newest row of each key: what a component makes of a topic that is a table. */
function reduce(state, { category, payload }) {
  if (category === 'S') return Array.isArray(payload) ? Object.fromEntries(payload.map(({ key, n }) => [key, n])) : {};
  return { ...state, [payload.key]: payload.n };
}
