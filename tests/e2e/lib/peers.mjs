// The packed client in Node and in a page of Chromium, behind the same few verbs, with every frame recorded.
import { WebSocket } from 'ws';
import { createClient, storeOf, viewKey, webSocketTransport } from 'wse-client/core';
import { launch } from './browser.mjs';
import { readFrame } from './frames.mjs';
import { until } from './process.mjs';

/** The core in Node, with the `ws` package as its WebSocket. */
export class NodePeer {
  #views = new Map();
  #rooms = new Map();
  #frames = [];
  #seen = [];
  #shown = [];
  #notices = { error: [], resync: [], skip: [] };
  #client;

  /** `tamper(data, pass)` sees each received frame and passes on what is to arrive. */
  static async open({ port, options, tamper = (data, pass) => pass(data) }) {
    const peer = new NodePeer();
    const roles = { transport: recording(peer.#frames, tamper) };
    peer.#client = createClient({ endpoints: `ws://127.0.0.1:${port}/wse`, ...options }, roles);
    peer.#listen();
    peer.#client.connect();
    await until('the client to be ready', () => peer.#client.state.isConnected);
    return peer;
  }

  async follow(id, topic, filter) {
    const view = this.#views.get(id) ?? { hold: this.#client.hold() };
    view.hold.set([topic], { filter });
    this.#views.set(id, { ...view, topic, key: viewKey(topic, filter) });
  }

  async leave(id) {
    this.#views.get(id).hold.release();
    this.#views.delete(id);
  }

  /** What a component would show. */
  async view(id) {
    const { data, topic, status, reason, recovered, error } = storeOf(this.#client).getState().topics[this.#views.get(id).key] ?? { status: 'pending' };
    return { data, topic, status, reason, recovered, code: error?.code ?? null };
  }

  /** Asks for the topic's state again. */
  async refetch(id) {
    this.#client.resnapshot(this.#views.get(id).topic);
  }

  /** Watches who is in a topic, and is in it with `data` where there is some. */
  async attend(id, topic, { data, countOnly }) {
    const room = this.#rooms.get(id) ?? this.#room(topic, countOnly);
    this.#rooms.set(id, room);
    if (data === undefined) room.hold.leave();
    else room.hold.set(data);
  }

  async quit(id) {
    const { hold, stops } = this.#rooms.get(id);
    hold.leave();
    for (const stop of stops) stop();
    this.#rooms.delete(id);
  }

  async room(id) {
    return this.#rooms.get(id).read();
  }

  /** All that the room ever showed, in order. */
  async told(id) {
    return this.#rooms.get(id).told;
  }

  async seen() {
    return this.#seen;
  }

  async notices() {
    return this.#notices;
  }

  /** All that was ever to be seen of the connection and of topics, in order. */
  async shown() {
    return this.#shown;
  }

  async isConnected() {
    return this.#client.state.isConnected;
  }

  /** How good the line is, and its round trip. */
  async link() {
    const { connectionHealth, rttMs } = this.#client.state;
    return { health: connectionHealth, rttMs };
  }

  async send(type, payload, options) {
    return this.#client.sendMessage(type, payload, options);
  }

  /** Goes on with another token; null: with none. */
  async sign(token) {
    this.#client.setToken(token);
  }

  /** The payloads of the messages that wait, or have failed. */
  async unsent() {
    return storeOf(this.#client).getState().outbox.messages.map(({ payload }) => payload);
  }

  /** Frames of one direction, `in` or `out`, of all connections. */
  frames(way) {
    return this.#frames.filter((frame) => frame.way === way).map(({ data }) => readFrame(data));
  }

  async close() {
    this.#client.close();
  }

  #room(topic, countOnly) {
    const { presence } = this.#client;
    const told = [];
    const read = () => roomOf(presence.state(topic, { countOnly }));
    const note = () => told.at(-1) !== JSON.stringify(read()) && told.push(JSON.stringify(read()));
    const stops = [this.#client.onNotice('presence', (notice) => notice.topic === topic && note()), presence.watch(topic, { countOnly })];
    return { hold: presence.hold(topic), read, told, stops };
  }

  #listen() {
    this.#client.on('*', (payload, { topic, seq }) => {
      this.#seen.push([topic, seq, payload?.pad === undefined ? payload : { n: payload.n }]);
    });
    this.#client.onNotice('status', ({ isConnected }) => this.#shown.push(`connected ${isConnected}`));
    this.#client.onNotice('topics', () => {
      for (const [topic, { status }] of this.#client.topics) this.#shown.push(`${topic} ${status}`);
    });
    this.#client.onNotice('error', ({ code }) => this.#notices.error.push(code));
    for (const name of ['resync', 'skip']) this.#client.onNotice(name, (notice) => this.#notices[name].push(notice));
  }
}

/** What a component would show of who is in a topic; others come in an order of the server's. */
function roomOf({ members, count, status, error }) {
  return { members: members.map(({ user, data }) => [user, data]).sort(), count, status, code: error?.code ?? null };
}

/** The `ws` transport at whose seam every frame is seen. */
function recording(frames, tamper) {
  const inner = webSocketTransport(WebSocket);
  return {
    open(url, protocols, events) {
      const pass = (data) => events.onMessage(data);
      const onMessage = (data) => {
        frames.push({ way: 'in', data: typeof data === 'string' ? data : Buffer.from(data) });
        tamper(data, pass);
      };
      const socket = inner.open(url, protocols, { ...events, onOpen: () => events.onOpen(), onMessage });
      const send = (data) => {
        frames.push({ way: 'out', data: typeof data === 'string' ? data : Buffer.from(data) });
        socket.send(data);
      };
      return { send, close: (...args) => socket.close(...args) };
    },
  };
}

/** The hooks in a page under StrictMode; its WebSocket is Chromium's own. */
export class PagePeer {
  static #browser;
  #frames = [];
  #views = [];
  #rooms = [];
  #options;
  #page;
  #faults = [];

