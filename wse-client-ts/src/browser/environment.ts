// The environment role over the page: network and visibility events, time jumps, randomness, the origin.
import type { Environment, EnvironmentEvent } from '../core/environment';

/** How often the wall clock is compared, and the jump that means: the machine slept. */
const WAKE_CHECK_MS = 5_000;
const WAKE_JUMP_MS = 15_000;

/** The page around the client; without a page (Node, workers) only what there is. */
export const pageEnvironment: Environment = {
  get origin() {
    return typeof location === 'undefined' || !location.origin.startsWith('http') ? null : location.origin;
  },
  random: () => Math.random(),
  uuid,
  watch(listener) {
    const stops = [watchWake(listener)];
    if (typeof window !== 'undefined') {
      for (const name of ['online', 'offline', 'pagehide', 'pageshow'] as const) stops.push(listen(window, name, () => listener(name)));
    }
    if (typeof document !== 'undefined') {
      stops.push(listen(document, 'visibilitychange', () => listener(document.hidden ? 'hidden' : 'visible')));
    }
    return () => {
      for (const stop of stops) stop();
    };
  },
  report: (message, cause) => console.error(message, cause),
};

/** `crypto.randomUUID` exists on secure origins only; http://192.168.x.x in development is none. */
function uuid(): string {
  if (typeof crypto.randomUUID === 'function') return crypto.randomUUID();
  const bytes = crypto.getRandomValues(new Uint8Array(16));
  return Array.from(bytes, (byte) => byte.toString(16).padStart(2, '0')).join('');
}

function listen(target: EventTarget, name: string, listener: () => void): () => void {
  target.addEventListener(name, listener);
  return () => target.removeEventListener(name, listener);
}

/** Timers stand still while the machine sleeps, the wall clock does not. */
function watchWake(listener: (event: EnvironmentEvent) => void): () => void {
  let before = Date.now();
  const timer = setInterval(() => {
    const now = Date.now();
    const jumped = now - before > WAKE_CHECK_MS + WAKE_JUMP_MS;
    before = now;
    // A hidden page's timers may run once a minute; `visible` covers that case.
    if (jumped && !(typeof document !== 'undefined' && document.hidden)) listener('wake');
  }, WAKE_CHECK_MS);
  return () => clearInterval(timer);
}
