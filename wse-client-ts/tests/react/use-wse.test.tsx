// useWSE in StrictMode: sockets and frames counted at the server.
import { useEffect, version, type ReactNode } from 'react';
import { afterEach, beforeEach, describe, expect, it, vi } from 'vitest';
import { useTopic, useWSE, useWSEEvent, WSEProvider, type UseWSEOptions, type UseWSEResult } from '../../src';
import { createTestClient, FRAME_MS } from '../../src/testing';
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
  expect(mounted?.server.open ?? []).toHaveLength(0);
});

function View({ options, onResult }: { readonly options?: UseWSEOptions; readonly onResult?: (result: UseWSEResult) => void }): ReactNode {
  const result = useWSE(options ?? { topics: ['a', 'b'], endpoints: ['ws://host/wse'], onError: () => undefined });
  onResult?.(result);
  return `${result.isConnected} ${result.connectionHealth}`;
}

it('runs under the React that this project is for', () => {
  expect(version.split('.')[0]).toBe(process.env['EXPECTED_REACT']);
});

describe('the socket', () => {
  it('is exactly one under StrictMode, shows itself connected, and is released after unmount', async () => {
    const page = await start(<View />);
    expect(page.text()).toBe('false offline');
    await page.advance(FRAME_MS);
    expect(page.text()).toBe('true excellent');
    expect(page.server.connections).toHaveLength(1);
    expect(page.server.last.of('client_hello')[0]?.p).toMatchObject({ topics: ['a', 'b'] });
    await page.unmount();
    await page.advance(999);
    expect(page.server.open).toHaveLength(1);
    await page.advance(1);
    expect(page.server.open).toHaveLength(0);
    await page.advance(FRAME_MS);
    expect(page.clock.waiting).toBe(0);
    expect(page.environment.watchers).toBe(0);
  });

  it('stays through 100 renders with inline options, which open and subscribe nothing', async () => {
    const page = await start(<View />);
    for (let n = 0; n < 100; n += 1) {
      await page.render(<View options={{ topics: ['a', 'b'], endpoints: ['ws://host/wse'], onError: () => undefined }} />);
    }
    await page.advance(5_000);
    expect(page.server.connections).toHaveLength(1);
    expect(page.server.last.received.filter(({ t }) => t !== 'ping').map(({ t }) => t)).toEqual(['client_hello']);
  });

  it('is shared by components with equal options and kept while one is mounted', async () => {
    const page = await start([<View key="1" />, <View key="2" />]);
    await page.render([<View key="1" />]);
    await page.advance(5_000);
    expect(page.server.connections).toHaveLength(1);
    expect(page.server.open).toHaveLength(1);
  });

  it('is left alone when one page goes and the next comes within the linger', async () => {
    const page = await start(<View />);
    await page.render(null);
    await page.advance(500);
    await page.render(<View />);
    await page.advance(5_000);
    expect(page.server.connections).toHaveLength(1);
    expect(page.server.open).toHaveLength(1);
  });

  it('is another one for other endpoints', async () => {
    const page = await start(<View />);
    await page.render(<View options={{ endpoints: ['ws://other/wse'] }} />);
    await page.advance(5_000);
    expect(page.server.open.map(({ url }) => url)).toEqual(['ws://other/wse']);
  });
});

describe('a refusal for good', () => {
  it('is not tried again by the next component that mounts, but by another token', async () => {
    const page = await start(null);
    page.server.refusal = { code: 'AUTH_FAILED', close: 4401 };
    const results: UseWSEResult[] = [];
    const view = (token: string, keys: string[]): ReactNode => keys.map((key) => <View key={key} options={{ token }} onResult={(result) => results.push(result)} />);
    await page.render(view('bad', ['1']));
    await page.advance(FRAME_MS);
    expect(results.at(-1)).toMatchObject({ status: 'closed', error: { code: 'AUTH_FAILED' } });
    await page.render(view('bad', ['1', '2']));
    await page.advance(5_000);
    expect(page.server.connections).toHaveLength(1);
    page.server.refusal = null;
    await page.render(view('good', ['1', '2']));
    await page.advance(FRAME_MS);
    expect(page.server.connections).toHaveLength(2);
    expect(results.at(-1)).toMatchObject({ status: 'ready', error: null });
  });
});

