// The options of a client, each with its default, and how they are filled in.
import type { Format } from './agreement';
import { DEFAULTS } from './defaults.gen';
import { DEFAULT_ENDPOINT, type Endpoint } from './endpoints';
import type { WSEError } from './errors';
import type { OutboxConfig } from './outbox';

/** A credential: fixed, or asked for at each attempt; null means: there is none yet, wait. */
export type Token = string | null | (() => string | null | Promise<string | null>);

/** Options of a client. All times are milliseconds. */
export interface ClientOptions {
  /** Tried in turn after failed attempts; absolute URLs or paths on the page's origin. @default ['/wse'] */
  readonly endpoints?: Endpoint | readonly Endpoint[] | undefined;
  /** Sent in the first frame. Without this key the client is anonymous; null waits without a socket. @default absent */
  readonly token?: Token | undefined;
  /** Topics to subscribe from the start. @default [] */
  readonly topics?: readonly string[] | undefined;
  /** Whether messages are kept until the server has handled them, over reloads and lost connections; `sendMessage` may say otherwise for one. @default true */
  readonly keep?: boolean | undefined;
  /** Which outbox kept messages are in, of those of this origin: one per service. @default the first endpoint, without its query */
  readonly outboxName?: string | undefined;
  /** Most messages that wait in the outbox. @default 1000 */
  readonly outboxMessages?: number | undefined;
  /** Most bytes that they take. @default 8388608 */
  readonly outboxBytes?: number | undefined;
  /** How long they are tried; then they fail with `EXPIRED`. @default 86400000 */
  readonly outboxAgeMs?: number | undefined;
  /** How long `sendMessage` waits for the reply to a message that is not kept. @default 10000 */
  readonly requestTimeoutMs?: number | undefined;
  /** Most such messages that wait for a reply or for the connection. @default 1000 */
  readonly pendingRequests?: number | undefined;
  /** From the start of an attempt to `server_ready`, the token function included. @default 10000 */
  readonly connectTimeoutMs?: number | undefined;
  /** Widest first wait after a failure; doubles with each. @default 1000 */
  readonly backoffBaseMs?: number | undefined;
  /** Widest wait. @default 30000 */
  readonly backoffCapMs?: number | undefined;
  /** Consecutive failures after which each wait is the full cap. @default 10 */
  readonly breakerFailures?: number | undefined;
  /** How long a topic stays subscribed after the last one let it go. @default 1000 */
  readonly lingerMs?: number | undefined;
  /** Preferred form of frames; a server that does not speak it is spoken to in JSON. @default 'json' */
  readonly format?: Format | undefined;
  /** Whether large frames may be compressed, both ways. @default true */
  readonly compression?: boolean | undefined;
  /** Whether the server may put a topic's messages of one turn into one frame. @default true */
  readonly batch?: boolean | undefined;
  /** Most messages of one topic that wait for a missing one before them. @default 64 */
  readonly reorderMessages?: number | undefined;
  /** Most bytes that such messages of all topics take. @default 1048576 */
  readonly reorderBytes?: number | undefined;
  /** How long a missing message may take before it is asked for; 0: at once. @default 250 */
  readonly reorderWaitMs?: number | undefined;
  /** Most topics that all patterns together stand for; further ones are left out, which `resync` tells. @default 1000 */
  readonly patternTopics?: number | undefined;
  /** Every error that no caller receives. @default none; the console shows faults of listeners */
  readonly onError?: ((error: WSEError) => void) | undefined;
}

/** Options with every default filled in. */
export interface ResolvedOptions {
  readonly endpoints: readonly Endpoint[];
  readonly token: Token | undefined;
  readonly keep: boolean;
  readonly outbox: OutboxConfig;
  readonly requestTimeoutMs: number;
  readonly pendingRequests: number;
  readonly connectTimeoutMs: number;
  readonly backoffBaseMs: number;
  readonly backoffCapMs: number;
  readonly breakerFailures: number;
  readonly lingerMs: number;
  readonly format: Format;
  readonly compression: boolean;
  readonly batch: boolean;
  readonly reorderMessages: number;
  readonly reorderBytes: number;
  readonly reorderWaitMs: number;
  readonly patternTopics: number;
  readonly onError: ((error: WSEError) => void) | undefined;
}

/** Long enough for a route change to unmount one page and mount the next. */
export const LINGER_MS = 1_000;

/** Half a batch of the server's at its default: what overtakes by more than that will not be made up by waiting. */
export const REORDER_MESSAGES = 64;

/** As much as the largest message that the server takes by default. */
export const REORDER_BYTES = 1_048_576;

/** Longer than a reordering on the way takes, shorter than a person notices. */
export const REORDER_WAIT_MS = 250;

/** Fills in the defaults. */
export function resolveOptions(options: ClientOptions): ResolvedOptions {
  const { endpoints = [] } = options;
  const list = typeof endpoints === 'string' || typeof endpoints === 'function' ? [endpoints] : endpoints;
  return {
    endpoints: list,
    keep: options.keep ?? true,
    outbox: {
      scope: options.outboxName ?? scopeOf(list),
      messages: options.outboxMessages ?? DEFAULTS.outboxMessages,
      bytes: options.outboxBytes ?? DEFAULTS.outboxBytes,
      ageMs: options.outboxAgeMs ?? DEFAULTS.outboxAgeMs,
    },
    // A key that is there without a value is a token that has not come yet.
    token: 'token' in options ? (options.token ?? null) : undefined,
    requestTimeoutMs: options.requestTimeoutMs ?? DEFAULTS.requestTimeoutMs,
    pendingRequests: options.pendingRequests ?? DEFAULTS.pendingRequests,
    connectTimeoutMs: options.connectTimeoutMs ?? DEFAULTS.connectTimeoutMs,
    backoffBaseMs: options.backoffBaseMs ?? DEFAULTS.backoffBaseMs,
    backoffCapMs: options.backoffCapMs ?? DEFAULTS.backoffCapMs,
    breakerFailures: options.breakerFailures ?? DEFAULTS.backoffFullAfter,
    lingerMs: options.lingerMs ?? LINGER_MS,
    format: options.format ?? 'json',
    compression: options.compression ?? true,
    // Fewer frames, each parsed at once, in the same order: nothing that an application could see differs.
    batch: options.batch ?? true,
    reorderMessages: options.reorderMessages ?? REORDER_MESSAGES,
    reorderBytes: options.reorderBytes ?? REORDER_BYTES,
    reorderWaitMs: options.reorderWaitMs ?? REORDER_WAIT_MS,
    patternTopics: options.patternTopics ?? DEFAULTS.patternTopics,
    onError: options.onError,
  };
}

/** One that is asked for each time has no name of its own. */
function scopeOf([first = DEFAULT_ENDPOINT]: readonly Endpoint[]): string {
  return typeof first === 'string' ? first.replace(/[?#].*/s, '') : '';
}
