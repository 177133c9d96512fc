// Immutable snapshots of a client in a zustand store, committed at most once per animation frame.
import { createStore, type StoreApi } from 'zustand/vanilla';
import type { WSEClient } from '../core/client';
import type { Cancel } from '../core/clock';
import type { TopicState } from '../core/entry';
import type { ClientState } from '../core/events';
import type { OutboxCounts, OutboxMessage } from '../core/outbox-message';

/** The latest message of a topic or pattern. */
export interface Latest {
  /** Its payload; undefined before the first. Events that must all be seen go through `client.on`, not here. */
  readonly data: unknown;
  /** Its topic: of a pattern the one among its topics that `data` is of; undefined before the first. */
  readonly topic: string | undefined;
}

/** One topic: how its subscription stands, and the latest message. */
export interface TopicSnapshot extends TopicState, Latest {}

/** The outbox: what is kept, and where. */
export interface OutboxSnapshot {
  /** Failed ones, then the others in the order in which they are sent. */
  readonly messages: readonly OutboxMessage[];
  readonly counts: OutboxCounts;
  /** Messages that other users of this browser have left. */
  readonly ofOthers: number;
  /** Whether messages outlive the page; null before that is known. */
  readonly isDurable: boolean | null;
}

/** Everything that a view may show; parts that did not change keep their identity. */
export interface WSESnapshot {
  readonly connection: ClientState;
  readonly outbox: OutboxSnapshot;
  /** By `viewKey`: a topic or pattern, and each with a filter that somebody holds. */
  readonly topics: Readonly<Record<string, TopicSnapshot>>;
}

/** A store that follows a client. */
export type WSEStore = StoreApi<WSESnapshot>;

const NONE: Latest = { data: undefined, topic: undefined };

const stores = new WeakMap<WSEClient, WSEStore>();

/** The store of a client: one per client, living as long as it. */
export function storeOf(client: WSEClient): WSEStore {
  const store = stores.get(client) ?? createWSEStore(client);
  stores.set(client, store);
  return store;
}

function createWSEStore(client: WSEClient): WSEStore {
  const store = createStore<WSESnapshot>(() => ({ connection: client.state, outbox: outboxOf(client), topics: {} }));
  const latest = new Map<string, Latest>();
  let planned: Cancel | null = null;
  const commit = (): void => {
    planned?.();
    planned = null;
    const before = store.getState();
    const shown = client.isHidden ? new Map<string, Latest>() : latest;
    const next = { connection: client.state, outbox: nextOutbox(before.outbox, client), topics: nextTopics(before.topics, client.views, shown) };
    if (next.connection !== before.connection || next.outbox !== before.outbox || next.topics !== before.topics) store.setState(next, true);
  };
  const plan = (): void => {
    planned ??= client.clock.frame(commit);
  };
  client.onNotice('status', plan);
  client.onNotice('topics', plan);
  client.onNotice('outbox', plan);
  // What is not for this user's eyes does not wait for a frame.
  client.onNotice('hidden', commit);
  client.onNotice('user', () => {
    latest.clear();
    commit();
  });
  client.on('*', (payload, { topic, category }) => {
    if (topic === undefined) return;
    const shown = category === 'S' ? client.statesOf(topic, payload) : new Map(client.viewsOf(topic, payload).map((view) => [view, payload]));
    for (const [view, data] of shown) latest.set(view, { data, topic });
    if (shown.size > 0) plan();
  });
  return store;
}

function outboxOf({ outbox: { messages, counts, ofOthers, isDurable } }: WSEClient): OutboxSnapshot {
  return { messages, counts, ofOthers, isDurable };
}

function nextOutbox(before: OutboxSnapshot, client: WSEClient): OutboxSnapshot {
  const { messages, ofOthers, isDurable } = client.outbox;
  const same = messages === before.messages && ofOthers === before.ofOthers && isDurable === before.isDurable;
  return same ? before : outboxOf(client);
}

/** The next topics, or the same object when nothing changed; payloads of views that are gone are let go. */
function nextTopics(
  before: WSESnapshot['topics'],
  states: ReadonlyMap<string, TopicState>,
  latest: Map<string, Latest>,
): WSESnapshot['topics'] {
  for (const view of latest.keys()) if (!states.has(view)) latest.delete(view);
  const next: Record<string, TopicSnapshot> = Object.create(null) as Record<string, TopicSnapshot>;
  let changed = Object.keys(before).length !== states.size;
  for (const [view, state] of states) {
    const old = Object.hasOwn(before, view) ? before[view] : undefined;
    const snapshot = { ...state, ...(latest.get(view) ?? NONE) };
    const same = old !== undefined && (Object.keys(snapshot) as (keyof TopicSnapshot)[]).every((key) => Object.is(old[key], snapshot[key]));
    next[view] = same ? old : snapshot;
    changed ||= !same;
  }
  return changed ? next : before;
}
