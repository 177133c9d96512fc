// What the outbox's tests stand on: a server whose effects are counted in a file, a gate before it, and tabs of a real browser.
import { existsSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { temporaryFolder } from '../lib/fresh.mjs';
import { readFrame } from '../lib/frames.mjs';
import { openGate } from '../lib/gate.mjs';
import { FIXTURES } from '../lib/paths.mjs';
import { freePort, until } from '../lib/process.mjs';
import { uvicorn } from '../lib/server.mjs';

/** One server, reached for WebSockets through a gate and for pages without it, so that a page loads while nothing else passes. */
export class Site {
  #env;
  #effects;
  #server;
  #port;
  gate;

  static async open({ redis, page }) {
    const site = new Site();
    site.#effects = join(temporaryFolder('effects'), 'effects');
    site.#env = { EFFECTS: site.#effects, ...(redis === undefined ? {} : { REDIS: redis }), ...(page === undefined ? {} : { PAGE: page }) };
    site.#port = await freePort();
    site.gate = await openGate(site.#port);
    await site.start();
    return site;
  }

  get page() {
    return `http://127.0.0.1:${this.#port}/`;
  }

  get endpoint() {
    return `ws://127.0.0.1:${this.gate.port}/wse`;
  }

  async start(env = {}) {
    this.#server = await uvicorn({ name: 'outbox', folder: join(FIXTURES, 'outbox'), port: this.#port, env: { ...this.#env, ...env } });
  }

  /** Ends the server as a power cut would. */
  async kill() {
    this.#server.kill('SIGKILL');
    await this.#server.ended;
  }

  /** What the server counts of messages that clients keep. */
  async health() {
    return (await fetch(`${this.page}wse/health`)).json();
  }

  /** What handlers did, one line each, in order. */
  effects() {
    return existsSync(this.#effects) ? readFileSync(this.#effects, 'utf8').split('\n').slice(0, -1) : [];
  }

  async untilEffects(count, timeout = 10_000) {
    await until(`${count} effects, of which there are ${this.effects().length}`, () => this.effects().length >= count, timeout);
  }

  /** From here on `flaky` works. */
  mendHandler() {
    writeFileSync(`${this.#effects}.mended`, '');
  }

  async close() {
    this.gate.close();
    await this.#server.stop();
  }
}

/** One tab, whose sent messages are recorded. */
export class Tab {
  #frames = [];
  page;

  /** `prepare` runs in the page before anything else; `canSleep`: with `sleep` and `wake`. */
  static async open(context, site, { options = {}, prepare, canSleep = false } = {}) {
    const tab = new Tab();
    tab.page = await context.newPage();
    tab.page.on('websocket', (socket) => socket.on('framesent', ({ payload }) => tab.#frames.push(readFrame(payload).envelope)));
    if (canSleep) await tab.page.addInitScript(sleepingTimers);
    if (prepare !== undefined) await tab.page.addInitScript(prepare);
    await tab.load(site, options);
    return tab;
  }

  /** Loads the page, anew too, and opens its client. */
  async load(site, options = {}) {
    await this.page.goto(site.page);
    await this.page.waitForFunction(() => window.want !== undefined);
    await this.page.evaluate((wanted) => window.want(wanted), { endpoints: site.endpoint, token: 'ada', backoffBaseMs: 50, backoffCapMs: 200, connectTimeoutMs: 1_000, ...options });
    await this.page.waitForFunction(() => window.isOpen);
  }

  untilConnected() {
    return until('the page to be connected', () => this.page.evaluate(() => window.isConnected));
  }

  untilAway() {
    return until('the page to be away', () => this.page.evaluate(() => !window.isConnected));
  }

  /** Takes the network away, and waits until the page knows. */
  async away(site) {
    site.gate.shut();
    await this.untilAway();
  }

  send(type, payloads) {
    return this.page.evaluate(([t, p]) => window.send(t, p), [type, payloads]);
  }

  async counts() {
    return JSON.parse(await this.page.locator('#counts').innerText());
  }

  /** Waits until the page shows these counts, and has written what it shows: it may go then. */
  async untilCounts(wanted, timeout = 10_000) {
    let shown;
    const isThere = async () => ((shown = await this.counts()), Object.entries(wanted).every(([name, value]) => shown[name] === value));
    await until(`counts ${JSON.stringify(wanted)}`, isThere, timeout).catch((error) => Promise.reject(new Error(`${error.message}; they are ${JSON.stringify(shown)}`)));
    const { queued, sent, failed, isDurable } = shown;
    if (isDurable) await until('all of it to be written', async () => (await this.rows()) >= queued + sent + failed, timeout);
  }

  /** How many rows its database has. */
  rows() {
    return this.page.evaluate(writtenRows);
  }

  told() {
    return this.page.evaluate(() => window.told);
  }

  errors() {
    return this.page.evaluate(() => window.errors);
  }

  replies() {
    return this.page.evaluate(() => window.replies);
  }

  /** Messages of one type that were sent, each as `producer number`. */
  sent(type) {
    return this.#frames.filter(({ t }) => t === type).map(({ pid, n }) => `${pid} ${n}`);
  }
}

/** In the page: from `sleep()` on nothing runs by its timers; `wake(ms)` runs what was due, and its clock is so far ahead then. */
function sleepingTimers() {
  const due = new Map();
  let [isAsleep, ahead] = [false, 0];
  const { now } = Date;
  Date.now = () => now() + ahead;
  for (const name of ['setTimeout', 'setInterval']) {
    const set = window[name].bind(window);
    window[name] = (task, ms, ...args) => {
      const id = set(() => (isAsleep ? due.set(id, task) : task(...args)), ms);
      return id;
    };
  }
  for (const name of ['clearTimeout', 'clearInterval']) {
    const clear = window[name].bind(window);
    window[name] = (id) => (due.delete(id), clear(id));
  }
  window.sleep = () => (isAsleep = true);
  window.wake = (ms) => {
    [isAsleep, ahead] = [false, ms];
    for (const [id, task] of [...due]) if (due.delete(id)) task();
  };
}

/** In the page: how many rows its database has. */
function writtenRows() {
  return new Promise((resolve, reject) => {
    const request = indexedDB.open('wse-client');
    request.onerror = () => reject(request.error);
    request.onsuccess = () => {
      const count = request.result.transaction('rows').objectStore('rows').count();
      request.result.close();
      count.onerror = () => reject(count.error);
      count.onsuccess = () => resolve(count.result);
    };
  });
}

/** Payloads numbered from 1. */
export function numbered(count, more = {}) {
  return Array.from({ length: count }, (_, index) => ({ n: index + 1, ...more }));
}
