// What an application sees of a client, written down in the order in which it saw it. Runs in Node and in a page.

/** Starts a client that notes everything; `plan` says what it holds. */
export function record(createClient, roles, { name, endpoints, options, holds }) {
  const client = createClient({ endpoints, windowEvents: false, backoffBaseMs: 50, backoffCapMs: 400, connectTimeoutMs: 1_500, ...options }, roles);
  const log = [];
  const sends = [];
  const note = (entry) => log.push({ ...entry, at: Date.now() });
  const isOwn = (payload, topic) => topic !== undefined && payload !== null && typeof payload === 'object';
  client.on('*', (payload, { topic, epoch, seq }) => {
    if (isOwn(payload, topic)) note({ kind: 'message', topic, epoch, seq, n: payload.n, key: payload.key, group: payload.group });
  });
  client.onNotice('resync', ({ topic, reason }) => note({ kind: 'resync', topic, reason }));
  client.onNotice('skip', ({ topic, from, to, reason }) => note({ kind: 'skip', topic, from, to, reason }));
  client.onNotice('error', ({ code, message }) => note({ kind: 'error', code, message }));
  client.onNotice('status', ({ status, connection }) => note({ kind: 'status', status, connection }));
  const known = new Map();
  client.onNotice('topics', () => {
    for (const [topic, { status }] of client.topics) {
      if (known.get(topic) !== status) note({ kind: 'topic', topic, status });
      known.set(topic, status);
    }
  });
  const holder = client.hold();
  for (const { topic, filter } of holds) holder.add([topic], filter === undefined ? {} : { filter });
  client.connect();
  return {
    name,
    /** Sends a message whose handler leaves a mark; its outcome is noted when it is known. */
    send(n) {
      const outcome = { n, outcome: null };
      sends.push(outcome);
      client.sendMessage('effect', { client: name, n }, { timeout: 15_000 }).then(
        (reply) => (outcome.outcome = reply === n ? 'acknowledged' : `another reply: ${JSON.stringify(reply)}`),
        (error) => (outcome.outcome = `failed: ${error.code}`),
      );
    },
    isReady: () => holds.every(({ topic }) => ['live', 'recovered', 'resync'].includes(client.topics.get(topic)?.status)),
    seen: () => ({ name, log, sends, pending: client.pending }),
    close: () => client.close(),
  };
}
