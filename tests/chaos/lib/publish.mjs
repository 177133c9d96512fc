// Publishes through a worker.

/** The receipts; null where the worker did not answer, so that nobody knows whether it is stored. */
export async function post(port, messages) {
  try {
    const answer = await fetch(`http://127.0.0.1:${port}/publish`, { method: 'POST', body: JSON.stringify(messages), signal: AbortSignal.timeout(5_000) });
    return answer.ok ? await answer.json() : null;
  } catch {
    return null;
  }
}
