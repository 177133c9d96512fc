// Every store of the outbox keeps the same promises: rows in order, steps whole, one client for each producer.
import { IDBFactory, IDBKeyRange } from 'fake-indexeddb';
import { afterEach, beforeEach, describe, expect, it, vi } from 'vitest';
import { createClient, IndexedOutbox, MemoryOutbox, type OutboxRow, type OutboxStore } from '../../src/core';
import { createFakes } from '../../src/testing';

/** A busy machine takes its time. */
const PATIENCE = { timeout: 4_000 };

/** As Web Locks, in one process. */
function fakeLocks(): LockManager {
  const held = new Set<string>();
  return {
    query: async () => ({}),
    request: async (name: string, _options: LockOptions, callback: LockGrantedCallback<unknown>) => {
      if (held.has(name)) return callback(null);
      held.add(name);
      try {
        return await callback({ name, mode: 'exclusive' });
      } finally {
        held.delete(name);
      }
    },
  } as LockManager;
}

const row = (producer: string, n: number, more: Partial<OutboxRow> = {}): OutboxRow => ({ scope: '/wse', producer, n, id: `${producer}${n}`, type: 't', payload: String(n), at: n, ...more });

/** Makes what opens the same rows again, as another tab or a later page. */
const KINDS: Record<string, () => () => OutboxStore> = {
  'in memory': () => {
    const store = new MemoryOutbox();
    return () => store;
  },
  'in IndexedDB, by Web Locks': () => {
    const [indexedDB, locks] = [new IDBFactory(), fakeLocks()];
    return () => new IndexedOutbox({ indexedDB, locks });
  },
  'in IndexedDB, by leases': () => {
    const indexedDB = new IDBFactory();
    return () => new IndexedOutbox({ indexedDB, locks: null });
  },
};

beforeEach(() => vi.stubGlobal('IDBKeyRange', IDBKeyRange));
afterEach(() => {
  vi.unstubAllGlobals();
  vi.useRealTimers();
});

describe.each(Object.entries(KINDS))('an outbox %s', (_, kind) => {
  const opened = async (open: () => OutboxStore): Promise<OutboxStore> => {
    const store = open();
    await store.open();
    return store;
  };

  it('gives rows by producer and ascending number, of one scope', async () => {
    const store = await opened(kind());
    const other = row('a', 1, { scope: '/wse/2' });
    await store.write([row('b', 2), row('a', 10), row('a', 9), other, row('b', 1)], []);
    expect([...(await store.producers('/wse'))].sort()).toEqual(['a', 'b']);
    expect(await store.rows('/wse', 'a')).toEqual([row('a', 9), row('a', 10)]);
    expect([await store.producers('/wse/2'), await store.rows('/wse/2', 'a')]).toEqual([['a'], [other]]);
    expect([await store.producers('/ws'), await store.rows('/wse', 'c')]).toEqual([[], []]);
  });

  it('replaces and removes rows in one step; what is not there is removed without a word', async () => {
    const open = kind();
    const store = await opened(open);
    await store.write([row('a', 1), row('a', 2), row('a', 3)], []);
    await store.write([row('a', 3, { epoch: 'p1' })], [row('a', 1), row('b', 7)]);
    expect(await (await opened(open)).rows('/wse', 'a')).toEqual([row('a', 2), row('a', 3, { epoch: 'p1' })]);
  });

  it('lets one at a time have a producer, of all that are open, and of one again', async () => {
    const open = kind();
    const [first, second] = [await opened(open), await opened(open)];
    const release = await first.claim('a');
    expect([await second.claim('a'), await first.claim('a')]).toEqual([null, null]);
    expect(await second.claim('b')).not.toBeNull();
    release?.();
    await vi.waitFor(async () => expect(await second.claim('a')).not.toBeNull(), PATIENCE);
    expect(await first.claim('a')).toBeNull();
  });
});

describe('a lease', () => {
  it('is kept while its page lives, and runs out after it', async () => {
    vi.useFakeTimers({ toFake: ['Date', 'setInterval', 'clearInterval'] });
    const indexedDB = new IDBFactory();
    const [first, second] = [new IndexedOutbox({ indexedDB, locks: null }), new IndexedOutbox({ indexedDB, locks: null })];
    await first.open();
    await second.open();
    await first.claim('a');
    for (let minute = 0; minute < 5; minute += 1) {
      await vi.advanceTimersByTimeAsync(60_000);
      await new Promise((done) => setTimeout(done, 20));
      expect(await second.claim('a')).toBeNull();
    }
    // Its page is gone: nothing is renewed.
    const gone = Date.now();
    vi.clearAllTimers();
    vi.setSystemTime(gone + 120_000);
    expect(await second.claim('a')).toBeNull();
    vi.setSystemTime(gone + 151_000);
    expect(await second.claim('a')).not.toBeNull();
  });
});

describe('where a page may not store', () => {
  it.each([
    ['is no IndexedDB', undefined],
    ['it throws', { open: () => { throw new Error('SecurityError'); } }],
    ['it fails', { open: () => { const request = { error: new Error('private mode') } as { error: Error; onerror?: () => void }; setTimeout(() => request.onerror?.()); return request; } }],
  ])('because there %s, messages are kept in memory, which is told', async (_, indexedDB) => {
    const fakes = createFakes();
    fakes.server.on('n', (payload) => payload);
    const codes: string[] = [];
    const outbox = new IndexedOutbox({ locks: null, ...(indexedDB === undefined ? {} : { indexedDB: indexedDB as unknown as IDBFactory }) });
    const client = createClient({ onError: ({ code }) => codes.push(code) }, { ...fakes.roles, outbox });
    client.connect();
    const reply = client.sendMessage('n', 1);
    await vi.waitFor(async () => {
      await fakes.clock.advance(0);
      expect(client.outbox.messages).toEqual([]);
    }, PATIENCE);
    expect([await reply, codes, client.outbox.isDurable]).toEqual([1, ['OUTBOX_NOT_KEPT'], false]);
  });
});

it('a client sends what another left in IndexedDB, in order, each once', async () => {
  const [indexedDB, locks, fakes] = [new IDBFactory(), fakeLocks(), createFakes()];
  const handled: unknown[] = [];
  fakes.server.on('n', (payload) => handled.push(payload));
  const page = (): ReturnType<typeof createClient> => createClient({}, { ...fakes.roles, outbox: new IndexedOutbox({ indexedDB, locks }) });
  fakes.server.mode = 'hang';
  const before = page();
  before.connect();
  for (let n = 0; n < 100; n += 1) before.sendMessage('n', n).catch(() => undefined);
  await vi.waitFor(() => expect(before.outbox.isDurable).toBe(true), PATIENCE);
  before.close();
  fakes.server.mode = 'accept';
  const tabs = [page(), page()];
  for (const tab of tabs) tab.connect();
  await fakes.clock.advance(0);
  await vi.waitFor(async () => {
    await fakes.clock.advance(15_000);
    expect(handled).toHaveLength(100);
  }, PATIENCE);
  await fakes.clock.advance(60_000);
  expect(handled).toEqual(Array.from({ length: 100 }, (_, n) => n));
  await vi.waitFor(() => expect(tabs.map((tab) => tab.outbox.counts)).toEqual(tabs.map(() => ({ queued: 0, sent: 0, failed: 0 }))), PATIENCE);
  expect(tabs.map((tab) => tab.outbox.messages.length)).toEqual([0, 0]);
});
