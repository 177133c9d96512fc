// The hook that subscribes one topic and shows its latest payload, or what a reducer makes of its snapshot and messages.
import { useCallback, useEffect, useLayoutEffect, useMemo, useRef, useSyncExternalStore } from 'react';
import type { WSEClient } from '../core/client';
import { PENDING, type TopicStatus } from '../core/entry';
import type { WSEError } from '../core/errors';
import { viewKey } from '../core/filter-key';
import type { HoldOptions } from '../core/hold';
import { Reduction, type Reduce, type Reduced } from '../store/reduction';
import { storeOf, type TopicSnapshot } from '../store/store';
import { useWSEClient } from './context';
import type { ClientChoice } from './use-event';

/** What `useTopic` returns. */
export interface UseTopicResult<T> {
  /**
   * Latest payload, a snapshot's too, of a pattern that of any of its topics; undefined before the first. Frames may skip payloads: use `useWSEEvent`
   * to see each. With `reduce`: what it has made of all of them.
   */
  readonly data: T | undefined;
  /** Topic of `data`: of a pattern the one among its topics that brought it; undefined before the first. */
  readonly topic: string | undefined;
  /** `pending` until the snapshot came, where the topic has one. */
  readonly status: TopicStatus;
  /** Why the topic was refused, or why its snapshot did not come; null otherwise. */
  readonly error: WSEError | null;
  /** Of `resync`: why messages are lost, as in the notice `resync`; null otherwise. */
  readonly reason: string | null;
  /** Of `recovered`: how many missed messages the server replays, of a pattern those of its topics together; 0 otherwise. */
  readonly recovered: number;
  /** Asks for the snapshot again, such as after an error; keeps its identity. */
  readonly refetch: () => void;
}

/** Options of `useTopic`. */
export interface UseTopicOptions extends ClientChoice, HoldOptions {}

/** Options of `useTopic` with a reducer. */
export interface UseReducedTopicOptions<State, T> extends UseTopicOptions {
  /** Called once for each message in order, the snapshot (`category` is `S`) first; keep it pure. A new function takes over from the next message on. */
  readonly reduce: Reduce<State, T>;
}

const UNKNOWN: TopicSnapshot = { ...PENDING, data: undefined, topic: undefined };
const NOTHING: Reduced<never> = { state: undefined, topic: undefined };

const useClientLayoutEffect = typeof document === 'undefined' ? useEffect : useLayoutEffect;

/** Keeps a topic, or a pattern `namespace:*`, subscribed while mounted, counted with all other holders of it. */
export function useTopic<State, T = unknown>(topic: string, options: UseReducedTopicOptions<State, T>): UseTopicResult<State>;
export function useTopic<T = unknown>(topic: string, options?: UseTopicOptions): UseTopicResult<T>;
export function useTopic<T>(topic: string, options: UseTopicOptions & { readonly reduce?: Reduce<T, never> } = {}): UseTopicResult<T> {
  const client = useWSEClient(options.client);
  const { filter, reduce } = options;
  const view = viewKey(topic, filter);
  const reduced = useReduction(client, view, reduce);
  useEffect(() => {
    const hold = client?.hold();
    hold?.add([topic], { filter });
    // Whoever comes later than the snapshot needs one too.
    if (reduce !== undefined && client?.hasSnapshot(topic) === true) client.resnapshot(topic);
    return () => hold?.release();
  }, [client, view]);
  const subscribe = useCallback(
    (listener: () => void) => (client === null ? () => undefined : storeOf(client).subscribe(listener)),
    [client],
  );
  const getSnapshot = (): TopicSnapshot => (client === null ? UNKNOWN : (storeOf(client).getState().topics[view] ?? UNKNOWN));
  const { data, topic: from, ...state } = useSyncExternalStore(subscribe, getSnapshot, () => UNKNOWN);
  const refetch = useCallback(() => client?.resnapshot(topic), [client, topic]);
  if (reduced !== null) return { data: reduced.state, topic: reduced.topic, ...state, refetch };
  return { data: data as T | undefined, topic: from, ...state, refetch };
}

/** What the reducer has made so far; null without one. */
function useReduction<State>(client: WSEClient | null, view: string, reduce: Reduce<State, never> | undefined): Reduced<State> | null {
  const latest = useRef(reduce);
  useClientLayoutEffect(() => {
    latest.current = reduce;
  });
  const wanted = reduce !== undefined;
  const reduction = useMemo(() => {
    if (client === null || !wanted) return null;
    return new Reduction<State>(client, view, (state, message) => (latest.current as Reduce<State>)(state, message));
  }, [client, view, wanted]);
  const subscribe = useCallback((listener: () => void) => reduction?.subscribe(listener) ?? (() => undefined), [reduction]);
  const read = (): Reduced<State> => reduction?.read() ?? NOTHING;
  const reduced = useSyncExternalStore(subscribe, read, () => NOTHING);
  return wanted ? reduced : null;
}
