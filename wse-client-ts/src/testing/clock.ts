// A clock that stands still until a test moves it.
import type { Cancel, Clock } from '../core/clock';

/** One animation frame of the fake clock. */
export const FRAME_MS = 16;

/** Runs timers in order of their time as the test advances it. */
export class FakeClock implements Clock {
  #now = 0;
  /** What the wall clock shows beside the time that passed; change it to set the clock. */
  wallOffset = Date.UTC(2026, 0, 15);
  #order = 0;
  readonly #timers = new Set<{ at: number; order: number; task: () => void }>();

  now(): number {
    return this.#now;
  }

  wall(): number {
    return this.#now + this.wallOffset;
  }

  setTimer(task: () => void, ms: number): Cancel {
    const timer = { at: this.#now + ms, order: this.#order++, task };
    this.#timers.add(timer);
    return () => void this.#timers.delete(timer);
  }

  frame(task: () => void): Cancel {
    return this.setTimer(task, FRAME_MS);
  }

  /** Timers that wait. */
  get waiting(): number {
    return this.#timers.size;
  }

  /** Lets what is under way finish, then moves the time on, timer by timer. */
  async advance(ms: number): Promise<void> {
    const end = this.#now + ms;
    await settle();
    for (let timer = this.#next(end); timer !== undefined; timer = this.#next(end)) {
      this.#timers.delete(timer);
      this.#now = Math.max(this.#now, timer.at);
      timer.task();
      await settle();
    }
    this.#now = end;
    await settle();
  }

  /** Moves the time without running timers, as a sleeping machine does; they run late at the next `advance`. */
  sleep(ms: number): void {
    this.#now += ms;
  }

  #next(end: number): { at: number; order: number; task: () => void } | undefined {
    const due = [...this.#timers].filter(({ at }) => at <= end);
    return due.sort((a, b) => a.at - b.at || a.order - b.order)[0];
  }
}

/** Lets promises that are ready run; chains of up to 32 steps. */
export async function settle(): Promise<void> {
  for (let step = 0; step < 32; step += 1) await Promise.resolve();
}
