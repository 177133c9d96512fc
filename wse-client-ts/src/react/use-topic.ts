// The hook that subscribes one topic and shows its latest payload.
import { useCallback, useEffect, useSyncExternalStore } from 'react';
import type { TopicStatus } from '../core/entry';
import type { WSEError } from '../core/errors';
import { viewKey } from '../core/filter-key';
import type { HoldOptions } from '../core/hold';
import { storeOf, type TopicSnapshot } from '../store/store';
import { useWSEClient } from './context';
import type { ClientChoice } from './use-event';

/** What `useTopic` returns. */
export interface UseTopicResult<T> {
  /** Latest payload, of a pattern that of any of its topics; undefined before the first. Frames may skip payloads: use `useWSEEvent` to see each. */
  readonly data: T | undefined;
  /** Topic of `data`: of a pattern the one among its topics that brought it; undefined before the first. */
  readonly topic: string | undefined;
  readonly status: TopicStatus;
  /** Why the topic was refused; null otherwise. */
  readonly error: WSEError | null;
}

const PENDING: TopicSnapshot = { status: 'pending', error: null, reason: null, data: undefined, topic: undefined };

/** Options of `useTopic`. */
export interface UseTopicOptions extends ClientChoice, HoldOptions {}

/** Keeps a topic, or a pattern `namespace:*`, subscribed while mounted, counted with all other holders of it. */
export function useTopic<T = unknown>(topic: string, options: UseTopicOptions = {}): UseTopicResult<T> {
  const client = useWSEClient(options.client);
  const { filter } = options;
  const view = viewKey(topic, filter);
  useEffect(() => {
    const hold = client?.hold();
    hold?.add([topic], { filter });
    return () => hold?.release();
  }, [client, view]);
  const subscribe = useCallback(
    (listener: () => void) => (client === null ? () => undefined : storeOf(client).subscribe(listener)),
    [client],
  );
  const getSnapshot = (): TopicSnapshot => (client === null ? PENDING : (storeOf(client).getState().topics[view] ?? PENDING));
  const { data, topic: from, status, error } = useSyncExternalStore(subscribe, getSnapshot, () => PENDING);
  return { data: data as T | undefined, topic: from, status, error };
}
