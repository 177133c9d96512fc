// Mutations of the client's outbox, as those of the client in client.mjs.
import { on } from './client.mjs';

const OUTBOX = 'wse-client-ts/src/core/outbox.ts';

export const OF_OUTBOX = [
  {
    name: 'age-of-either-sign',
    is: 'what was written an hour ahead of the clock, which was set back since, is taken for an hour old',
    by: [/clock set back/],
    edits: [
      {
        file: OUTBOX,
        old: 'return this.#roles.clock.wall() - since;',
        new: `const age = this.#roles.clock.wall() - since;\n    return ${on('age-of-either-sign')} ? Math.abs(age) : age;`,
      },
    ],
  },
  {
    name: 'row-gone-when-sent',
    is: 'a row of the outbox is removed when its message is sent, before it is acknowledged',
    by: [/never arrived/],
    edits: [
      {
        file: OUTBOX,
        old: '    entry.isSent = true;\n',
        new: `    entry.isSent = true;\n    if (${on('row-gone-when-sent')}) this.#shelf.remove(entry.row);\n`,
      },
    ],
  },
  {
    name: 'number-anew',
    is: 'a message that is sent again gets another number',
    edits: [{ file: OUTBOX, old: '{ pid: producer, n, na:', new: `{ pid: producer, n: isSent && ${on('number-anew')} ? n + 1_000 : n, na:` }],
  },
  {
    name: 'order-turned',
    is: 'what waits when the connection is lost is sent last first on the next one',
    edits: [
      {
        file: 'wse-client-ts/src/core/requests.ts',
        old: '  handleDrop(): void {\n',
        new: `  handleDrop(): void {\n    if (${on('order-turned')}) this.#waiting = new Map([...this.#waiting].reverse());\n`,
      },
    ],
  },
  {
    name: 'expiry-untold',
    is: 'a message that got too old is dropped without a word',
    by: [/too old/],
    edits: [
      {
        file: OUTBOX,
        old: '  #giveUp(entry: Entry, error: WSEError): void {\n    this.#events.onGone(entry.row.id);\n',
        new: `  #giveUp(entry: Entry, error: WSEError): void {
    this.#events.onGone(entry.row.id);
    if (error.code === 'EXPIRED' && ${on('expiry-untold')}) {
      this.#forget(entry);
      this.#shelf.remove(entry.row);
      return;
    }
`,
      },
    ],
  },
  {
    name: 'epoch-unsaid',
    is: 'a message that is sent again does not say under which epoch it was sent first, so that a server which forgot it takes it for new',
    by: [/killed in its handler/],
    edits: [{ file: OUTBOX, old: '...(isSent ? { pe: epoch } : {})', new: `...(isSent && !${on('epoch-unsaid')} ? { pe: epoch } : {})` }],
  },
];
