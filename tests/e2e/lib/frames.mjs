// Frames as they went over the wire, read with other implementations than the client's own.
import { inflateSync } from 'node:zlib';
import { decode } from '@msgpack/msgpack';

/** `{ form, bytes, envelope }` of a frame: form is `text`, `M:`, `C:` (JSON within) or `C:M:`. */
export function readFrame(data) {
  if (typeof data === 'string') return { form: 'text', bytes: Buffer.byteLength(data), envelope: JSON.parse(data) };
  const bytes = data.length;
  if (tagOf(data) === 'C:') {
    const inner = inflateSync(data.subarray(2));
    const isPacked = tagOf(inner) === 'M:';
    return { form: isPacked ? 'C:M:' : 'C:', bytes, envelope: isPacked ? decode(inner.subarray(2)) : JSON.parse(inner) };
  }
  if (tagOf(data) !== 'M:') throw new Error(`a binary frame that begins with ${tagOf(data)}`);
  return { form: 'M:', bytes, envelope: decode(data.subarray(2)) };
}

/** The messages of a topic in received frames, those of batches one by one; each with its frame's form. */
export function messagesOf(frames, topic) {
  return frames.flatMap(({ form, envelope }) => {
    const items = envelope.c === 'WSE' && envelope.t === 'batch' ? envelope.p : [envelope];
    return items.filter(({ c, tp }) => c !== 'WSE' && tp === topic).map((item) => ({ ...item, form }));
  });
}

/** The protocol's own messages of one type. */
export function ofType(frames, type) {
  return frames.filter(({ envelope }) => envelope.c === 'WSE' && envelope.t === type);
}

function tagOf(data) {
  return data.subarray(0, 2).toString('latin1');
}
