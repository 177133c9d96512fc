// The fake server answers as the server does, also what this client never asks.
import { describe, expect, it } from 'vitest';
import { createTestClient } from '../../src/testing';

interface Frame {
  readonly t: string;
  readonly seq?: number;
  readonly p?: { readonly topics?: readonly { readonly status: string; readonly e: string; readonly seq: number }[] };
}

/** A peer that speaks by hand. */
async function peer() {
  const { server, clock } = createTestClient({});
  const frames: Frame[] = [];
  const onMessage = (data: string | ArrayBuffer): void => void frames.push(JSON.parse(data as string) as Frame);
  const socket = server.transport.open('ws://fake/wse', ['wse.v2'], { onOpen: () => undefined, onClose: () => undefined, onMessage });
  await clock.advance(0);
  const say = async (t: string, p: object): Promise<readonly Frame[]> => {
    frames.length = 0;
    socket.send(JSON.stringify({ v: 2, c: 'WSE', t, p }));
    await clock.advance(0);
    return [...frames];
  };
  await say('client_hello', {});
  return { server, subscribe: (more: object) => say('subscription', { action: 'subscribe', topics: ['t'], ...more }) };
}

describe('the fake server', () => {
  it('leaves a topic that is asked for again as it is, unless a position comes with it ([P-25])', async () => {
    const { server, subscribe } = await peer();
    server.publish('t', 1);
    const at = (await subscribe({}))[0]?.p?.topics?.[0];
    server.publishAll('t', [2, 3]);
    expect((await subscribe({})).map(({ p }) => p?.topics?.[0])).toEqual([{ ...at, seq: 3 }]);
    const [answer, ...replayed] = await subscribe({ positions: { t: { e: at?.e, seq: at?.seq } } });
    expect(answer?.p?.topics).toEqual([{ ...at, status: 'recovered', recovered: 2 }]);
    expect(replayed.map(({ seq }) => seq)).toEqual([2, 3]);
  });
});
