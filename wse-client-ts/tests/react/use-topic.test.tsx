// useTopic with filters and patterns, in StrictMode: what is asked for at the server, and what each component shows.
import type { ReactNode } from 'react';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { useTopic, useWSE, useWSEEvent, type Filter } from '../../src';
import { FRAME_MS } from '../../src/testing';
import { mount, type Mounted } from './harness';

let mounted: Mounted | undefined;

async function start(view: ReactNode): Promise<Mounted> {
  mounted = await mount(view);
  return mounted;
}

beforeEach(() => {
  mounted = undefined;
});

afterEach(async () => {
  await mounted?.unmount();
  await mounted?.advance(60_000);
});

describe('filters', () => {
  interface Price {
    readonly symbol: string;
    readonly price: number;
  }

  function Row({ filter }: { readonly filter?: Filter }): ReactNode {
    const { data, status } = useTopic<Price>('prices', { filter });
    return `[${status} ${data?.symbol ?? '-'} ${data?.price ?? '-'}]`;
  }

  function Page({ symbols, all = false, onEvent }: { readonly symbols: readonly string[]; readonly all?: boolean; readonly onEvent?: (price: number) => void }): ReactNode {
    useWSE({ endpoints: ['ws://host/wse'] });
    useWSEEvent<Price>('prices', ({ price }) => onEvent?.(price));
    return [...symbols.map((symbol) => <Row key={symbol} filter={{ symbol, price: { $gt: 10 } }} />), all ? <Row key="all" /> : null];
  }

  /** What was asked for, in the first frame and later. */
  const filters = (page: Mounted): unknown[] => [...page.server.last.of('client_hello'), ...page.server.last.of('subscription')].map(({ p }) => (p as { filters?: unknown }).filters);

  it('of two components on one topic are asked for together, and each shows what passes its own', async () => {
    const events: number[] = [];
    const page = await start(<Page symbols={['A', 'B']} onEvent={(price) => events.push(price)} />);
    await page.advance(FRAME_MS);
    expect(filters(page)).toEqual([{ prices: { $or: [{ symbol: 'A', price: { $gt: 10 } }, { symbol: 'B', price: { $gt: 10 } }] } }]);
    for (const [symbol, price] of [['A', 11], ['B', 22], ['C', 33], ['B', 4]] as const) page.server.publish('prices', { symbol, price });
    await page.advance(FRAME_MS);
    expect(page.text()).toBe('[live A 11][live B 22]');
    expect(events).toEqual([11, 22]);
  });

  it('that are inline objects subscribe nothing anew in 50 renders, and one that changes sends the one topic', async () => {
    const page = await start(<Page symbols={['A']} />);
    for (let n = 0; n < 50; n += 1) await page.render(<Page symbols={['A']} />);
    expect(filters(page)).toHaveLength(1);
    await page.render(<Page symbols={['B']} />);
    await page.advance(5_000);
    expect(filters(page)).toEqual([{ prices: { symbol: 'A', price: { $gt: 10 } } }, { prices: { symbol: 'B', price: { $gt: 10 } } }]);
    page.server.publish('prices', { symbol: 'A', price: 50 });
    page.server.publish('prices', { symbol: 'B', price: 60 });
    await page.advance(FRAME_MS);
    expect(page.text()).toBe('[live B 60]');
  });

  it('give way to a component without one, which then sees everything', async () => {
    const page = await start(<Page symbols={['A']} all />);
    await page.advance(FRAME_MS);
    expect(filters(page)).toEqual([undefined]);
    page.server.publish('prices', { symbol: 'A', price: 11 });
    page.server.publish('prices', { symbol: 'C', price: 1 });
    await page.advance(FRAME_MS);
    expect(page.text()).toBe('[live A 11][live C 1]');
  });
});

describe('patterns', () => {
  it('in useTopic and useWSE show and hear every topic of the namespace, and name it', async () => {
    const events: unknown[] = [];
    function Orders(): ReactNode {
      useWSE({ topics: ['orders:*'], endpoints: ['ws://host/wse'] });
      useWSEEvent('*', (payload, { topic }) => events.push([topic, payload]));
      const { data, topic, status } = useTopic<number>('orders:*');
      return `${status} ${topic ?? '-'} ${data ?? '-'}`;
    }
    const page = await start(<Orders />);
    await page.advance(FRAME_MS);
    expect(page.text()).toBe('live - -');
    page.server.publish('orders:1', 1);
    page.server.publish('orders:2', 2);
    await page.advance(FRAME_MS);
    expect(page.text()).toBe('live orders:2 2');
    page.server.publish('orders:1', 2);
    await page.advance(FRAME_MS);
    expect(page.text()).toBe('live orders:1 2');
    expect(events).toEqual([['orders:1', 1], ['orders:2', 2], ['orders:1', 2]]);
    expect(page.server.last.of('subscription')).toEqual([]);
  });
});

describe('after a break', () => {
  function Row(): ReactNode {
    useWSE({ endpoints: ['ws://host/wse'] });
    const { status, recovered, reason } = useTopic('prices');
    return `${status} ${recovered} ${reason}`;
  }

  it('says how many missed messages were replayed, or why they are lost', async () => {
    const page = await start(<Row />);
    expect(page.text()).toBe('pending 0 null');
    await page.advance(FRAME_MS);
    expect(page.text()).toBe('live 0 null');
    const miss = async (count: number): Promise<void> => {
      page.server.drop();
      for (let n = 0; n < count; n += 1) page.server.publish('prices', n);
    };
    await miss(3);
    await page.advance(2_000);
    expect(page.text()).toBe('recovered 3 null');
    await miss(2);
    page.server.log('prices').trim();
    await page.advance(2_000);
    expect(page.text()).toBe('resync 0 history');
  });
});
