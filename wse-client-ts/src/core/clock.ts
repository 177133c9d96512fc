// The clock role: monotonic time, timers and animation frames.

/** Cancels what it was returned for; calling it twice is harmless. */
export type Cancel = () => void;

/** Time and timers. */
export interface Clock {
  /** Milliseconds on a monotonic clock; only differences mean anything. */
  now(): number;
  /** Milliseconds since 1970, as the machine says; it may jump. */
  wall(): number;
  /** Runs `task` once after `ms` milliseconds. */
  setTimer(task: () => void, ms: number): Cancel;
  /** Runs `task` once before the next paint, or soon where nothing is painted. */
  frame(task: () => void): Cancel;
}
