// The hook that shows the messages which are kept until the server has handled them.
import { useCallback, useMemo, useSyncExternalStore } from 'react';
import type { ClientOutbox } from '../core/outbox-message';
import { WSEError } from '../core/errors';
import { storeOf, type OutboxSnapshot } from '../store/store';
import { EMPTY_SNAPSHOT, useWSEClient } from './context';
import type { ClientChoice } from './use-event';

/** What `useOutbox` returns; the functions keep their identity while the client does. */
export interface UseOutboxResult extends OutboxSnapshot, Pick<ClientOutbox, 'cancel' | 'retry'> {}

/** The outbox of a client, rendered at most once per frame. */
export function useOutbox(options: ClientChoice = {}): UseOutboxResult {
  const client = useWSEClient(options.client);
  const subscribe = useCallback((listener: () => void) => (client === null ? () => undefined : storeOf(client).subscribe(listener)), [client]);
  const empty = (): OutboxSnapshot => EMPTY_SNAPSHOT.outbox;
  const outbox = useSyncExternalStore(subscribe, client === null ? empty : () => storeOf(client).getState().outbox, empty);
  const actions = useMemo(
    () => ({
      cancel: (id: string) => client?.outbox.cancel(id) ?? false,
      retry: (id: string) => client?.outbox.retry(id) ?? Promise.reject(WSEError.client('CLOSED')),
    }),
    [client],
  );
  return { ...outbox, ...actions };
}
