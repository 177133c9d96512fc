// The small pure parts: endpoints, health, window event names, version.
import { readFileSync } from 'node:fs';
import { describe, expect, it } from 'vitest';
import { HEALTH_WINDOW, resolveEndpoint, VERSION, windowEventName } from '../../src/core';
import { Health } from '../../src/core/health';

it('names the version of package.json', () => {
  const { version } = JSON.parse(readFileSync(new URL('../../package.json', import.meta.url), 'utf8')) as { version: string };
  expect(VERSION).toBe(version);
});

describe('resolveEndpoint', () => {
  it.each([
    ['/wse', 'https://example.com', 'wss://example.com/wse'],
    ['live/wse', 'http://localhost:8000', 'ws://localhost:8000/live/wse'],
    ['http://host:1/x?topics=a', null, 'ws://host:1/x?topics=a'],
    ['https://host/x#part', null, 'wss://host/x'],
    ['ws://host/wse', 'https://page', 'ws://host/wse'],
    ['//cdn.test/wse', 'https://page', 'wss://cdn.test/wse'],
  ])('makes of %s on %s the URL %s', (endpoint, origin, url) => {
    expect(resolveEndpoint(endpoint, origin)).toBe(url);
  });

  it.each([['/wse', null], ['ftp://host/', null], ['http://', 'http://page']])('refuses %s on %s', (endpoint, origin) => {
    expect(() => resolveEndpoint(endpoint, origin)).toThrow(expect.objectContaining({ code: 'INVALID_ENDPOINT' }));
  });
});

describe('health', () => {
  const judge = (...rtts: (number | 'lost')[]): string => {
    const health = new Health();
    for (const rtt of rtts) {
      if (rtt === 'lost') health.handleLost();
      else health.handlePong(rtt);
    }
    return health.judge(true);
  };

  it('is offline without a connection and good before the first pong', () => {
    expect(new Health().judge(false)).toBe('offline');
    expect(judge()).toBe('good');
  });

  it('falls with the round trip', () => {
    expect([150, 151, 300, 301, 800, 801].map((rtt) => judge(rtt))).toEqual(['excellent', 'good', 'good', 'fair', 'fair', 'poor']);
  });

  it('falls with jitter and with lost pongs, and forgets what is long past', () => {
    expect(judge(10, 400, 10, 400)).not.toBe('excellent');
    expect(judge(10, 'lost')).toBe('fair');
    expect(judge(10, 'lost', 'lost')).toBe('poor');
    expect(judge(10, 'lost', 'lost', ...Array<number>(HEALTH_WINDOW).fill(10))).toBe('excellent');
  });
});

it('leaves names alone that are no event of the browser or of the client', () => {
  const target = { onclick: null };
  expect(['notifications', 'click', 'DOMContentLoaded', 'wse:status'].map((name) => windowEventName(name, target))).toEqual([
    'notifications',
    'wse:click',
    'wse:DOMContentLoaded',
    'wse:wse:status',
  ]);
});
