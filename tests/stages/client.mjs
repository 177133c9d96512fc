// The calls of the client's stages, each with what has to fail where it is deleted: `e2e` names tests of tests/e2e, those of `client.test.mjs` by the scenarios' file,
// which docs/ARCHITECTURE.md names. They run against the packed client, in Node on taken sockets, and where a stage is the browser's in Chromium.

/** In Node a variable of the process names it; in a page one that Vite puts into what it builds. */
const on = (name) => `((globalThis as any).process?.env?.WSE_MUTATION ?? (import.meta as any).env?.VITE_MUTATION) === '${name}'`;
const scenario = (named, test) => ({ named, file: 'client.test.mjs', test });
const whole = (file, test) => ({ named: file, file, test });

const core = (file) => `wse-client-ts/src/core/${file}.ts`;
const LINE = core('line');
const STREAM = core('topic-stream');
const CONNECTION = core('connection');
const TOPICS = core('topics');
const OUTBOX = core('outbox');
const STORE = 'wse-client-ts/src/browser/indexed-outbox.ts';

const MSGPACK = scenario('formats.mjs', '[P-16] format msgpack');
const TWO_FILTERS = scenario('filters.mjs', '[P-23] [P-70] two filters on one topic');
const DRAIN = whole('drain.test.mjs', '[P-67] [P-68] two workers end one after the other');
const OUTBOX_IN_NODE = whole('outbox.test.mjs', 'G3: a message whose acknowledgement is lost is handled once and answered');

const WIRE = [
  {
    name: 'client-encode',
    edits: [{ file: LINE, old: '.send(encodeFrame(text, this.#agreed));', new: `.send(${on('client-encode')} ? text : encodeFrame(text, this.#agreed));` }],
    e2e: [MSGPACK],
  },
  { name: 'client-decode', edits: [{ file: LINE, old: 'decodeFrame(data, this.#agreed)', new: `decodeFrame(data, ${on('client-decode')} ? PLAIN : this.#agreed)` }], e2e: [MSGPACK] },
  {
    name: 'client-batches',
    edits: [{ file: LINE, old: 'for (const message of messages) if (!this.#isOver)', new: `for (const message of messages) if (!this.#isOver && !(${on('client-batches')}))` }],
    e2e: [scenario('formats.mjs', '[P-37] batches with format json')],
  },
];

const FOLLOWED = [
  { name: 'client-filters-asked', edits: [{ file: core('topic-book'), old: 'return unionOf(', new: `return ${on('client-filters-asked')} ? undefined : unionOf(` }], e2e: [TWO_FILTERS] },
  {
    name: 'client-filters-shown',
    edits: [{ file: core('held-filters'), old: '=> matches(payload)).map(', new: `=> ${on('client-filters-shown')} || matches(payload)).map(` }],
    e2e: [TWO_FILTERS],
  },
  {
    name: 'client-patterns',
    edits: [{ file: core('answers'), old: 'if (patternOf(member.topic) === update.topic)', new: `if (patternOf(member.topic) === update.topic && !(${on('client-patterns')}))` }],
    e2e: [scenario('patterns.mjs', '[P-39] a pattern brings topics of its namespace')],
  },
  {
    name: 'client-births',
    edits: [{ file: core('answers'), old: 'if (!keepsPlace) pattern.births =', new: `if (!keepsPlace && !(${on('client-births')})) pattern.births =` }],
    e2e: [scenario('patterns.mjs', '[P-39] away: known topics')],
  },
  {
    name: 'client-reorder',
    edits: [
      {
        file: STREAM,
        old: '    const entry = { seq, previous: message.previous ?? seq - 1',
        new: `    if (message.kind === (${on('client-reorder')} ? 'event' : ${on('client-reorder-skips')} ? 'skip' : null)) {\n      ready(message);\n      return false;\n    }\n    const entry = { seq, previous: message.previous ?? seq - 1`,
      },
    ],
    e2e: [scenario('gaps.mjs', '[P-34] a message that was overtaken is waited for')],
  },
  { name: 'client-reorder-skips', edits: [], e2e: [scenario('slow.mjs', '[P-43] latest')] },
  {
    name: 'client-reorder-beacons',
    edits: [{ file: STREAM, old: "if (message.kind === 'beacon') return this", new: `if (message.kind === 'beacon') return !(${on('client-reorder-beacons')}) && this` }],
    e2e: [scenario('filters.mjs', '[P-38] a beacon moves the place')],
  },
];