describe('topics', () => {
  it('that change send only the difference', async () => {
    const page = await start(<View options={{ topics: ['a', 'b'] }} />);
    await page.render(<View options={{ topics: ['b', 'c'] }} />);
    await page.advance(1_000);
    expect(page.server.last.of('subscription').map(({ p }) => p)).toEqual([
      { action: 'subscribe', topics: ['c'] },
      { action: 'unsubscribe', topics: ['a'] },
    ]);
    expect(page.server.connections).toHaveLength(1);
  });

  it('can be added and taken back by hand, and go with the component', async () => {
    let result: UseWSEResult | undefined;
    const page = await start(<View options={{ topics: ['a'] }} onResult={(latest) => (result = latest)} />);
    result?.subscribe('x');
    result?.unsubscribe('a');
    await page.advance(2_000);
    expect([...page.server.last.topics]).toEqual(['a', 'x']);
    result?.unsubscribe(['x']);
    await page.advance(2_000);
    expect([...page.server.last.topics]).toEqual(['a']);
  });
});

describe('token', () => {
  function Positional({ token }: { readonly token: string | null }): ReactNode {
    useWSE(token, ['a'], { endpoints: ['ws://host/wse'] });
    return null;
  }

  it('of the positional form is sent, null waits without a socket, and another one reconnects with the positions', async () => {
    const page = await start(<Positional token={null} />);
    await page.advance(30_000);
    expect(page.server.connections).toHaveLength(0);
    await page.render(<Positional token="one" />);
    page.server.publish('a', 1);
    await page.render(<Positional token="two" />);
    await page.advance(5_000);
    expect(page.server.connections.map(({ received }) => (received[0]?.p as { token: string }).token)).toEqual(['one', 'two']);
    expect(page.server.open).toHaveLength(1);
    expect(page.server.last.of('subscription').map(({ p }) => p)).toEqual([
      { action: 'subscribe', topics: ['a'], positions: { a: { e: 'e1', seq: 1 } } },
    ]);
  });

  it('as an inline function is asked in its latest form', async () => {
    const page = await start(<View options={{ token: () => 'first' }} />);
    await page.render(<View options={{ token: async () => 'latest' }} />);
    page.server.drop();
    await page.advance(1_000);
    expect(page.server.connections.map(({ received }) => (received[0]?.p as { token: string }).token)).toEqual(['first', 'latest']);
  });
});

describe('messages', () => {
  it('are answered through sendMessage, whose identity never changes', async () => {
    const identities = new Set<unknown>();
    let result: UseWSEResult | undefined;
    const page = await start(
      <View
        onResult={(latest) => {
          result = latest;
          identities.add(latest.sendMessage);
        }}
      />,
    );
    page.server.on('add', (p) => (p as number) + 1);
    const reply = result?.sendMessage<number>('add', 41);
    await page.advance(FRAME_MS);
    expect(await reply).toBe(42);
    // StrictMode renders twice and keeps the first or the second memo, never more.
    expect(identities.size).toBeLessThanOrEqual(2);
    expect(result?.client?.state.isConnected).toBe(true);
  });

  it('reach useWSEEvent one by one through the latest handler, without rendering', async () => {
    const seen: unknown[] = [];
    let renders = 0;
    function Listener({ tag }: { readonly tag: string }): ReactNode {
      renders += 1;
      useWSEEvent<number>('a', (payload, { seq }) => seen.push([tag, payload, seq]));
      return null;
    }
    const page = await start([<View key="v" />, <Listener key="l" tag="one" />]);
    await page.advance(FRAME_MS);
    await page.render([<View key="v" />, <Listener key="l" tag="two" />]);
    const before = renders;
    for (let n = 1; n <= 50; n += 1) page.server.publish('a', n);
    await page.advance(FRAME_MS);
    expect(seen).toEqual(Array.from({ length: 50 }, (_, n) => ['two', n + 1, n + 1]));
    expect(renders).toBe(before);
  });

  it('show their latest payload in useTopic, rendered once per frame, and nothing renders useWSE', async () => {
    let topicRenders = 0;
    let wseRenders = 0;
    function Price(): ReactNode {
      topicRenders += 1;
      const { data, status, error } = useTopic<{ price: number }>('price');
      return `${status} ${data?.price} ${error?.code ?? 'fine'}`;
    }
    function Page(): ReactNode {
      wseRenders += 1;
      useWSE({ topics: [] });
      return <Price />;
    }
    const page = await start(<Page />);
    expect(page.text()).toContain('pending');
    await page.advance(FRAME_MS);
    expect(page.text()).toBe('live undefined fine');
    expect(page.server.connections).toHaveLength(1);
    const before = { topicRenders, wseRenders };
    for (let n = 1; n <= 100; n += 1) page.server.publish('price', { price: n });
    await page.advance(FRAME_MS);
    expect(page.text()).toBe('live 100 fine');
    // StrictMode renders each update twice.
    expect(topicRenders - before.topicRenders).toBeLessThanOrEqual(2);
    expect(wseRenders).toBe(before.wseRenders);
    await page.render(null);
    await page.advance(500);
    expect(page.server.last.topics.has('price')).toBe(true);
  });

  it('of a refused topic say why in useTopic', async () => {
    function Secret(): ReactNode {
      useWSE();
      const { status, error } = useTopic('secret');
      return `${status} ${error?.code}`;
    }
    const page = await start(null);
    page.server.refusedTopics.set('secret', 'INVALID_TOPIC');
    await page.render(<Secret />);
    await page.advance(FRAME_MS);
    expect(page.text()).toBe('refused INVALID_TOPIC');
  });
});

