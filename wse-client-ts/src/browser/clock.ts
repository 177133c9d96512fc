// The clock role over performance.now, setTimeout and requestAnimationFrame.
import type { Cancel, Clock } from '../core/clock';

/** Hidden pages paint no frames; a commit waits this long at most. */
const FRAME_LIMIT_MS = 250;

/** Real time. */
export const systemClock: Clock = {
  now: () => performance.now(),
  wall: () => Date.now(),
  setTimer(task, ms) {
    const timer = setTimeout(task, ms);
    return () => clearTimeout(timer);
  },
  frame(task) {
    if (typeof requestAnimationFrame !== 'function') return systemClock.setTimer(task, 16);
    let cancels: Cancel[] = [];
    const cancel: Cancel = () => {
      for (const each of cancels) each();
      cancels = [];
    };
    const run = (): void => {
      cancel();
      task();
    };
    const frame = requestAnimationFrame(run);
    cancels = [() => cancelAnimationFrame(frame), systemClock.setTimer(run, FRAME_LIMIT_MS)];
    return cancel;
  },
};
