// useOutbox, in StrictMode: what a component shows of messages that wait or have failed, and how often.
import type { ReactNode } from 'react';
import { renderToString } from 'react-dom/server';
import { afterEach, describe, expect, it } from 'vitest';
import { useOutbox, useWSE, type UseOutboxResult, type UseWSEResult } from '../../src';
import { FRAME_MS } from '../../src/testing';
import { mount, type Mounted } from './harness';

let mounted: Mounted | undefined;
let outbox: UseOutboxResult;
let wse: UseWSEResult;
let renders = 0;

function Page(): ReactNode {
  wse = useWSE({ endpoints: ['ws://host/wse'] });
  outbox = useOutbox();
  renders += 1;
  const { messages, counts } = outbox;
  return `${messages.map(({ payload, status }) => `${payload as string} ${status}`).join(', ')} (${counts.queued} ${counts.sent} ${counts.failed})`;
}

afterEach(async () => {
  await mounted?.unmount();
  await mounted?.advance(60_000);
  mounted = undefined;
});

describe('useOutbox', () => {
  it('shows what waits, what is sent and what has failed, and sends that anew', async () => {
    const page = (mounted = await mount(<Page />));
    let isBroken = true;
    page.server.on('note', (payload) => {
      if (isBroken) throw new Error('not yet');
      return payload;
    });
    page.server.mode = 'refuse';
    page.server.drop();
    wse.sendMessage('note', 'a').catch(() => undefined);
    await page.advance(FRAME_MS);
    expect(page.text()).toBe('a queued (1 0 0)');
    page.server.mode = 'accept';
    await page.advance(5_000);
    expect(page.text()).toBe('a failed (0 0 1)');
    isBroken = false;
    const again = outbox.retry(outbox.messages[0]?.id ?? '');
    await page.advance(FRAME_MS);
    expect([await again, page.text()]).toEqual(['a', ' (0 0 0)']);
  });

  it('renders once per frame, however many messages change, and its functions stay', async () => {
    const page = (mounted = await mount(<Page />));
    page.server.on('note', () => undefined);
    const { cancel, retry } = outbox;
    const before = renders;
    for (let n = 0; n < 50; n += 1) wse.sendMessage('note', String(n)).catch(() => undefined);
    await page.advance(FRAME_MS);
    // StrictMode renders twice.
    expect(renders - before).toBeLessThanOrEqual(4);
    expect([outbox.counts.sent, outbox.cancel === cancel, outbox.retry === retry, outbox.cancel('nothing')]).toEqual([50, true, true, false]);
  });

  it('is empty before there is a client and in a server-side render', () => {
    function Alone(): ReactNode {
      const { messages, isDurable } = useOutbox();
      return `${messages.length} ${isDurable}`;
    }
    expect(renderToString(<Alone />)).toBe('0 null');
  });
});
