// The storage role: a few small strings that outlive the page; used to remember the endpoint that last worked.

/** Best effort: an implementation that cannot store returns null and ignores writes, it does not throw. */
export interface Storage {
  read(key: string): Promise<string | null>;
  write(key: string, value: string): Promise<void>;
}
