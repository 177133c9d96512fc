// What the client's scenarios stand on: a server, gates before it, peers behind them, and what they have come to.
import assert from 'node:assert/strict';
import { openGate } from './gate.mjs';
import { until } from './process.mjs';

/** Long enough for what must not come to come. */
const SETTLED = 200;

/** One way of running the client, on one server. */
export class Stage {
  #port;
  #Peer;
  #opened = [];
  static #names = 0;

  constructor(port, Peer) {
    this.#port = port;
    this.#Peer = Peer;
  }

  /** A name that no other scenario has. */
  name(prefix) {
    return `${prefix}${++Stage.#names}`;
  }

  /**
   * A connected client behind a gate of its own, which follows topics without a filter by their names. It is a user of its own, the
   * same one on each connection; with `user` null another one each time, whose places are not resumed.
   */
  async open(options = {}, { topics = [], tamper, user = this.name('peer') } = {}) {
    const gate = await openGate(this.#port);
    this.#opened.push(gate);
    const token = user === null ? {} : { token: user };
    const peer = await this.#Peer.open({ port: gate.port, options: { backoffBaseMs: 50, ...token, ...options }, tamper });
    this.#opened.push(peer);
    for (const [index, topic] of topics.entries()) await this.follow(peer, `view${index}`, topic);
    return { peer, gate };
  }

  /** Follows a topic or pattern, and waits for the server's answer. */
  async follow(peer, id, topic, filter) {
    await peer.follow(id, topic, filter);
    await this.status(peer, id, 'live');
  }

  async status(peer, id, status) {
    await until(`${id} to be ${status}`, async () => (await peer.view(id)).status === status, 5_000);
  }

  /** Publishes in one call; each is `[topic, payload]`. Gives the number of the last. */
  async publish(...messages) {
    return (await this.#post('/publish', messages.map(([topic, payload]) => ({ topic, payload })))).at(-1);
  }

  /** Publishes many large ones; see the fixture. */
  fill(order) {
    return this.#post('/fill', order);
  }

  /** Sends `payload` to a `user` or a `session`. */
  send(order) {
    return this.#post('/send', order);
  }

  /** Has the server give the states of a topic `held:...` from now on. */
  letStatesGo(topic) {
    return this.#post('/open', topic);
  }

  /** Watches who is in a topic, and is in it with `data` where there is some. */
  async attend(peer, id, topic, options = {}) {
    await peer.attend(id, topic, options);
    await until(`${id} to be live`, async () => (await peer.room(id)).status === 'live', 5_000);
  }

  /** A room shows these, and no others, as `[user, data]`. */
  async shows(peer, id, members, within = 5_000) {
    const wanted = JSON.stringify([...members].sort());
    const isThere = ({ members: shown, status }) => status === 'live' && JSON.stringify(shown) === wanted;
    await until(`${id} to show ${wanted}`, async () => isThere(await peer.room(id)), within).catch(() => undefined);
    const { members: shown, count, status } = await peer.room(id);
    assert.deepEqual({ shown, count, status }, { shown: [...members].sort(), count: members.length, status: 'live' });
  }

  /** What `wse.presence` says of a topic. */
  async attendance(topic) {
    return (await fetch(`http://127.0.0.1:${this.#port}/presence/${topic}`)).json();
  }

  /** What the server says of itself. */
  async health() {
    return (await fetch(`http://127.0.0.1:${this.#port}/wse/health`)).json();
  }

  /** The payloads that the handler got, in order, are these and no more. */
  async heard(peer, payloads, within) {
    await this.#until(peer, payloads.length, within);
    assert.deepEqual((await peer.seen()).map(([, , payload]) => payload), payloads);
  }

  /** What the handler got of each topic, in order, is this and no more; between topics there is no order. */
  async heardOf(peer, byTopic) {
    await this.#until(peer, Object.values(byTopic).flat().length);
    const heard = Object.fromEntries(Object.keys(byTopic).map((topic) => [topic, []]));
    for (const [topic, , payload] of await peer.seen()) (heard[topic] ??= []).push(payload);
    assert.deepEqual(heard, byTopic);
  }

  /** Nothing was lost, and nothing was reported but lost connections. */
  async quiet(peer) {
    const { error, resync } = await peer.notices();
    assert.deepEqual([error.filter((code) => code !== 'CONNECTION_LOST'), resync], [[], []]);
  }

  /** Breaks the connection and keeps it so while `meanwhile` runs. */
  async away({ peer, gate }, meanwhile) {
    gate.cut();
    await meanwhile();
    gate.mend();
    await until('the client to be away', async () => !(await peer.isConnected()) || this.#hellos(peer) > 1, 5_000);
    await until('the client to be back', () => peer.isConnected(), 5_000);
  }

  /** Breaks the connection, and lets none be made for so long. */
  async awayFor({ peer, gate }, ms) {
    gate.mend();
    gate.cut();
    await new Promise((done) => setTimeout(done, ms));
    gate.mend();
    await until('the client to be back', () => peer.isConnected(), 5_000);
  }

  async close() {
    for (const each of this.#opened.splice(0).reverse()) await each.close();
  }

  #hellos(peer) {
    return peer.frames('out').filter(({ envelope }) => envelope.t === 'client_hello').length;
  }

  async #until(peer, count, within = 8_000) {
    await until(`${count} messages`, async () => (await peer.seen()).length >= count, within).catch(() => undefined);
    await new Promise((done) => setTimeout(done, SETTLED));
  }

  async #post(path, body) {
    const response = await fetch(`http://127.0.0.1:${this.#port}${path}`, { method: 'POST', headers: { 'content-type': 'application/json' }, body: JSON.stringify(body) });
    if (!response.ok) throw new Error(`${path}: ${response.status} ${await response.text()}`);
    return response.json();
  }
}
