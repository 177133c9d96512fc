// One message that waits in the outbox, and what it says of itself.
import { utf8Bytes } from './envelope';
import { WSEError } from './errors';
import { OutboxMessage, type OutboxStatus } from './outbox-message';
import type { OutboxRow } from './outbox-store';
import type { Resolvers } from './requests';

/** Who is connected, and what the server keeps for it ([P-52]). */
export interface OutboxLink {
  readonly user: string | null;
  /** The producers' epoch; null: the server keeps no outcomes. */
  readonly epoch: string | null;
  readonly outcomesMs: number;
}

/** A message without an outcome. */
export interface Entry {
  row: OutboxRow;
  readonly bytes: number;
  /** The store has the row as it is, or cannot have it. */
  isKept: boolean;
  /** It was sent, here or by an earlier page. */
  isSent: boolean;
  readonly isEarlier: boolean;
  /** The owner's age when it was written. */
  readonly age: number;
  readonly reply: Resolvers;
}

/** As the application sees it. */
export function viewOf({ row, isSent, isEarlier }: Entry, status: OutboxStatus = isSent ? 'sent' : 'queued', reply?: unknown): OutboxMessage {
  return new OutboxMessage(row, status, isEarlier, reply);
}

/** Bytes that count for the bounds. */
export function sizeOf({ type, payload }: Pick<OutboxRow, 'type' | 'payload'>): number {
  return utf8Bytes(type) + utf8Bytes(payload);
}

/** What was sent where nobody keeps outcomes, or would have to be sent there again, is not ([P-52]). */
export function isRepeatable(row: OutboxRow, link: OutboxLink): boolean {
  return row.epoch !== '' && link.epoch !== null;
}

/** It was sent where nobody can say any more what became of it; or another page has its producer, and may not have it. */
export function unknownOutcome(why = 'It was sent before, and this server does not know what became of it.'): WSEError {
  return new WSEError('OUTCOME_UNKNOWN', why, { fault: 'network' });
}

/** It is older than the outbox keeps messages. */
export function expired({ isSent }: Entry): WSEError {
  return WSEError.client('EXPIRED', isSent ? 'It was sent, and may have been handled.' : 'It was never sent.');
}
