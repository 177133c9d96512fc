// One timer that follows a deadline which a pure struct keeps.
import type { Cancel, Clock } from './clock';

/** Calls `onDue` when the deadline it was last armed with has passed. */
export class Deadline {
  readonly #clock: Clock;
  readonly #onDue: () => void;
  #at: number | null = null;
  #cancel: Cancel | null = null;

  constructor(clock: Clock, onDue: () => void) {
    this.#clock = clock;
    this.#onDue = onDue;
  }

  /** Sets, moves or (null) clears the timer; the same deadline again changes nothing. */
  arm(at: number | null): void {
    if (at === this.#at) return;
    this.#cancel?.();
    this.#at = at;
    this.#cancel = at === null ? null : this.#clock.setTimer(() => this.#handleTimer(), Math.max(0, at - this.#clock.now()));
  }

  #handleTimer(): void {
    this.#at = null;
    this.#cancel = null;
    this.#onDue();
  }
}
