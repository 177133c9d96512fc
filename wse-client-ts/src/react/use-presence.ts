// The hook that shows who is in a topic, and enters it while mounted where it is given data.
import { useCallback, useEffect, useRef, useSyncExternalStore } from 'react';
import type { WSEClient } from '../core/client';
import type { Cancel } from '../core/clock';
import { NO_PRESENCE, type PresenceHold, type PresenceState, type WatchOptions } from '../core/presence';
import { presenceText } from '../core/presence-driver';
import { useWSEClient } from './context';
import type { ClientChoice } from './use-event';

/** Options of `usePresence`. */
export interface UsePresenceOptions<T = unknown> extends ClientChoice, WatchOptions {
  /** Enters the topic with this data, compared by value; null enters with none. @default absent: only watches */
  readonly data?: T | undefined;
}

/** What `usePresence` returns. */
export interface UsePresenceResult<T = unknown> extends PresenceState<T> {
  /** Changes the data until the option changes; enters where the hook only watched. Keeps its identity. */
  readonly update: (data: T) => void;
}

/** Who is in a topic; components of one page that enter the same topic are one member, with the data set last. */
export function usePresence<T = unknown>(topic: string, options: UsePresenceOptions<T> = {}): UsePresenceResult<T> {
  const { data, countOnly = false } = options;
  const client = useWSEClient(options.client);
  const text = data === undefined ? undefined : presenceText(data);
  const stay = useRef<PresenceHold | null>(null);
  useEffect(() => client?.presence.watch(topic, { countOnly }), [client, topic, countOnly]);
  useEffect(() => {
    const own = client?.presence.hold(topic) ?? null;
    stay.current = own;
    return () => {
      stay.current = null;
      own?.leave({ lingers: true });
    };
  }, [client, topic]);
  useEffect(() => {
    if (data === undefined) stay.current?.leave({ lingers: true });
    else stay.current?.set(data);
  }, [client, topic, text]);
  const subscribe = useCallback((listener: () => void) => (client === null ? () => undefined : onceAFrame(client, listener)), [client]);
  const read = (): PresenceState<T> => client?.presence.state<T>(topic, { countOnly }) ?? NO_PRESENCE;
  const state = useSyncExternalStore(subscribe, read, () => NO_PRESENCE);
  const update = useCallback((next: T) => stay.current?.set(next), []);
  return { ...state, update };
}

/** Hears of changes at most once per animation frame, however many come and go. */
function onceAFrame(client: WSEClient, listener: () => void): () => void {
  let planned: Cancel | null = null;
  const stop = client.onNotice('presence', () => {
    planned ??= client.clock.frame(() => {
      planned = null;
      listener();
    });
  });
  return () => {
    stop();
    planned?.();
  };
}