  static async open({ port, options }) {
    PagePeer.#browser ??= await launch();
    const peer = new PagePeer();
    peer.#options = options;
    peer.#page = await PagePeer.#browser.newPage();
    peer.#page.on('websocket', (socket) => peer.#record(socket));
    peer.#page.on('pageerror', (error) => peer.#faults.push(error));
    await peer.#page.goto(`http://127.0.0.1:${port}/`);
    await peer.#page.waitForFunction(() => window.want !== undefined);
    await peer.#want();
    await until('the page to be connected', () => peer.isConnected());
    return peer;
  }

  static async end() {
    await PagePeer.#browser?.close();
    PagePeer.#browser = undefined;
  }

  async follow(id, topic, filter) {
    this.#views = [...this.#views.filter((view) => view.id !== id), { id, topic, filter }];
    await this.#want();
  }

  async leave(id) {
    this.#views = this.#views.filter((view) => view.id !== id);
    await this.#want();
  }

  async view(id) {
    return JSON.parse(await this.#page.locator(`#${id}`).innerText());
  }

  refetch(id) {
    return this.#page.evaluate((one) => window.refetch[one](), id);
  }

  async attend(id, topic, { data, countOnly }) {
    this.#rooms = [...this.#rooms.filter((room) => room.id !== id), { id, topic, data, countOnly }];
    await this.#want();
  }

  async quit(id) {
    this.#rooms = this.#rooms.filter((room) => room.id !== id);
    await this.#want();
  }

  room(id) {
    return this.view(id);
  }

  told(id) {
    return this.#page.evaluate((one) => window.told[one], id);
  }

  seen() {
    return this.#page.evaluate(() => window.seen);
  }

  shown() {
    return this.#page.evaluate(() => window.shown);
  }

  notices() {
    return this.#page.evaluate(() => window.notices);
  }

  isConnected() {
    return this.#page.evaluate(() => window.isConnected);
  }

  send(type, payload, options) {
    // An error that crosses from the page loses its code, unless it is in its message.
    return this.#page.evaluate(([t, p, o]) => window.sendMessage(t, p, o).catch((error) => Promise.reject(new Error(`${error.code}: ${error.message}`))), [type, payload, options]);
  }

  async sign(token) {
    this.#options = { ...this.#options, token };
    await this.#want();
  }

  unsent() {
    return this.#page.evaluate(() => window.unsent);
  }

  frames(way) {
    return this.#frames.filter((frame) => frame.way === way).map(({ data }) => readFrame(data));
  }

  async close() {
    await this.#page.close();
    if (this.#faults.length > 0) throw this.#faults[0];
  }

  #want() {
    return this.#page.evaluate((wanted) => window.want(wanted), { options: this.#options, views: this.#views, rooms: this.#rooms });
  }

  #record(socket) {
    socket.on('framereceived', ({ payload }) => this.#frames.push({ way: 'in', data: payload }));
    socket.on('framesent', ({ payload }) => this.#frames.push({ way: 'out', data: payload }));
  }
}