const LIFE = [
  {
    name: 'client-move',
    edits: [{ file: CONNECTION, old: 'if (!isOld) this.#handleMove(message);', new: `if (!isOld && !(${on('client-move')})) this.#handleMove(message);` }],
    e2e: [DRAIN],
  },
  {
    name: 'client-move-plans',
    edits: [{ file: TOPICS, old: 'isMove ? this.#subscriptions.planMove()', new: `isMove && !(${on('client-move-plans')}) ? this.#subscriptions.planMove()` }],
    e2e: [DRAIN],
  },
  {
    name: 'client-move-takes-over',
    edits: [{ file: TOPICS, old: 'this.#subscriptions.handleMove();', new: `if (!(${on('client-move-takes-over')})) this.#subscriptions.handleMove();` }],
    e2e: [DRAIN],
  },
  {
    name: 'client-stays',
    edits: [{ file: core('stays'), old: 'for (const stay of this.#stays.values()) stay.reset(isMove);', new: `for (const stay of this.#stays.values()) if (!(${on('client-stays')})) stay.reset(isMove);` }],
    e2e: [scenario('presence.mjs', '[P-62] one that is away for longer')],
  },
  {
    name: 'client-rosters',
    edits: [{ file: core('presence-driver'), old: 'else if (!roster.handleChange(', new: `else if (${on('client-rosters')} || !roster.handleChange(` }],
    e2e: [scenario('presence.mjs', '[P-60] [P-64] two clients see each other')],
  },
  {
    name: 'client-liveness',
    edits: [{ file: CONNECTION, old: 'this.#beat(this.#liveness.handleTimeout(this.#now()));', new: `if (!(${on('client-liveness')})) this.#beat(this.#liveness.handleTimeout(this.#now()));` }],
    e2e: [scenario('links.mjs', '[P-26] a line that goes silent')],
  },
  {
    name: 'client-backoff',
    edits: [{ file: core('machine'), old: "this.#enter('waiting', now + this.#backoff.next(this.#random()));", new: `this.#enter('waiting', now + (${on('client-backoff')} ? 0 : this.#backoff.next(this.#random())));` }],
    e2e: [scenario('links.mjs', '[P-41] while no connection can be made')],
  },
  {
    name: 'client-health',
    edits: [{ file: CONNECTION, old: 'this.health.handlePong(rttMs);', new: `if (!(${on('client-health')})) this.health.handlePong(rttMs);` }],
    e2e: [scenario('links.mjs', '[P-26] a line is judged')],
  },
];

const SENT = [
  {
    name: 'client-requests-order',
    edits: [{ file: core('requests'), old: 'isBlocked = !pending.message.prepare() || isBlocked;', new: `isBlocked = !pending.message.prepare() || (isBlocked && !(${on('client-requests-order')}));` }],
    e2e: [scenario('requests.mjs', '[P-30] messages that are kept')],
  },
  {
    name: 'client-requests-replies',
    edits: [{ file: core('sender'), old: 'return this.#requests.handleReply(cid, payload);', new: `return !(${on('client-requests-replies')}) && this.#requests.handleReply(cid, payload);` }],
    e2e: [scenario('requests.mjs', '[P-28] [P-30] replies and errors')],
  },
  { name: 'client-outbox', edits: [{ file: OUTBOX, old: "return entry.row.epoch !== '';", new: `return entry.row.epoch !== '' && !(${on('client-outbox')});` }], e2e: [OUTBOX_IN_NODE] },
  {
    name: 'client-owner',
    edits: [{ file: OUTBOX, old: 'this.#owner.inherits(row, link.user)', new: `${on('client-owner')} || this.#owner.inherits(row, link.user)` }],
    e2e: [whole('outbox.test.mjs', 'G3: another user neither sends nor sees')],
  },
  {
    name: 'client-shelf',
    edits: [{ file: OUTBOX, old: 'const rows = await this.#shelf.adopt(', new: `const rows = ${on('client-shelf')} ? [] : await this.#shelf.adopt(` }],
    e2e: [OUTBOX_IN_NODE],
  },
  {
    name: 'client-locks',
    edits: [{ file: STORE, old: '    const locks = this.#locks;\n', new: `    const locks = this.#locks;\n    if (locks !== null && ${on('client-locks')}) return () => undefined;\n` }],
    e2e: [whole('outbox.test.mjs', 'G3: of two tabs that find the rows of a third')],
  },
  {
    name: 'client-leases',
    edits: [{ file: STORE, old: 'return (await this.#leases?.claim(producer)) ?? null;', new: `return ${on('client-leases')} ? () => undefined : ((await this.#leases?.claim(producer)) ?? null);` }],
    e2e: [whole('outbox.test.mjs', 'G3: a living tab keeps its own rows on a page without Web Locks')],
  },
];

export const CLIENT = [...WIRE, ...FOLLOWED, ...LIFE, ...SENT];
