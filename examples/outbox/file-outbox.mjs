// An outbox of one process in one file: what is not acknowledged when the process ends is sent by the next one.
import { readFile, rename, writeFile } from 'node:fs/promises';

/** @implements {import('wse-client/core').OutboxStore} */
export class FileOutbox {
  isDurable = true;
  #path;
  #rows = new Map();
  #claims = new Set();

  constructor(path) {
    this.#path = path;
  }

  async open() {
    const text = await readFile(this.#path, 'utf8').catch((error) => (error.code === 'ENOENT' ? '[]' : Promise.reject(error)));
    for (const row of JSON.parse(text)) this.#rows.set(keyOf(row), row);
  }

  async producers(scope) {
    return [...new Set([...this.#rows.values()].filter((row) => row.scope === scope).map(({ producer }) => producer))];
  }

  async rows(scope, producer) {
    return [...this.#rows.values()].filter((row) => row.scope === scope && row.producer === producer).sort((a, b) => a.n - b.n);
  }

  /** The whole file anew, under another name first: it is the old one or the new one, never half of either. */
  async write(puts, removals) {
    const rows = new Map(this.#rows);
    for (const row of puts) rows.set(keyOf(row), row);
    for (const key of removals) rows.delete(keyOf(key));
    await writeFile(`${this.#path}.new`, JSON.stringify([...rows.values()]));
    await rename(`${this.#path}.new`, this.#path);
    this.#rows = rows;
  }

  /** No other process has this file. */
  async claim(producer) {
    if (this.#claims.has(producer)) return null;
    this.#claims.add(producer);
    return () => this.#claims.delete(producer);
  }
}

function keyOf({ scope, producer, n }) {
  return JSON.stringify([scope, producer, n]);
}
