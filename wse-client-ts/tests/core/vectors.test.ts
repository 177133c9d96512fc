// The shared vectors: what every implementation of the protocol must agree on.
import { describe, expect, it } from 'vitest';
import { CLIENT_CODES, CLOSE_CODES, decodeEnvelope, DEFAULTS, encodeEnvelope, ERROR_CODES, presenceName, type Envelope, type Position } from '../../src/core';
import { PLAIN } from '../../src/core/agreement';
import { Backoff } from '../../src/core/backoff';
import { encodeBeat, encodeClientHello, encodePresence, encodeSubscription, type Asked } from '../../src/core/client-messages';
import { decodeFrame } from '../../src/core/frames';
import { Health } from '../../src/core/health';
import { isFatalClose } from '../../src/core/machine';
import { parseServerMessage, type ServerMessage } from '../../src/core/messages';
import { presenceTopic } from '../../src/core/roster';
import { known, readVectors, textOf, type Text } from './vector-files';

interface Codes {
  count: number;
  errors: { code: string; close: number | null; fault: string; meaning: string }[];
  close: { code: number; name: string; fatal: boolean }[];
}

interface Envelopes {
  count: number;
  accept: { name: string; rule: string; text: string; envelope: Envelope }[];
  reject: (Text & { name: string; rule: string; code: string })[];
}

interface Messages {
  count: number;
  /** `means`: what one with something unknown is read as, where it is not itself. */
  server: { name: string; rule: string; kind: string; text: string; means?: string }[];
  client: { name: string; rule: string; kind: string; text: string }[];
  refused: { name: string; rule: string; text: string; code: string }[];
}

interface Presences {
  count: number;
  ids: unknown[];
  names: { name: string; of: 'members' | 'count'; topic: string }[];
  refused: { name: string; code: string }[];
}

interface Scripts<Script, Step> {
  count: number;
  steps: number;
  scripts: (Script & { name: string; steps: Step[] })[];
}

/** The scripts of a file, after their number is checked. */
function scriptsOf<Script, Step>(name: string, count: number, steps: number): Scripts<Script, Step>['scripts'] {
  const file = readVectors<Scripts<Script, Step>>(name);
  const found = { count: file.scripts.length, steps: file.scripts.flatMap((script) => script.steps).length };
  expect(found).toEqual({ count, steps });
  expect({ count: file.count, steps: file.steps }).toEqual(found);
  return file.scripts;
}

interface BackoffStep {
  op: 'next' | 'restart' | 'ready' | 'reset';
  random: number;
  wait_ms: number;
  window_ms: number;
  failures: number;
}

describe('backoff.json', () => {
  type Config = { config: { base_ms: number; cap_ms: number; full_after: number; restart_tries: number } };

  it.each(scriptsOf<Config, BackoffStep>('backoff.json', 9, 43))('$name', ({ config, steps }) => {
    const backoff = new Backoff({
      baseMs: config.base_ms,
      capMs: config.cap_ms,
      breakerFailures: config.full_after,
      restartTries: config.restart_tries,
    });
    for (const step of steps) {
      if (step.op === 'next') expect([step, backoff.next(step.random)]).toEqual([step, step.wait_ms]);
      else if (step.op === 'restart') backoff.handleRestart(step.window_ms);
      else if (step.op === 'ready') backoff.handleReady();
      else backoff.reset();
      expect([step, backoff.failures]).toEqual([step, step.failures]);
    }
  });
});

describe('health.json', () => {
  type Step = { op: 'new' | 'lost' | 'pong'; rtt_ms: number; health: string };

  it.each(scriptsOf<object, Step>('health.json', 9, 118))('$name', ({ steps }) => {
    const health = new Health();
    for (const [at, step] of steps.entries()) {
      if (step.op === 'pong') health.handlePong(step.rtt_ms);
      else if (step.op === 'lost') health.handleLost();
      else health.reset();
      expect([at, step, health.judge(true)]).toEqual([at, step, step.health]);
    }
  });
});

function parse(text: string): ServerMessage {
  return parseServerMessage(decodeFrame(text, PLAIN));
}

function asked(topics: readonly string[], position?: Position): Asked {
  return { topics, positions: new Map(position === undefined ? [] : [['a', position]]), filters: new Map() };
}

describe('codes.json', () => {
  const { count, errors, close } = readVectors<Codes>('codes.json');

  it('lists 42 error codes and 19 close codes, all of them ours and no other', () => {
    expect([errors.length, close.length, count]).toEqual([42, 19, 42 + 19]);
    expect(ERROR_CODES).toEqual(Object.fromEntries(errors.map(({ code, ...rest }) => [code, rest])));
    expect(CLOSE_CODES).toEqual(Object.fromEntries(close.map(({ name, ...rest }) => [name, rest])));
  });

  it('calls the close codes fatal that the client does not return from', () => {
    for (const { code, fatal } of close) expect([code, isFatalClose(code)]).toEqual([code, fatal]);
  });

  it('has no code that the client makes itself', () => {
    expect(Object.keys(CLIENT_CODES).filter((code) => code in ERROR_CODES)).toEqual([]);
  });
});

describe('defaults.json', () => {
  it('holds the defaults of this package, as many as it says, under their camel-case names', () => {
    const { count, defaults } = readVectors<{ count: number; defaults: Record<string, number> }>('defaults.json');
    const camel = (name: string): string => name.replace(/_([a-z])/g, (_, letter: string) => letter.toUpperCase());
    expect(Object.keys(defaults)).toHaveLength(count);
    expect(DEFAULTS).toEqual(Object.fromEntries(Object.entries(defaults).map(([name, value]) => [camel(name), value])));
  });
});

