// Finds out whether the peer is alive: pings, round trips, and the verdict that a connection is dead; pure.

/** What is due: send this ping, count a pong as lost, or give the connection up. */
export type LivenessAction = { readonly do: 'ping'; readonly payload: number; readonly lost: boolean } | { readonly do: 'dead' } | null;

/** A deadline that is handled this much late means that the machine slept or the page was frozen: ask before judging. */
const LATE_MS = 2_000;

/** How long a probe may stay unanswered, at most. */
const PROBE_MS = 5_000;

/**
 * Pings every heartbeat. A connection is dead when a ping went unanswered for one heartbeat and nothing else came
 * meanwhile either. A pong that is merely behind other frames counts as lost for health, not as death: a server that
 * holds back from reading us still sends.
 */
export class Liveness {
  #heartbeatMs: number;
  #deadline: number | null = null;
  #nextPayload = 1;
  #pending: { payload: number; sentAt: number; answered: boolean } | null = null;
  #lastFrameAt = 0;

  constructor(heartbeatMs: number) {
    this.#heartbeatMs = heartbeatMs;
  }

  /** `server_ready` came; `heartbeatMs` is what `server_hello` asked for. The first ping is due at once, for health. */
  start(now: number, heartbeatMs: number): void {
    this.#heartbeatMs = heartbeatMs;
    this.#pending = null;
    this.#lastFrameAt = now;
    this.#deadline = now;
  }

  /** The connection is gone. */
  stop(): void {
    this.#deadline = null;
    this.#pending = null;
  }

  /** Any frame came. */
  handleFrame(now: number): void {
    this.#lastFrameAt = now;
  }

  /** A pong came; returns the round trip in milliseconds, or null if it answers no ping of ours. */
  handlePong(now: number, payload: unknown): number | null {
    const ping = this.#pending;
    if (ping === null || ping.answered || ping.payload !== payload) return null;
    ping.answered = true;
    this.#deadline = ping.sentAt + this.#heartbeatMs;
    return now - ping.sentAt;
  }

  /** When `handleTimeout` is due; null: never. */
  pollTimeout(): number | null {
    return this.#deadline;
  }

  /** The deadline passed. */
  handleTimeout(now: number): LivenessAction {
    if (this.#deadline === null || now < this.#deadline) return null;
    const unanswered = this.#pending !== null && !this.#pending.answered;
    const silent = unanswered && this.#lastFrameAt <= (this.#pending?.sentAt ?? 0);
    if (silent && now - this.#deadline < LATE_MS) return { do: 'dead' };
    return this.#ping(now, silent ? Math.min(PROBE_MS, this.#heartbeatMs) : this.#heartbeatMs, unanswered && !silent);
  }

  /** The network or the page came back: ask now, and judge soon. */
  probe(now: number): LivenessAction {
    if (this.#deadline === null) return null;
    return this.#ping(now, Math.min(PROBE_MS, this.#heartbeatMs), false);
  }

  #ping(now: number, timeoutMs: number, lost: boolean): LivenessAction {
    const payload = this.#nextPayload++;
    this.#pending = { payload, sentAt: now, answered: false };
    this.#deadline = now + timeoutMs;
    return { do: 'ping', payload, lost };
  }
}
