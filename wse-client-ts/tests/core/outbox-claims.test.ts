// The outbox over a store whose claims can run out, as leases do while a page sleeps: no row is sent by two pages.
import { describe, expect, it } from 'vitest';
import { createClient, MemoryOutbox, type OutboxStore, type WSEClient } from '../../src/core';
import { createFakes, type Fakes } from '../../src/testing';
import { codeOf, handling, payloads, quiet, storeOver, told } from './outbox-cases';

/** Rows that pages share, and which page has each producer's. */
class Shared {
  readonly inner = new MemoryOutbox();
  readonly owners = new Map<string, { readonly page: Page; isOver: boolean }>();

  /** A page that does nothing with it has it. */
  takeOver(producer: string): void {
    this.owners.set(producer, { page: new Page(this), isOver: false });
  }
}

/** One page's store, whose claims hold until it sleeps. */
class Page {
  readonly #shared: Shared;
  readonly #held = new Set<string>();
  readonly store: OutboxStore;
  /** What `claim` waits for. */
  answer = Promise.resolve();

  constructor(shared: Shared) {
    this.#shared = shared;
    this.store = storeOver(shared.inner, { holds: (id) => !this.#held.has(id) || this.#owns(id), claim: (id) => this.#claim(id) });
  }

  /** Its claims have run out; whoever wants them may have them. */
  sleep(): void {
    for (const owner of this.#shared.owners.values()) if (owner.page === this) owner.isOver = true;
  }

  /** From here on `claim` does not answer; returns what lets it. */
  stall(): () => void {
    let wake = (): void => undefined;
    this.answer = new Promise((done) => (wake = done));
    return () => wake();
  }

  #owns(id: string): boolean {
    const owner = this.#shared.owners.get(id);
    return owner?.page === this && !owner.isOver;
  }

  async #claim(id: string): Promise<(() => void) | null> {
    await this.answer;
    const { owners } = this.#shared;
    const owner = owners.get(id);
    const isFree = this.#held.delete(id) ? owner?.page === this : (owner?.isOver ?? true);
    if (!isFree) return null;
    owners.set(id, { page: this, isOver: false });
    this.#held.add(id);
    return () => {
      if (owners.get(id)?.page === this) owners.delete(id);
      this.#held.delete(id);
    };
  }
}

/** A client of a page. */
const clientOf = (fakes: Fakes, { store }: Page, options: Parameters<typeof createClient>[0] = {}): WSEClient => createClient({ windowEvents: false, ...options }, { ...fakes.roles, outbox: store });

/** Frames that came with a row's number: twice the same is a row that was sent twice. */
const receipts = ({ server }: Fakes): string[] => server.connections.flatMap((connection) => connection.of('n').map(({ pid, n }) => `${String(pid)} ${String(n)}`));

/** What the store has of a producer. */
const payloadsOf = async (shared: Shared, producer: string): Promise<string[]> => (await shared.inner.rows('/wse', producer)).map(({ payload }) => payload);

/** A page that has written messages and lost its connection, and then sleeps. */
async function asleep(fakes: Fakes, page: Page, ...messages: readonly string[]): Promise<{ client: WSEClient; outcomes: Promise<string>[] }> {
  const client = clientOf(fakes, page);
  client.connect();
  await fakes.clock.advance(0);
  fakes.server.mode = 'hang';
  fakes.server.drop();
  const outcomes = messages.map((message) => codeOf(client.sendMessage('n', message)));
  await fakes.clock.advance(0);
  page.sleep();
  return { client, outcomes };
}

/** The handler of `flaky` always fails. */
function failing({ server }: Fakes): void {
  server.on('flaky', () => {
    throw new Error('not yet');
  });
}

describe('a page that slept longer than its claims last', () => {
  it('takes them again before it sends, once, and sends nothing before that is answered', async () => {
    const [fakes, shared] = [createFakes(), new Shared()];
    const server = handling(fakes);
    const sleeper = new Page(shared);
    const { client, outcomes } = await asleep(fakes, sleeper, 'a', 'b');
    const wake = sleeper.stall();
    let asked = 0;
    const claim = sleeper.store.claim.bind(sleeper.store);
    sleeper.store.claim = (id) => ((asked += 1), claim(id));
    fakes.server.mode = 'accept';
    await fakes.clock.advance(4_000);
    expect([client.state.isConnected, server.handled, payloads(client), asked]).toEqual([true, [], ['a queued', 'b queued'], 1]);
    wake();
    await fakes.clock.advance(0);
    expect([await Promise.all(outcomes), server.handled, receipts(fakes).length]).toEqual([['answered', 'answered'], ['a', 'b'], 2]);
  });

  it.each([
    ['has them', (client: WSEClient) => client],
    ['had them, and is done', (client: WSEClient) => client.close()],
  ])('neither sends nor touches its messages where another page %s, says so, and goes on with new ones', async (_, then) => {
    const [fakes, shared] = [createFakes(), new Shared()];
    const server = handling(fakes);
    const sleeper = new Page(shared);
    const { client, outcomes } = await asleep(fakes, sleeper, 'a', 'b');
    const [producer = ''] = await shared.inner.producers('/wse');
    const log = told(client);
    fakes.server.mode = 'accept';
    // Only the other page: the sleeper's connection is not tried before its timers run.
    const other = clientOf(fakes, new Page(shared));
    other.connect();
    server.silent = _ === 'has them';
    await fakes.clock.advance(0);
    expect(server.handled).toEqual(['a', 'b']);
    const left = await shared.inner.rows('/wse', producer);
    then(other);
    const outcome = codeOf(client.sendMessage('n', 'c'));
    server.silent = false;
    await fakes.clock.advance(20_000);
    expect([await Promise.all(outcomes), await outcome, log]).toEqual([['TAKEN_OVER', 'TAKEN_OVER'], 'answered', ['c queued', 'c sent', 'c acknowledged']]);
    expect([server.handled, new Set(receipts(fakes)).size, receipts(fakes).length]).toEqual([['a', 'b', 'c'], 3, 3]);
    expect([client.outbox.messages, await shared.inner.rows('/wse', producer)]).toEqual([[], left]);
  });

  it('learns it while it is connected too, before the first frame', async () => {
    const [fakes, shared] = [createFakes(), new Shared()];
    const server = handling(fakes);
    const sleeper = new Page(shared);
    const client = clientOf(fakes, sleeper);
    client.connect();
    await fakes.clock.advance(0);
    let wake = (): void => undefined;
    // It sleeps between the write and the frame.
    const write = sleeper.store.write.bind(sleeper.store);
    sleeper.store.write = async (...step) => {
      await write(...step);
      sleeper.sleep();
      wake = sleeper.stall();
      sleeper.store.write = write;
    };
    const outcome = codeOf(client.sendMessage('n', 'a'));
    await fakes.clock.advance(0);
    expect(server.handled).toEqual([]);
    const other = clientOf(fakes, new Page(shared));
    other.connect();
    await fakes.clock.advance(0);
    wake();
    await fakes.clock.advance(0);
    expect([await outcome, server.handled, receipts(fakes).length]).toEqual(['TAKEN_OVER', ['a'], 1]);
  });

  it('neither cancels, nor sends anew, nor gives up what another page may have', async () => {
    const [fakes, shared] = [createFakes(), new Shared()];
    const server = handling(fakes);
    failing(fakes);
    const sleeper = new Page(shared);
    const client = clientOf(fakes, sleeper, { outboxAgeMs: 30_000 });
    client.connect();
    await fakes.clock.advance(0);
    expect(await codeOf(client.sendMessage('flaky', 'f'))).toBe('HANDLER_FAILED');
    fakes.server.mode = 'hang';
    fakes.server.drop();
    const outcome = codeOf(client.sendMessage('n', 'a'));
    await fakes.clock.advance(0);
    sleeper.sleep();
    const [failed, queued] = client.outbox.messages;
    sleeper.stall();
    expect([client.outbox.cancel(queued?.id ?? ''), client.outbox.cancel(failed?.id ?? ''), await codeOf(client.outbox.retry(failed?.id ?? ''))]).toEqual([false, false, 'NOT_FAILED']);
    fakes.server.mode = 'accept';
    const other = clientOf(fakes, new Page(shared));
    other.connect();
    await fakes.clock.advance(0);
    expect([server.handled, other.outbox.counts.failed]).toEqual([['a'], 1]);
    await fakes.clock.advance(60_000);
    expect([await outcome, client.outbox.messages]).toEqual(['TAKEN_OVER', []]);
  });

  it('leaves the row of what is answered after all to the page that has it now, and shows no failed message that is another page\'s', async () => {
    const [fakes, shared] = [createFakes(), new Shared()];
    const server = handling(fakes);
    failing(fakes);
    const sleeper = new Page(shared);
    const client = clientOf(fakes, sleeper);
    client.connect();
    await fakes.clock.advance(0);
    expect(await codeOf(client.sendMessage('flaky', 'f'))).toBe('HANDLER_FAILED');
    server.silent = true;
    const outcome = codeOf(client.sendMessage('n', 'a'));
    await fakes.clock.advance(0);
    sleeper.sleep();
    const other = clientOf(fakes, new Page(shared));
    other.connect();
    await fakes.clock.advance(0);
    const [first] = fakes.server.connections;
    first?.send({ t: 'reply', c: 'WSE', cid: first.of('n')[0]!.cid!, p: 'late' });
    await fakes.clock.advance(0);
    const [producer = ''] = await shared.inner.producers('/wse');
    expect([await outcome, (await shared.inner.rows('/wse', producer)).map(({ payload }) => payload)]).toEqual(['answered', ['"f"', '"a"']]);
    await fakes.clock.advance(20_000);
    expect([client.outbox.messages, other.outbox.counts]).toEqual([[], { queued: 0, sent: 1, failed: 1 }]);
  });

  it('learns by itself that its failed messages are another page\'s', async () => {
    const [fakes, shared] = [createFakes(), new Shared()];
    failing(fakes);
    const sleeper = new Page(shared);
    const client = clientOf(fakes, sleeper);
    client.connect();
    await fakes.clock.advance(0);
    quiet(client.sendMessage('flaky', 'f'));
    await fakes.clock.advance(0);
    sleeper.sleep();
    const other = clientOf(fakes, new Page(shared));
    other.connect();
    await fakes.clock.advance(20_000);
    expect([client, other].map(({ outbox }) => outbox.counts.failed)).toEqual([0, 1]);
  });

  it('says of what is too old that it has expired only once it is sure to have it', async () => {
    const [fakes, shared] = [createFakes(), new Shared()];
    fakes.server.mode = 'hang';
    const sleeper = new Page(shared);
    const client = clientOf(fakes, sleeper, { outboxAgeMs: 14_000 });
    client.connect();
    quiet(client.sendMessage('n', 'a'));
    await fakes.clock.advance(13_000);
    sleeper.sleep();
    const wake = sleeper.stall();
    await fakes.clock.advance(4_000);
    expect(payloads(client)).toEqual(['a queued']);
    wake();
    await fakes.clock.advance(0);
    expect(payloads(client)).toEqual(['a failed']);
  });

  it('lets its messages go where the store does not answer, which is told, and finds them again when it does', async () => {
    const [fakes, shared] = [createFakes(), new Shared()];
    const server = handling(fakes);
    const sleeper = new Page(shared);
    const { client, outcomes } = await asleep(fakes, sleeper, 'a');
    const faults: string[] = [];
    client.onNotice('error', ({ code }) => faults.push(code));
    const wake = sleeper.stall();
    fakes.server.mode = 'accept';
    await fakes.clock.advance(12_000);
    expect([await outcomes[0], server.handled, faults.filter((code) => code.startsWith('OUTBOX'))]).toEqual(['TAKEN_OVER', [], ['OUTBOX_NOT_KEPT']]);
    wake();
    await fakes.clock.advance(30_000);
    expect([server.handled, receipts(fakes).length]).toEqual([['a'], 1]);
  });

  it('does not say of a message that its store could not keep that another page sends it', async () => {
    const [fakes, shared] = [createFakes(), new Shared()];
    const server = handling(fakes);
    fakes.server.mode = 'hang';
    const sleeper = new Page(shared);
    const write = sleeper.store.write.bind(sleeper.store);
    sleeper.store.write = (puts, removals) => (puts.some(({ payload }) => payload === '"b"') ? Promise.reject(new Error('quota')) : write(puts, removals));
    const client = clientOf(fakes, sleeper);
    client.connect();
    const outcomes: Promise<string>[] = [];
    for (const message of ['a', 'b']) {
      outcomes.push(codeOf(client.sendMessage('n', message)));
      await fakes.clock.advance(0);
    }
    sleeper.sleep();
    fakes.server.mode = 'accept';
    clientOf(fakes, new Page(shared)).connect();
    await fakes.clock.advance(20_000);
    expect([await Promise.all(outcomes), server.handled, client.outbox.messages]).toEqual([['TAKEN_OVER', 'OUTCOME_UNKNOWN'], ['a'], []]);
  });

  it('writes nothing where another page takes its claim over between the look at it and the write', async () => {
    const [fakes, shared] = [createFakes(), new Shared()];
    fakes.server.mode = 'hang';
    const sleeper = new Page(shared);
    const client = clientOf(fakes, sleeper);
    client.connect();
    const first = codeOf(client.sendMessage('n', 'a'));
    await fakes.clock.advance(0);
    const [producer = ''] = await shared.inner.producers('/wse');
    const second = codeOf(client.sendMessage('n', 'b'));
    const holds = sleeper.store.holds?.bind(sleeper.store);
    sleeper.store.holds = (id) => {
      const isHeld = holds?.(id) ?? true;
      shared.takeOver(producer);
      return isHeld;
    };
    await fakes.clock.advance(0);
    expect([await first, await second, await payloadsOf(shared, producer)]).toEqual(['TAKEN_OVER', 'OUTCOME_UNKNOWN', ['"a"']]);
  });

  it('writes nothing of what another page has, however late its store goes on with it', async () => {
    const [fakes, shared] = [createFakes(), new Shared()];
    fakes.server.mode = 'hang';
    const sleeper = new Page(shared);
    let bring = (_: string): void => undefined;
    const token = new Promise<string>((done) => (bring = done));
    const client = clientOf(fakes, sleeper, { token: () => token });
    client.connect();
    const lost = codeOf(client.sendMessage('n', 'a'));
    await fakes.clock.advance(0);
    const [producer = ''] = await shared.inner.producers('/wse');
    // What is written now is of a producer of its own; the first one is asked for, and had again.
    sleeper.sleep();
    quiet(client.sendMessage('n', 'b'));
    await fakes.clock.advance(0);
    sleeper.sleep();
    shared.takeOver(producer);
    await shared.inner.write([], await shared.inner.rows('/wse', producer));
    const wake = sleeper.stall();
    // Both rows get the token's mark, in one step, for which both producers are asked for: for the first in vain.
    bring('t');
    await fakes.clock.advance(6_000);
    expect(await lost).toBe('TAKEN_OVER');
    wake();
    await fakes.clock.advance(0);
    expect([await payloadsOf(shared, producer), payloads(client)]).toEqual([[], ['b queued']]);
  });

  it('does not repeat, once it has its messages again, what the server cannot tell from new', async () => {
    const [fakes, shared] = [createFakes(), new Shared()];
    const server = handling(fakes);
    server.silent = true;
    const sleeper = new Page(shared);
    const client = clientOf(fakes, sleeper);
    client.connect();
    await fakes.clock.advance(0);
    const outcomes = ['a', 'b'].map((message) => codeOf(client.sendMessage('n', message)));
    await fakes.clock.advance(0);
    sleeper.sleep();
    fakes.server.producers = null;
    fakes.server.drop();
    quiet(client.sendMessage('n', 'c'));
    await fakes.clock.advance(5_000);
    expect([await Promise.all(outcomes), server.handled]).toEqual([['OUTCOME_UNKNOWN', 'OUTCOME_UNKNOWN'], ['a', 'b', 'c']]);
  });
});