describe('envelopes.json', () => {
  const { count, accept, reject } = readVectors<Envelopes>('envelopes.json');

  it('has 54 that are taken and 131 that are not', () => {
    expect([accept.length, reject.length, count]).toEqual([54, 131, 54 + 131]);
  });

  it.each(accept)('accepts $name ($rule), and encodes it so that it reads the same', ({ text, envelope }) => {
    const decoded = decodeEnvelope(text);
    expect(decoded).toEqual(known(envelope));
    expect(decodeEnvelope(encodeEnvelope(decoded))).toEqual(decoded);
  });

  it.each(reject)('refuses $name ($rule) with $code', ({ code, ...text }) => {
    expect(() => decodeEnvelope(textOf(text))).toThrow(expect.objectContaining({ name: 'WSEError', code }));
  });
});

// The rules of topics.json are the server's alone: the client shows its `refused`.
describe('messages.json', () => {
  const { count, server, client, refused } = readVectors<Messages>('messages.json');
  const at7 = { epoch: 'e1', seq: 7 };

  it('has 33 of servers, 23 of clients, and 50 that servers refuse', () => {
    expect([server.length, client.length, refused.length, count]).toEqual([33, 23, 50, 33 + 23 + 50]);
  });

  it.each(server)('reads $name ($rule) as its kind', ({ kind, text }) => {
    const kinds: Record<string, string> = { server_hello: 'hello', server_ready: 'ready', subscription_update: 'subscriptions' };
    expect(parse(text).kind).toBe(kinds[kind] ?? kind);
  });

  it('reads a status that it does not know as resync', () => {
    const statuses = (text: string): unknown => {
      const message = parse(text);
      return message.kind === 'subscriptions' && message.topics.map(({ status }) => status);
    };
    const strange = server.filter(({ kind, means }) => kind === 'subscription_update' && means !== undefined);
    expect(strange.map(({ text }) => statuses(text))).toEqual([['resync', 'live']]);
    expect(strange.map(({ means }) => statuses(means ?? ''))).toEqual([['resync', 'live']]);
  });

  it('reads every field of them', () => {
    const first = (kind: string): unknown => parse(server.find((message) => message.kind === kind)?.text ?? '');
    expect(first('server_hello')).toEqual({
      kind: 'hello',
      format: 'json',
      compression: null,
      batch: false,
      heartbeatMs: 15_000,
      messageBytes: 1_048_576,
      subscriptions: 128,
      patterns: 16,
      server: 'wse-server/0.1.0',
    });
    expect(first('server_ready')).toEqual({ kind: 'ready', connection: 'c1', user: 'ada', retryMs: 500, session: null, producers: null, outcomesMs: 93_600_000 });
    expect(first('move')).toEqual({ kind: 'move', inMs: 1_250, forMs: 10_000 });
    expect(first('error')).toMatchObject({ cid: 'q1', error: { code: 'NO_HANDLER', message: 'the server has no handler for "x"' } });
    expect(first('reply')).toEqual({ kind: 'reply', cid: 'q1', payload: { ok: true } });
    expect(first('subscription_update')).toEqual({
      kind: 'subscriptions',
      cid: 's1',
      topics: [
        { topic: 'a', topics: [], status: 'live', snapshot: false, position: at7 },
        { topic: 'b', topics: [], status: 'recovered', snapshot: false, position: at7, recovered: 3 },
        { topic: 'c', topics: [], status: 'resync', snapshot: false, position: at7, reason: 'epoch' },
        { topic: 'd', topics: [], status: 'unsubscribed' },
        { topic: '@e', topics: [], status: 'refused', code: 'RESERVED_TOPIC', message: 'no' },
      ],
    });
  });

  it('holds what this client sends', () => {
    const sent = [
      encodeClientHello({ token: 't', offers: PLAIN, client: 'x/1', ...asked(['a']) }),
      encodeSubscription('subscribe', asked(['a', 'b'], at7), 's1'),
      encodeBeat('ping', { at: 1 }),
      encodeBeat('pong', null),
      encodePresence({ cid: 'e1', action: 'enter', topic: 'room:1', text: '{"name":"Ada","typing":false}' }, undefined),
      encodePresence({ cid: 'e2', action: 'enter', topic: 'room:1', text: 'null' }, '0193b3a0-0000-4000-8000-000000000001'),
      encodePresence({ cid: 'e3', action: 'update', topic: 'room:1', text: '[1,"two"]' }, undefined),
      encodePresence({ cid: 'e4', action: 'leave', topic: 'room:1', text: null }, undefined),
    ];
    const known = client.map(({ text }) => JSON.parse(text) as unknown);
    for (const text of sent) expect(known).toContainEqual(JSON.parse(text));
  });
});

describe('presence.json', () => {
  const { count, ids, names, refused } = readVectors<Presences>('presence.json');

  it('has 6 ids, which the server makes, 7 names and 13 that are refused', () => {
    expect([ids.length, names.length, refused.length, count]).toEqual([6, 7, 13, 6 + 7 + 13]);
  });

  it('names what is watched of a topic as the server does', () => {
    expect(names.map(({ of, topic }) => presenceName(topic, of === 'count'))).toEqual(names.map(({ name }) => name));
    expect(names.map(({ name }) => presenceTopic(name))).toEqual(names.map(({ topic }) => topic));
  });

  it('takes no other name of the server for one', () => {
    const others = refused.filter(({ name }) => !/^@(presence|count):/.test(name)).map(({ name }) => name);
    expect([others.length, others.map((name) => presenceTopic(name))]).toEqual([4, [undefined, undefined, undefined, undefined]]);
  });
});
