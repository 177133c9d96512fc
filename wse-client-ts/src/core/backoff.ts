// How long to wait before the next attempt: full jitter, the server's restart hint, and the circuit breaker.

/** Settings of the wait; all times in milliseconds. */
export interface BackoffConfig {
  readonly baseMs: number;
  readonly capMs: number;
  /** Consecutive failures after which every wait is the full cap. */
  readonly breakerFailures: number;
  /** Tries within the window of a restart hint ([P-22]). */
  readonly restartTries: number;
}

/** Counts failures and draws waits. */
export class Backoff {
  readonly #config: BackoffConfig;
  #failures = 0;
  #restartLeft = 0;
  #restartWindowMs = 0;

  constructor(config: BackoffConfig) {
    this.#config = config;
  }

  /** Consecutive failures so far; tries within a restart window do not count. */
  get failures(): number {
    return this.#failures;
  }

  /** Whether the next wait belongs to an announced restart. */
  get restarting(): boolean {
    return this.#restartLeft > 0;
  }

  /** The server said that it restarts: the next tries are drawn from its window. */
  handleRestart(windowMs: number): void {
    this.#restartLeft = this.#config.restartTries;
    this.#restartWindowMs = windowMs;
  }

  /** The connection is usable: an announced restart is over. */
  handleReady(): void {
    this.#restartLeft = 0;
  }

  /** The connection has proved stable: failures before it no longer count. */
  reset(): void {
    this.#failures = 0;
    this.#restartLeft = 0;
  }

  /** Counts one failure and draws the wait; `random` is from [0, 1). */
  next(random: number): number {
    if (this.#restartLeft > 0) {
      this.#restartLeft -= 1;
      return random * this.#restartWindowMs;
    }
    this.#failures += 1;
    const { baseMs, capMs, breakerFailures } = this.#config;
    if (this.#failures >= breakerFailures) return capMs;
    return random * Math.min(capMs, baseMs * 2 ** (this.#failures - 1));
  }
}