describe('the client of useTopic and useWSEEvent', () => {
  function Topic(): ReactNode {
    return useTopic<string>('a').data ?? 'nothing';
  }

  it('is the provider’s where there is one', async () => {
    const own = createTestClient();
    own.client.connect();
    const page = await start(
      <>
        <View />
        <WSEProvider client={own.client}>
          <Topic />
        </WSEProvider>
      </>,
    );
    await page.advance(FRAME_MS);
    const { act } = await import('react');
    await act(async () => own.clock.advance(FRAME_MS));
    await act(async () => {
      own.server.publish('a', 'from the provider');
      page.server.publish('a', 'from useWSE');
      await own.clock.advance(FRAME_MS);
    });
    expect(page.text()).toContain('from the provider');
  });

  it('is the one opened last otherwise', async () => {
    const page = await start([<View key="1" />, <View key="2" options={{ endpoints: ['ws://second/wse'] }} />, <Topic key="t" />]);
    await page.advance(FRAME_MS);
    const second = page.server.connections.find(({ url }) => url === 'ws://second/wse');
    expect([...(second?.topics ?? [])]).toEqual(['a']);
  });
});

describe('window events', () => {
  function Quick({ onEvent }: { readonly onEvent: (detail: unknown) => void }): ReactNode {
    const { connectionHealth } = useWSE({ topics: ['notifications', 'click'], endpoints: ['ws://localhost:8000/wse'] });
    useEffect(() => {
      const handler = (e: CustomEvent) => onEvent(e.detail);
      window.addEventListener('notifications', handler);
      window.addEventListener('order_shipped', handler);
      return () => {
        window.removeEventListener('notifications', handler);
        window.removeEventListener('order_shipped', handler);
      };
    }, []);
    return connectionHealth;
  }

  it('carry the payload, once per distinct name of type and topic', async () => {
    const seen: unknown[] = [];
    const page = await start(<Quick onEvent={(detail) => seen.push(detail)} />);
    page.server.publish('notifications', 1);
    page.server.publish('notifications', 2, 'order_shipped');
    expect(seen).toEqual([1, 2, 2]);
  });

  it('never imitate an event of the browser: such a name gets the prefix wse: and one warning', async () => {
    const warn = vi.spyOn(console, 'warn').mockImplementation(() => undefined);
    const native = vi.fn();
    const prefixed: unknown[] = [];
    window.addEventListener('click', native);
    window.addEventListener('wse:click', (event: CustomEvent) => prefixed.push(event.detail));
    const page = await start(<Quick onEvent={() => undefined} />);
    page.server.publish('click', 1);
    page.server.publish('click', 2);
    page.server.publish('notifications', 3, 'DOMContentLoaded');
    expect(native).not.toHaveBeenCalled();
    expect(prefixed).toEqual([1, 2]);
    expect(warn.mock.calls.filter(([text]) => String(text).includes('"click"'))).toHaveLength(1);
    warn.mockRestore();
  });

  it('tell status, errors, resync and skip as wse: notices', async () => {
    const seen: string[] = [];
    const names = ['wse:status', 'wse:error', 'wse:resync', 'wse:skip'] as const;
    const listener = (event: CustomEvent): void => void seen.push(event.type);
    for (const name of names) window.addEventListener(name, listener);
    const page = await start(<Quick onEvent={() => undefined} />);
    page.server.publish('notifications', 1);
    page.server.skip('notifications', 3, 'drop_low');
    page.server.drop();
    page.server.log('notifications').restart('e2');
    await page.advance(1_000);
    for (const name of names) window.removeEventListener(name, listener);
    expect([...new Set(seen)].sort()).toEqual([...names].sort());
    expect(seen.filter((name) => name === 'wse:resync')).toHaveLength(1);
  });
});
