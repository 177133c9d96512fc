// Server-side rendering in plain Node: importing and rendering does nothing but render.
import { createElement } from 'react';
import { renderToString } from 'react-dom/server';
import { expect, it, vi } from 'vitest';

it('imports without side effects and renders offline without a socket, a timer or a warning', async () => {
  const socket = vi.fn();
  vi.stubGlobal('WebSocket', socket);
  const warned = vi.spyOn(console, 'error').mockImplementation(() => undefined);
  const timers = [vi.spyOn(globalThis, 'setTimeout'), vi.spyOn(globalThis, 'setInterval')];
  const before = Reflect.ownKeys(globalThis);
  const { usePresence, useTopic, useWSE, useWSEEvent } = await import('../../src');
  expect(Reflect.ownKeys(globalThis)).toEqual(before);
  expect(typeof window).toBe('undefined');
  function Page() {
    const { isConnected, connectionHealth, status } = useWSE({ topics: ['a'] });
    useWSEEvent('a', () => undefined);
    return createElement('p', null, `${isConnected} ${connectionHealth} ${status} ${useTopic('a').status} ${usePresence('a', { data: 1 }).count}`);
  }
  expect(renderToString(createElement(Page))).toBe('<p>false offline idle pending 0</p>');
  expect(socket).not.toHaveBeenCalled();
  expect(warned).not.toHaveBeenCalled();
  for (const timer of timers) expect(timer).not.toHaveBeenCalled();
  vi.unstubAllGlobals();
  vi.restoreAllMocks();
});

it('keeps React out of the core', async () => {
  vi.resetModules();
  vi.doMock('react', () => {
    throw new Error('the core imported React');
  });
  const { createClient } = await import('../../src/core');
  expect(createClient().state.status).toBe('idle');
  vi.doUnmock('react');
});
