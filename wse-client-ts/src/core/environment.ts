// The environment role: what surrounds the client (network and page events, randomness, the page's origin).

/** Something outside happened that may have changed the connection's fate. */
export type EnvironmentEvent = 'online' | 'offline' | 'visible' | 'hidden' | 'pagehide' | 'pageshow' | 'wake';

/** The surroundings of a client. */
export interface Environment {
  /** Origin of the page, such as `https://example.com`; null where there is no page. */
  readonly origin: string | null;
  /** An even draw from [0, 1). */
  random(): number;
  /** A fresh unique id of at most 64 bytes. */
  uuid(): string;
  /** Reports page and network events until cancelled. */
  watch(listener: (event: EnvironmentEvent) => void): () => void;
  /** Shows a fault to the developer: a listener that threw, a frame that could not be read. */
  report(message: string, cause: unknown): void;
}
