// Whether a loss is told once: no more resyncs of a name than times at which what is behind it can have been lost ([G2]). Pure.
import { directOf } from './plan.mjs';

/** The server's own names under which a client is sent messages; its session's where it is sent any. */
export function namesOf({ name, session }) {
  return [directOf(name), ...(session ? [session] : [])];
}

/** Every resync of a topic, of a pattern, or of what is for the client's user or session, that no loss before it accounts for. */
export function tooManyResyncs(client, losses) {
  const { name, log } = client;
  const counts = new Map();
  return log.filter(({ kind, topic }) => kind === 'resync' && (!topic.startsWith('@') || namesOf(client).includes(topic))).flatMap(({ topic, reason, at }) => {
    const many = (counts.get(topic) ?? 0) + 1;
    counts.set(topic, many);
    const before = losses.filter((loss) => loss <= at).length;
    // What is published here fits into every log: none of it is gone but with its log.
    const isRight = many <= before && reason === 'epoch';
    return isRight ? [] : [`[G2] resync ${many} (${reason}), and ${before} times before it something can have been lost (${name}, ${topic})`];
  });
}
