// How good the connection is, from round-trip times, their jitter and lost pongs; pure.
import { DEFAULTS } from './defaults.gen';

/** The connection in one word; `offline` whenever `server_ready` has not come or the connection is gone. */
export type ConnectionHealth = 'excellent' | 'good' | 'fair' | 'poor' | 'offline';

/**
 * Upper bounds in milliseconds, inclusive, and pongs lost among the last `HEALTH_WINDOW` pings. The first row that
 * holds names the health; none is `poor`. RTT rows follow ITU-T G.114: 150 ms one way is not noticed, 400 ms is the limit.
 */
export const HEALTH_THRESHOLDS = [
  { health: 'excellent', rttMs: DEFAULTS.healthExcellentRttMs, jitterMs: DEFAULTS.healthExcellentJitterMs, lost: DEFAULTS.healthExcellentLost },
  { health: 'good', rttMs: DEFAULTS.healthGoodRttMs, jitterMs: DEFAULTS.healthGoodJitterMs, lost: DEFAULTS.healthGoodLost },
  { health: 'fair', rttMs: DEFAULTS.healthFairRttMs, jitterMs: DEFAULTS.healthFairJitterMs, lost: DEFAULTS.healthFairLost },
] as const;

/** Pings that the judgement looks back on. */
export const HEALTH_WINDOW = DEFAULTS.healthWindow;

/** Weight of a new sample in the smoothed values, as in RFC 6298 (RTT 1/8, variation 1/4). */
const RTT_WEIGHT = 1 / 8;
const JITTER_WEIGHT = 1 / 4;

/** Judges one connection at a time; `reset` for the next. */
export class Health {
  #rttMs: number | null = null;
  #jitterMs = 0;
  #recentLost: boolean[] = [];

  /** Smoothed round trip in milliseconds; null before the first pong. */
  get rttMs(): number | null {
    return this.#rttMs;
  }

  /** Smoothed variation of the round trip in milliseconds. */
  get jitterMs(): number {
    return this.#jitterMs;
  }

  /** A new connection: its path may be another one. */
  reset(): void {
    this.#rttMs = null;
    this.#jitterMs = 0;
    this.#recentLost = [];
  }

  /** A pong came after `rttMs`. */
  handlePong(rttMs: number): void {
    if (this.#rttMs === null) {
      this.#rttMs = rttMs;
    } else {
      this.#jitterMs += JITTER_WEIGHT * (Math.abs(rttMs - this.#rttMs) - this.#jitterMs);
      this.#rttMs += RTT_WEIGHT * (rttMs - this.#rttMs);
    }
    this.#remember(false);
  }

  /** A ping stayed unanswered. */
  handleLost(): void {
    this.#remember(true);
  }

  /** The judgement; before the first pong an answering server is `good`. */
  judge(ready: boolean): ConnectionHealth {
    if (!ready) return 'offline';
    const lost = this.#recentLost.filter(Boolean).length;
    const rtt = this.#rttMs;
    if (rtt === null) return lost === 0 ? 'good' : 'poor';
    const row = HEALTH_THRESHOLDS.find((t) => rtt <= t.rttMs && this.#jitterMs <= t.jitterMs && lost <= t.lost);
    return row?.health ?? 'poor';
  }

  #remember(lost: boolean): void {
    this.#recentLost.push(lost);
    if (this.#recentLost.length > HEALTH_WINDOW) this.#recentLost.shift();
  }
}
