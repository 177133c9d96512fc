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

describe('a lease whose database is slow, or gone', () => {
  it('and is given back as late as it comes ends no later one of its page', async () => {
    const indexedDB = new IDBFactory();
    const [first, second] = [new IndexedOutbox({ indexedDB, locks: null }), new IndexedOutbox({ indexedDB, locks: null })];
    await first.open();
    await second.open();
    const [late, anew] = [first.claim('a'), first.claim('a')];
    (await late)?.();
    const release = (await anew) ?? (await first.claim('a'));
    expect([release !== null, first.holds('a'), await second.claim('a')]).toEqual([true, true, null]);
  });

  it('is not renewed, and nothing is thrown', async () => {
    vi.useFakeTimers({ toFake: ['Date', 'setInterval', 'clearInterval'] });
    const indexedDB = new IDBFactory();
    const first = new IndexedOutbox({ indexedDB, locks: null });
    await first.open();
    await first.claim('a');
    const at = Date.now();
    await new Promise((done) => (indexedDB.deleteDatabase('wse-client').onsuccess = done));
    await vi.advanceTimersByTimeAsync(60_000);
    vi.setSystemTime(at + 139_000);
    expect(first.holds('a')).toBe(true);
    vi.setSystemTime(at + 141_000);
    expect(first.holds('a')).toBe(false);
    await expect(first.claim('a')).rejects.toThrow();
  });
});

describe('a lease of a page that slept', () => {
  /** Two pages, the first of which has a lease and sleeps: its timers do not run. */
  async function twoPages(): Promise<{ readonly first: IndexedOutbox; readonly second: IndexedOutbox; readonly release: () => void; readonly at: number }> {
    vi.useFakeTimers({ toFake: ['Date', 'setInterval', 'clearInterval'] });
    const indexedDB = new IDBFactory();
    const [first, second] = [new IndexedOutbox({ indexedDB, locks: null }), new IndexedOutbox({ indexedDB, locks: null })];
    await first.open();
    await second.open();
    const release = await first.claim('a');
    if (release === null) throw new Error('nobody has it');
    return { first, second, release, at: Date.now() };
  }

  it('counts as over before another page can take it, and is had again where none did', async () => {
    const { first, second, at } = await twoPages();
    expect([first.holds('a'), first.holds('b'), second.holds('a')]).toEqual([true, true, true]);
    vi.setSystemTime(at + 139_000);
    expect(first.holds('a')).toBe(true);
    vi.setSystemTime(at + 141_000);
    expect([first.holds('a'), await second.claim('a')]).toEqual([false, null]);
    vi.setSystemTime(at + 1_000_000);
    expect(first.holds('a')).toBe(false);
    expect(await first.claim('a')).not.toBeNull();
    expect([first.holds('a'), await second.claim('a')]).toEqual([true, null]);
  });

  it('is not had again where another page has it, nor where one had it and gave it back', async () => {
    const { first, second, release, at } = await twoPages();
    vi.setSystemTime(at + 151_000);
    const releaseOther = await second.claim('a');
    expect([first.holds('a'), second.holds('a')]).toEqual([false, true]);
    // The first one wakes: it renews nothing, and removes nothing.
    await vi.advanceTimersByTimeAsync(20_000);
    await new Promise((done) => setTimeout(done, 20));
    expect(first.holds('a')).toBe(false);
    release();
    expect([await first.claim('a'), second.holds('a')]).toEqual([null, true]);
    releaseOther?.();
    vi.setSystemTime(at + 152_000);
    // As a new one, to look what is there.
    await vi.waitFor(async () => expect(await first.claim('a')).not.toBeNull(), PATIENCE);
  });

  it('is not had again where one had it and gave it back before the page woke', async () => {
    const { first, second, at } = await twoPages();
    vi.setSystemTime(at + 151_000);
    (await second.claim('a'))?.();
    vi.setSystemTime(at + 152_000);
    expect([first.holds('a'), await first.claim('a')]).toEqual([false, null]);
  });

  it('is over where the clock was set back to before it began, by more than two clocks differ', async () => {
    const { first, second, at } = await twoPages();
    vi.setSystemTime(at - 9_000);
    expect([first.holds('a'), await second.claim('a')]).toEqual([true, null]);
    vi.setSystemTime(at - 11_000);
    expect(first.holds('a')).toBe(false);
    expect(await second.claim('a')).not.toBeNull();
    expect(await first.claim('a')).toBeNull();
  });

  it.each([false, true])('is free at once where the page goes; if it comes back it has it again unless another took it (%s)', async (isTaken) => {
    const window = new EventTarget();
    vi.stubGlobal('window', window);
    const { first, second } = await twoPages();
    window.dispatchEvent(new Event('pagehide'));
    expect(first.holds('a')).toBe(false);
    if (isTaken) (await second.claim('a'))?.();
    expect((await first.claim('a')) !== null).toBe(!isTaken);
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
