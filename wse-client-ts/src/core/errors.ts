// The one error class of the client, and what its codes mean.
import { ERROR_CODES } from './codes.gen';

/** Whose fault an error is. */
export type Fault = 'peer' | 'server' | 'configuration' | 'network' | 'application';

/** Codes that only the client makes; all others come from the server (`ERROR_CODES`). */
export const CLIENT_CODES = {
  TIMEOUT: { fault: 'network', advice: 'No reply came in time; the server may or may not have handled the message. Raise `timeout` or send again if that is safe.' },
  QUEUE_FULL: { fault: 'application', advice: 'Too many messages wait for a reply; await earlier ones or raise `pendingRequests`.' },
  CLOSED: { fault: 'application', advice: 'The client is closed; call connect() or mount useWSE first. What the outbox holds is sent then.' },
  TOKEN_CHANGED: { fault: 'application', advice: 'The token changed before this message was sent; send it again as the new user.' },
  USER_CHANGED: { fault: 'application', advice: 'Another user is connected; the message stays in the outbox for the user who wrote it.' },
  TAKEN_OVER: { fault: 'application', advice: 'This page slept, and another page of this browser has its messages now: what was stored is sent there; do not send it again.' },
  OUTBOX_FULL: { fault: 'application', advice: 'The outbox is full; wait until messages are acknowledged, cancel some, or send with `keep: false`.' },
  OUTBOX_NOT_KEPT: { fault: 'configuration', advice: 'Messages cannot be stored and are kept in memory only: they do not survive a reload. Private windows, blocked storage and a full disk do that.' },
  EXPIRED: { fault: 'network', advice: 'The message was older than the outbox keeps messages.' },
  CANCELLED: { fault: 'application', advice: 'The message was cancelled before it was sent.' },
  NOT_FAILED: { fault: 'application', advice: 'Only a failed message that is still in the outbox can be sent anew.' },
  INVALID_PAYLOAD: { fault: 'application', advice: 'The payload cannot be written as JSON; send plain objects, arrays, strings, finite numbers, booleans and null.' },
  INVALID_ENDPOINT: { fault: 'configuration', advice: 'Use ws://, wss://, http://, https:// or a path such as /wse; a path needs a page to be relative to.' },
  NO_TOKEN: { fault: 'network', advice: 'The token function gave no token; it is asked again after a wait.' },
  CONNECTION_LOST: { fault: 'network', advice: 'The connection closed; the client returns by itself.' },
  CONNECTION_REFUSED: { fault: 'configuration', advice: 'The server closed the connection for good; correct the cause, then call connect().' },
} as const satisfies Record<string, { fault: Fault; advice: string }>;

/** A code that the client itself makes. */
export type ClientCode = keyof typeof CLIENT_CODES;

/** Any code; the server may add some ([P-50]), hence `string`. */
export type ErrorCode = ClientCode | keyof typeof ERROR_CODES | (string & {});

/** Every error that the client reports or rejects with. */
export class WSEError extends Error {
  /** Stable upper-case word. */
  readonly code: ErrorCode;
  /** Whose fault it is. */
  readonly fault: Fault;
  /** The topic it is about, if there is one. */
  readonly topic: string | undefined;

  constructor(code: ErrorCode, message: string, options: { fault?: Fault; topic?: string | undefined; cause?: unknown } = {}) {
    super(message, options.cause === undefined ? undefined : { cause: options.cause });
    this.name = 'WSEError';
    this.code = code;
    this.fault = options.fault ?? faultOf(code);
    this.topic = options.topic;
  }

  /** An error of the client's own, with the advice of its code. */
  static client(code: ClientCode, detail = '', cause?: unknown): WSEError {
    const { advice } = CLIENT_CODES[code];
    return new WSEError(code, detail === '' ? advice : `${detail} ${advice}`, { cause });
  }
}

/** The close that follows an error of the server's; null: none, or the code is not known. */
export function closeOf(code: string): number | null {
  return Object.hasOwn(ERROR_CODES, code) ? ERROR_CODES[code as keyof typeof ERROR_CODES].close : null;
}

function faultOf(code: string): Fault {
  if (Object.hasOwn(CLIENT_CODES, code)) return CLIENT_CODES[code as ClientCode].fault;
  if (Object.hasOwn(ERROR_CODES, code)) return ERROR_CODES[code as keyof typeof ERROR_CODES].fault;
  return 'server';
}
