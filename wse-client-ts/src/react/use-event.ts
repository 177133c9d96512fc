// The hook that hears the events of one type, one by one, without rendering.
import { useEffect, useLayoutEffect, useRef } from 'react';
import type { WSEClient } from '../core/client';
import type { EventHandler } from '../core/events';
import { useWSEClient } from './context';

const useClientLayoutEffect = typeof document === 'undefined' ? useEffect : useLayoutEffect;

/** Options of `useWSEEvent` and `useTopic`. */
export interface ClientChoice {
  /** @default the nearest `WSEProvider`'s, else the one opened last by a mounted `useWSE` */
  readonly client?: WSEClient | null | undefined;
}

/** Calls the latest `handler` for every event of `type` (`'*'`: of all), each once; registered once per mount. */
export function useWSEEvent<T = unknown>(type: string, handler: EventHandler<T>, options: ClientChoice = {}): void {
  const client = useWSEClient(options.client);
  const latest = useRef(handler);
  useClientLayoutEffect(() => {
    latest.current = handler;
  });
  useClientLayoutEffect(() => client?.on<T>(type, (payload, meta) => latest.current(payload, meta)), [client, type]);
}
