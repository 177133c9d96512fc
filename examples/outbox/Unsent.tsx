// Shows in a page what its server has not handled yet, and lets people send failed messages again.
import { useOutbox } from 'wse-client';

export function Unsent() {
  const { messages, counts, isDurable, cancel, retry } = useOutbox();
  const anew = (id: string): void => {
    retry(id).catch(() => undefined); // it is in the list again where it fails again
  };
  if (messages.length === 0) return null;
  return (
    <section>
      <p>
        {counts.queued + counts.sent} on their way, {counts.failed} failed
        {isDurable === false && ': do not close this page, nothing can be stored here'}
      </p>
      <ul>
        {messages.map(({ id, type, status, error }) => (
          <li key={id}>
            {type}: {error?.message ?? status}
            {status === 'failed' && <button onClick={() => anew(id)}>Send again</button>}
            {status !== 'sent' && <button onClick={() => cancel(id)}>Discard</button>}
          </li>
        ))}
      </ul>
    </section>
  );
}
