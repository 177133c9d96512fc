// usePresence in StrictMode: what is entered and left at the server, and what components show.
import type { ReactNode } from 'react';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { usePresence, useWSE } from '../../src';
import { FRAME_MS } from '../../src/testing';
import { mount, type Mounted } from './harness';

interface Person {
  readonly name: string;
}

let mounted: Mounted | undefined;

async function start(view: ReactNode): Promise<Mounted> {
  mounted = await mount(view);
  await mounted.advance(FRAME_MS);
  return mounted;
}

beforeEach(() => {
  mounted = undefined;
});

afterEach(async () => {
  await mounted?.unmount();
  await mounted?.advance(60_000);
});

function Page({ children }: { readonly children?: ReactNode }): ReactNode {
  useWSE({ endpoints: ['ws://host/wse'] });
  return children;
}

function Room({ name, topic = 'room', countOnly, onRender }: { readonly name?: string; readonly topic?: string; readonly countOnly?: boolean; readonly onRender?: (update: (data: Person) => void) => void }): ReactNode {
  const { members, count, status, error, update } = usePresence<Person>(topic, { countOnly, data: name === undefined ? undefined : { name } });
  onRender?.(update);
  return `[${status} ${count} ${members.map(({ data }) => data.name).join(',')}${error === null ? '' : ` ${error.code}`}]`;
}

const said = ({ server }: Mounted): unknown[] => server.last.of('presence').map(({ p }) => (p as { action: string; data?: Person })).map(({ action, data }) => [action, data?.name]);

describe('usePresence', () => {
  it('enters once under StrictMode and however often it renders, shows who is there, and leaves when it unmounts', async () => {
    const page = await start(<Page><Room name="Ada" /></Page>);
    page.server.presence('room').enter('bob', { name: 'Bob' });
    await page.advance(FRAME_MS);
    expect(page.text()).toBe('[live 2 Ada,Bob]');
    for (let n = 0; n < 20; n += 1) await page.render(<Page><Room name="Ada" /></Page>);
    expect(said(page)).toEqual([['enter', 'Ada']]);
    await page.render(<Page />);
    await page.advance(5_000);
    expect([said(page), page.server.presence('room').members.map(({ id }) => id)]).toEqual([[['enter', 'Ada'], ['leave', undefined]], ['bob']]);
    expect([...page.server.last.topics]).toEqual([]);
  });

  it('sends other data as an update; update() holds until the option changes', async () => {
    let update: ((data: Person) => void) | undefined;
    const room = (name: string): ReactNode => <Page><Room name={name} onRender={(given) => (update = given)} /></Page>;
    const page = await start(room('Ada'));
    const first = update;
    await page.render(room('Ada'));
    expect(update).toBe(first);
    first?.({ name: 'typing' });
    await page.advance(FRAME_MS);
    await page.render(room('Ada'));
    expect(page.text()).toBe('[live 1 typing]');
    await page.render(room('Countess'));
    await page.advance(FRAME_MS);
    expect(page.text()).toBe('[live 1 Countess]');
    expect(said(page)).toEqual([['enter', 'Ada'], ['update', 'typing'], ['update', 'Countess']]);
  });

  it('of two components on one topic is one member and one subscription, until both are gone', async () => {
    const page = await start(<Page><Room key="a" name="Ada" /><Room key="b" name="Bee" /></Page>);
    expect(page.text()).toBe('[live 1 Bee][live 1 Bee]');
    await page.render(<Page><Room key="a" name="Ada" /></Page>);
    await page.advance(5_000);
    expect(page.text()).toBe('[live 1 Ada]');
    expect([...page.server.last.topics]).toEqual(['@presence:room']);
    expect(page.server.presence('room').members).toHaveLength(1);
  });

  it('on another page a moment later never leaves', async () => {
    const page = await start(<Page><Room key="one" name="Ada" /></Page>);
    await page.render(<Page />);
    await page.advance(500);
    await page.render(<Page><Room key="two" name="Ada" /></Page>);
    await page.advance(5_000);
    expect([said(page), page.text()]).toEqual([[['enter', 'Ada']], '[live 1 Ada]']);
  });

  it('without data only watches, with countOnly only the number; data that comes later enters, and that goes leaves', async () => {
    const page = await start(<Page><Room /><Room countOnly /></Page>);
    page.server.presence('room').enter('bob', { name: 'Bob' });
    await page.advance(FRAME_MS);
    expect(page.text()).toBe('[live 1 Bob][live 1 ]');
    expect(said(page)).toEqual([]);
    await page.render(<Page><Room name="Ada" /><Room countOnly /></Page>);
    await page.advance(FRAME_MS);
    expect(page.text()).toBe('[live 2 Bob,Ada][live 2 ]');
    await page.render(<Page><Room /><Room countOnly /></Page>);
    await page.advance(5_000);
    expect(page.text()).toBe('[live 1 Bob][live 1 ]');
  });

  it('goes with its topic', async () => {
    const page = await start(<Page><Room name="Ada" topic="room" /></Page>);
    await page.render(<Page><Room name="Ada" topic="hall" /></Page>);
    await page.advance(5_000);
    expect([page.server.presence('room').members, page.server.presence('hall').members.length, page.text()]).toEqual([[], 1, '[live 1 Ada]']);
  });

  it('says that it is refused, and why', async () => {
    const page = await start(<Page />);
    page.server.refusedTopics.set('room', 'PRESENCE_OFF');
    await page.render(<Page><Room name="Ada" /></Page>);
    await page.advance(FRAME_MS);
    expect(page.text()).toBe('[refused 0  PRESENCE_OFF]');
  });

  it('of a full topic comes in when there is room, and shows nothing of a refusal once it does not want in any more', async () => {
    const only = (name?: string): ReactNode => <Page><Room {...(name === undefined ? {} : { name })} countOnly /></Page>;
    const page = await start(only());
    page.server.presence('room').enter('bob');
    page.server.refusedTopics.set('room', 'PRESENCE_FULL');
    await page.render(only('Ada'));
    await page.advance(FRAME_MS);
    expect(page.text()).toBe('[refused 1  PRESENCE_FULL]');
    page.server.refusedTopics.clear();
    await page.advance(6_000);
    expect([page.text(), page.server.presence('room').members.length]).toEqual(['[live 2 ]', 2]);
    page.server.last.send({ t: 'error', c: 'WSE', p: { code: 'PRESENCE_FULL', message: 'by the test', topic: 'room' } });
    await page.advance(FRAME_MS);
    expect(page.text()).toBe('[refused 2  PRESENCE_FULL]');
    await page.render(only());
    await page.advance(3_000);
    expect(page.text()).toBe('[live 2 ]');
  });

  it('renders once a frame, however many come', async () => {
    let renders = 0;
    const page = await start(<Page><Room onRender={() => (renders += 1)} /></Page>);
    renders = 0;
    for (let n = 0; n < 100; n += 1) page.server.presence('room').enter(`m${n}`, { name: 'x' });
    await page.advance(FRAME_MS);
    expect(page.text()).toContain('[live 100 x,');
    // StrictMode renders twice.
    expect(renders).toBe(2);
  });
});
