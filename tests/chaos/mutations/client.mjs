// Mutations of the client, as those of the server in server.mjs. A variable of the process turns them on; pages are told of it by lib/clients.mjs.
export const on = (name) => `((globalThis as any).process?.env?.WSE_MUTATION === '${name}')`;

const REORDER = 'wse-client-ts/src/core/reorder.ts';
const ANSWERS = 'wse-client-ts/src/core/answers.ts';
const STREAM = 'wse-client-ts/src/core/topic-stream.ts';

export const CLIENT = [
  {
    name: 'positions-unsent',
    is: 'the client returns without its positions',
    edits: [
      {
        file: 'wse-client-ts/src/core/subscriptions.ts',
        old: 'for (const [name, position] of positions) asked.positions.set(name, position);',
        new: `for (const [name, position] of positions) if (!(${on('positions-unsent')} || ${on('loss-untold')})) asked.positions.set(name, position);`,
      },
    ],
  },
  {
    name: 'loss-untold',
    is: 'the client returns without its positions and does not tell what it lost by that',
    edits: [
      {
        file: STREAM,
        old: "return own === null || status === 'recovered' ? outcome : lost('history');",
        new: `return own === null || status === 'recovered' || ${on('loss-untold')} ? outcome : lost('history');`,
      },
    ],
  },
  {
    name: 'position-passes-hole',
    is: 'the client moves its position past a hole (the server leaves one message of each page of a replay out)',
    edits: [
      {
        file: REORDER,
        old: 'if (position === null || previous > position) return this.#wait(',
        new: `if (position === null || (previous > position && !${on('position-passes-hole')})) return this.#wait(`,
      },
      { file: 'wse-server/src/hub/catch_up.rs', old: 'wse_protocol::mutant("skip-one-replay")', new: '(wse_protocol::mutant("skip-one-replay") || wse_protocol::mutant("position-passes-hole"))' },
    ],
  },
  {
    name: 'repeats-taken',
    is: 'the client hands repetitions on (the server replays twice)',
    edits: [
      {
        file: REORDER,
        old: 'if ((position !== null && seq <= position) ||',
        new: `if ((position !== null && seq <= position && !${on('repeats-taken')}) ||`,
      },
      { file: 'wse-server/src/hub/catch_up.rs', old: 'wse_protocol::mutant("replay-twice")', new: '(wse_protocol::mutant("replay-twice") || wse_protocol::mutant("repeats-taken"))' },
    ],
  },
  {
    name: 'silence-unnoticed',
    is: 'a connection on which nothing comes is never given up',
    edits: [
      { file: 'wse-client-ts/src/core/liveness.ts', old: "if (silent && now - this.#deadline < LATE_MS) return { do: 'dead' };", new: `if (silent && now - this.#deadline < LATE_MS && !${on('silence-unnoticed')}) return { do: 'dead' };` },
    ],
  },
  {
    name: 'resync-untold',
    is: 'the application does not hear that a log began anew',
    edits: [
      {
        file: 'wse-client-ts/src/core/client.ts',
        old: "if (!this.#presence.handleResync(notice)) this.#notify('resync', notice);",
        new: `if (!this.#presence.handleResync(notice) && !${on('resync-untold')}) this.#notify('resync', notice);`,
      },
    ],
  },
  {
    name: 'resync-twice',
    is: 'the application hears twice that a log began anew',
    edits: [
      {
        file: ANSWERS,
        old: "    if (outcome.status === 'resync') {\n",
        new: `    if (outcome.status === 'resync') {\n      if (${on('resync-twice')}) this.news.resyncs.push({ topic: update.topic, reason: outcome.reason });\n`,
      },
    ],
  },
  {
    name: 'skip-kept-quiet',
    is: 'the application does not hear of messages that were left out',
    edits: [
      {
        file: 'wse-client-ts/src/core/client.ts',
        old: "    if (item.kind === 'skip') {\n",
        new: `    if (item.kind === 'skip') {\n      if (${on('skip-kept-quiet')}) return;\n`,
      },
    ],
  },
  {
    name: 'session-anew',
    is: 'a client that returns asks for another session',
    edits: [
      {
        file: 'wse-client-ts/src/core/direct.ts',
        old: 'return { session: this.#session,',
        new: `return { session: ${on('session-anew')} ? '' : this.#session,`,
      },
    ],
  },
  {
    name: 'birth-unasked',
    is: 'a topic of a pattern that is refused for the time being is not asked for again',
    by: [/is refused for the time being/],
    edits: [
      {
        file: ANSWERS,
        old: 'if (update.topics.some(isUnavailable)) entry',
        new: `if (update.topics.some(isUnavailable) && !${on('birth-unasked')}) entry`,
      },
    ],
  },
  {
    name: 'birth-passed',
    is: 'the place of births moves past a topic that is refused for the time being',
    by: [/is refused for the time being/],
    edits: [
      {
        file: ANSWERS,
        old: 'isPast || (entry.isPartial &&',
        new: `isPast || (entry.isPartial && !${on('birth-passed')} &&`,
      },
    ],
  },
  {
    name: 'place-without-state',
    is: 'a client whose connection broke before the state came returns as if it had the state',
    by: [/is not there yet when the connection breaks/],
    edits: [
      {
        file: STREAM,
        old: 'return this.#awaitsSnapshot ? null : this.position;',
        new: `return this.#awaitsSnapshot && !${on('place-without-state')} ? null : this.position;`,
      },
    ],
  },
];
