// What the two hellos agree on: format, compression, batches ([P-9]).
import { WSEError } from './errors';
import type { HelloMessage } from './messages';

/** How envelopes are written: `json` as text that a browser's tools show, `msgpack` as MessagePack. */
export type Format = 'json' | 'msgpack';

/** What one connection speaks. */
export interface Agreement {
  readonly format: Format;
  readonly compression: boolean;
  readonly batch: boolean;
}

/** What both hellos are written in. */
export const PLAIN: Agreement = { format: 'json', compression: false, batch: false };

/** What is spoken from here on; throws `UNSUPPORTED_FORMAT` where the server names what was not offered. */
export function agree(offers: Agreement, { format, compression, batch }: HelloMessage): Agreement {
  const isOffered = (format === 'json' || format === offers.format) && (compression === null || (compression === 'zlib' && offers.compression)) && (!batch || offers.batch);
  if (format === undefined || !isOffered) throw new WSEError('UNSUPPORTED_FORMAT', 'The server chose a format, compression or batching that was not offered.');
  return { format, compression: compression !== null, batch };
}
