// What the page knows of its connection: one client, its traffic, and what happened to it.
import { useEffect, useRef, useState, useSyncExternalStore } from 'react';
import { storeOf, useTopic, useWSE, useWSEEvent, type EventMeta, type UseWSEResult, type WSEClient } from 'wse-client';
import { Market, type History, type Notification, type PriceUpdate } from './market';

/** The connection in the page's words. */
export type Link = 'connecting' | 'live' | 'reconnecting' | 'refused';

/** A line of the connection's log. */
export interface Happening {
  readonly id: number;
  readonly at: number;
  readonly text: string;
  readonly tone: 'good' | 'bad' | 'plain';
}

/** A topic's position and traffic. */
export interface Traffic {
  readonly total: number;
  /** Messages in each of the last seconds, oldest first. */
  readonly perSecond: readonly number[];
  readonly epoch: string | undefined;
  readonly seq: number | undefined;
}

export const market = new Market();
const BARS = 32;
const FEED = 40;

/** All that the page shows of its connection. */
export interface Live {
  readonly wse: UseWSEResult;
  readonly link: Link;
  readonly log: readonly Happening[];
  readonly feed: readonly Notification[];
  readonly reconnects: number;
  /** When the connection was lost; null while it is there. */
  readonly lostAt: number | null;
}

/** Opens the connection, keeps the market filled and the log written. */
export function useLive(): Live {
  const wse = useWSE({ topics: ['prices', 'notifications'], backoffCapMs: 5_000 });
  const { isConnected, status, sendMessage } = wse;
  const prices = useTopic('prices');
  const wasConnected = useRef(false);
  const [lostAt, setLostAt] = useState<number | null>(null);
  const [reconnects, setReconnects] = useState(0);
  const [log, setLog] = useState<readonly Happening[]>([]);
  const note = (text: string, tone: Happening['tone']): void => setLog((old) => [{ id: (old[0]?.id ?? 0) + 1, at: Date.now(), text, tone }, ...old].slice(0, 3));

  const [feed, setFeed] = useState<readonly Notification[]>([]);
  useWSEEvent<PriceUpdate>('price_update', (update) => market.push(update));
  useWSEEvent<Notification>('notifications', (notification) => setFeed((old) => merge([notification], old)));

  useEffect(() => {
    if (isConnected) {
      if (lostAt !== null) {
        note(`Back after ${((Date.now() - lostAt) / 1000).toFixed(1)} s`, 'good');
        setReconnects((n) => n + 1);
      } else if (!wasConnected.current) {
        note('Connected', 'good');
      }
      wasConnected.current = true;
      setLostAt(null);
    } else if (wasConnected.current && lostAt === null) {
      note('Connection lost', 'bad');
      setLostAt(Date.now());
    }
  }, [isConnected]);

  useEffect(() => {
    if (!isConnected) return;
    sendMessage<History>('history', {}, { keep: false }).then(
      (history) => {
        market.load(history);
        setFeed((old) => merge(history.notifications, old));
      },
      () => undefined, // the connection went again; the next one asks anew
    );
  }, [isConnected, sendMessage]);

  useEffect(() => {
    if (prices.status === 'recovered') note(`${prices.recovered} missed messages recovered`, 'good');
    if (prices.status === 'resync') note('Gap in the log: history loaded again', 'plain');
  }, [prices.status]);

  const link = isConnected ? 'live' : status === 'closed' ? 'refused' : wasConnected.current ? 'reconnecting' : 'connecting';
  return { wse, link, log, feed, reconnects, lostAt };
}

/** Newest first, each once: what the server kept may have come live as well. */
function merge(more: readonly Notification[], old: readonly Notification[]): readonly Notification[] {
  const known = new Set(old.map(notificationKey));
  return [...more.filter((n) => !known.has(notificationKey(n))), ...old].sort((a, b) => b.at - a.at).slice(0, FEED);
}

/** Tells notifications apart. */
export function notificationKey({ at, text, order_id }: Notification): string {
  return `${at} ${order_id} ${text}`;
}

/** Counts the page's messages; renders once a second. */
export function useTraffic(topic: string): Traffic {
  const counter = useRef({ total: 0, second: 0, epoch: undefined as string | undefined, seq: undefined as number | undefined });
  const [traffic, setTraffic] = useState<Traffic>({ total: 0, perSecond: Array<number>(BARS).fill(0), epoch: undefined, seq: undefined });
  useWSEEvent('*', (_payload, meta: EventMeta) => {
    counter.current.total += 1;
    counter.current.second += 1;
    if (meta.topic !== topic) return;
    counter.current.epoch = meta.epoch;
    counter.current.seq = meta.seq;
  });
  useEffect(() => {
    const timer = setInterval(() => {
      const { total, second, epoch, seq } = counter.current;
      counter.current.second = 0;
      setTraffic((old) => ({ total, perSecond: [...old.perSecond.slice(1), second], epoch, seq }));
    }, 1_000);
    return () => clearInterval(timer);
  }, []);
  return traffic;
}

/** The smoothed round trip in milliseconds. */
export function useRoundTrip(client: WSEClient | null): number | null {
  return useSyncExternalStore(
    (listener) => (client === null ? () => undefined : storeOf(client).subscribe(listener)),
    () => (client === null ? null : storeOf(client).getState().connection.rttMs),
  );
}

/** The time, once per `every` milliseconds. */
export function useNow(every: number): number {
  const [now, setNow] = useState(Date.now);
  useEffect(() => {
    const timer = setInterval(() => setNow(Date.now()), every);
    return () => clearInterval(timer);
  }, [every]);
  return now;
}
