// useTopic with snapshots: what is shown, what a reducer makes of state and messages, and asking again.
import type { ReactNode } from 'react';
import { afterEach, describe, expect, it } from 'vitest';
import { useTopic, useWSE, type Filter, type TopicMessage } from '../../src';
import { FRAME_MS } from '../../src/testing';
import { mount, type Mounted } from './harness';

interface Order {
  readonly id: number;
  readonly status: string;
}

type Orders = readonly Order[];

let mounted: Mounted | undefined;

afterEach(async () => {
  await mounted?.unmount();
  await mounted?.advance(60_000);
});

function reduce(orders: Orders = [], { category, payload }: TopicMessage<Orders | Order>): Orders {
  if (category === 'S') return payload as Orders;
  const order = payload as Order;
  return [...orders.filter(({ id }) => id !== order.id), order];
}

const text = (orders: Orders | undefined): string => (orders ?? []).map(({ id, status }) => `${id}:${status}`).join(',');

let refetch: (() => void) | undefined;

function List({ filter }: { readonly filter?: Filter }): ReactNode {
  const result = useTopic<Orders, Orders | Order>('orders', { reduce, filter });
  refetch = result.refetch;
  return `[${result.status} ${text(result.data)}${result.error === null ? '' : ` ${result.error.code}`}]`;
}

function Latest(): ReactNode {
  return `[${JSON.stringify(useTopic('orders').data ?? null)}]`;
}

function Page({ children }: { readonly children: ReactNode }): ReactNode {
  useWSE({ endpoints: ['ws://host/wse'] });
  return children;
}

async function start(children: ReactNode, state: () => unknown): Promise<Mounted> {
  mounted = await mount(<Page>{null}</Page>);
  mounted.server.log('orders').state = state;
  await mounted.render(<Page>{children}</Page>);
  await mounted.advance(FRAME_MS);
  return mounted;
}

describe('a reducer', () => {
  it('is given the state and then every message once, in StrictMode too, and shows them by the frame', async () => {
    const page = await start(<List />, () => [{ id: 1, status: 'new' }]);
    expect(page.text()).toBe('[live 1:new]');
    for (const [id, status] of [[2, 'new'], [1, 'paid'], [2, 'paid'], [3, 'new']] as const) page.server.publish('orders', { id, status });
    await page.advance(FRAME_MS);
    expect(page.text()).toBe('[live 1:paid,2:paid,3:new]');
  });

  it('of a component that comes later starts from a state of its own time, and the others take it too', async () => {
    let orders = [{ id: 1, status: 'new' }];
    const page = await start(<List />, () => orders);
    page.server.publish('orders', { id: 1, status: 'paid' });
    orders = [{ id: 1, status: 'paid' }, { id: 9, status: 'known to the database' }];
    await page.render(<Page><List /><List /></Page>);
    await page.advance(FRAME_MS);
    expect(page.server.last.of('snapshot_request')).toHaveLength(1);
    expect(page.text()).toBe('[live 1:paid,9:known to the database][live 1:paid,9:known to the database]');
  });

  it('begins anew with the state after messages were lost', async () => {
    let orders = [{ id: 1, status: 'new' }];
    const page = await start(<List />, () => orders);
    orders = [{ id: 2, status: 'other' }];
    page.server.drop();
    page.server.log('orders').restart('e2');
    await page.advance(5_000);
    expect(page.text()).toBe('[live 2:other]');
  });

  it('gets of a list of rows those that pass its filter', async () => {
    const page = await start([<List key="a" filter={{ status: 'new' }} />, <List key="b" filter={{ status: 'paid' }} />], () => [{ id: 1, status: 'new' }, { id: 2, status: 'paid' }]);
    expect(page.text()).toBe('[live 1:new][live 2:paid]');
  });
});

describe('without a reducer', () => {
  it('the state is shown like a message, and the next message takes its place', async () => {
    const page = await start(<Latest />, () => ['state']);
    expect(page.text()).toBe('[["state"]]');
    page.server.publish('orders', 'message');
    await page.advance(FRAME_MS);
    expect(page.text()).toBe('["message"]');
  });
});

describe('refetch', () => {
  it('asks again after a failure, which is shown meanwhile', async () => {
    let works = false;
    const page = await start(<List />, () => {
      if (!works) throw new Error('away');
      return [{ id: 1, status: 'new' }];
    });
    expect(page.text()).toBe('[live  SNAPSHOT_FAILED]');
    works = true;
    refetch?.();
    await page.advance(FRAME_MS);
    expect(page.text()).toBe('[live 1:new]');
  });
});
