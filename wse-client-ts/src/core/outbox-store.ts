// The outbox role: where messages that must reach the server are kept, and who may send them.

/** Why a message will not be handled any more, or may not have been. */
export interface OutboxFailure {
  /** A code of the server's, or of `CLIENT_CODES`. */
  readonly code: string;
  readonly message: string;
}

/** One message as it is kept: plain data. A producer and a number are its key. */
export interface OutboxRow {
  /** Which service it is for: clients of another one do not see it. */
  readonly scope: string;
  /** The page that wrote it, as the server knows it ([P-51]). */
  readonly producer: string;
  /** From 1, ascending within the producer. */
  readonly n: number;
  readonly id: string;
  readonly type: string;
  /** The payload as JSON. */
  readonly payload: string;
  /** When it was written, in milliseconds since 1970. */
  readonly at: number;
  /** Whose it is: null of an anonymous client; undefined while the server has not named the user. */
  readonly user?: string | null | undefined;
  /** A mark of the token that was at hand: whose it is until the server says so; undefined: not known. */
  readonly token?: string | undefined;
  /** The producers' epoch under which it was first sent, empty where there was none; undefined: it was not sent. */
  readonly epoch?: string | undefined;
  /** When it was first sent, in milliseconds since 1970. */
  readonly sentAt?: number | undefined;
  readonly failure?: OutboxFailure | undefined;
}

/** What is to be gone. */
export type OutboxKey = Pick<OutboxRow, 'scope' | 'producer' | 'n'>;

/** Rows that clients share; each producer's are touched only by who has claimed it. */
export interface OutboxStore {
  /** Whether rows outlive the page or process. */
  readonly isDurable: boolean;
  /** Comes before every other call; rejects where nothing can be kept here, and is not called again then. */
  open(): Promise<void>;
  /** Producers that have rows. */
  producers(scope: string): Promise<readonly string[]>;
  /** Rows of a producer, by ascending number. */
  rows(scope: string, producer: string): Promise<readonly OutboxRow[]>;
  /** Puts and removes in one step: all of it is kept when this resolves, or nothing when it rejects. */
  write(puts: readonly OutboxRow[], removals: readonly OutboxKey[]): Promise<void>;
  /**
   * Makes the caller the only one, of all tabs, who touches the producer's rows; resolves with what gives that back, or null where another has it,
   * or where the caller's own claim had run out and another has had it since.
   */
  claim(producer: string): Promise<(() => void) | null>;
  /** False where the caller's claim has run out; true of a producer that it has not claimed. For stores whose claims can run out. */
  holds?(producer: string): boolean;
}
