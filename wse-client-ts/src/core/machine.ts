// The connection's states as a pure machine: events come in with the time, at most one effect goes out.
import { Backoff, type BackoffConfig } from './backoff';
import { CLOSE_CODES } from './codes.gen';

/**
 * `idle` not started or waiting for a token; `connecting` the socket opens; `authenticating` it is open and
 * `server_ready` has not come; `ready`; `waiting` for the next attempt; `closed` for good, by the user or fatally.
 */
export type ConnectionStatus = 'idle' | 'connecting' | 'authenticating' | 'ready' | 'waiting' | 'closed';

/** What the driver must do: open a new socket, or drop the one it has. */
export type Effect = { readonly do: 'open' } | { readonly do: 'drop'; readonly code: number } | null;

/** Settings of the machine; times in milliseconds. */
export interface MachineConfig {
  readonly backoff: BackoffConfig;
  /** From the start of an attempt to `server_ready`. */
  readonly connectTimeoutMs: number;
  /** Ready for this long, a connection wipes the failures before it. */
  readonly stableMs: number;
  /** Restart window until `server_ready` names one. */
  readonly restartRetryMs: number;
}

/** Whether a close code means: do not return ([P-41]). */
export function isFatalClose(code: number): boolean {
  return code >= 4400 && code <= 4499;
}

/** One connection's life, across all its sockets. */
export class ConnectionMachine {
  readonly #config: MachineConfig;
  readonly #random: () => number;
  readonly #backoff: Backoff;
  #status: ConnectionStatus = 'idle';
  #deadline: number | null = null;
  #readySince = 0;
  #restartRetryMs: number;
  /** A server that closes with 1012 time and again before it is ready is no restart any more. */
  #mayRestart = true;

  constructor(config: MachineConfig, random: () => number) {
    this.#config = config;
    this.#random = random;
    this.#backoff = new Backoff(config.backoff);
    this.#restartRetryMs = config.restartRetryMs;
  }

  get status(): ConnectionStatus {
    return this.#status;
  }

  /** Consecutive failed attempts. */
  get failures(): number {
    return this.#backoff.failures;
  }

  /** The window of a return that the server asks for. */
  get restartRetryMs(): number {
    return this.#restartRetryMs;
  }

  /** When `handleTimeout` is due; null: never. */
  pollTimeout(): number | null {
    return this.#deadline;
  }

  /** Begins, unless an attempt or a connection is there. */
  start(now: number): Effect {
    if (this.#status !== 'idle' && this.#status !== 'closed') return null;
    this.#backoff.reset();
    this.#mayRestart = true;
    return this.#connect(now);
  }

  /** Ends for good or until `start`: `idle` to wait for a token, `closed` otherwise. */
  stop(status: 'idle' | 'closed', code: number = CLOSE_CODES.NORMAL.code): Effect {
    const hadSocket = this.#hasSocket();
    this.#enter(status, null);
    return hadSocket ? { do: 'drop', code } : null;
  }

  /** The socket opened. */
  handleOpen(): void {
    if (this.#status === 'connecting') this.#enter('authenticating', this.#deadline);
  }

  /** `server_ready` came, with its restart window. */
  handleReady(now: number, retryMs: number): void {
    if (this.#status !== 'authenticating') return;
    this.#restartRetryMs = retryMs;
    this.#readySince = now;
    this.#backoff.handleReady();
    this.#mayRestart = true;
    this.#enter('ready', null);
  }

  /** Another socket is ready, and took the place of the one there was. */
  handleMoved(now: number, retryMs: number): void {
    if (this.#status !== 'ready') return;
    this.#restartRetryMs = retryMs;
    this.#readySince = now;
  }

  /** The socket is gone with this code; what to do next is in the code ([P-41]). */
  handleClose(now: number, code: number): void {
    if (!this.#hasSocket()) return;
    if (isFatalClose(code)) {
      this.#enter('closed', null);
      return;
    }
    if (this.#status === 'ready' && now - this.#readySince >= this.#config.stableMs) this.#backoff.reset();
    if (code === CLOSE_CODES.RESTART.code && this.#mayRestart) {
      this.#backoff.handleRestart(this.#restartRetryMs);
      this.#mayRestart = false;
    }
    this.#enter('waiting', now + this.#backoff.next(this.#random()));
  }

  /** The driver found the connection dead, or not fit to go on with; `code` tells the server why. */
  handleDead(now: number, code: number = CLOSE_CODES.IDLE_TIMEOUT.code): Effect {
    if (!this.#hasSocket()) return null;
    this.handleClose(now, CLOSE_CODES.ABNORMAL.code);
    return { do: 'drop', code };
  }

  /** The deadline of `pollTimeout` passed. */
  handleTimeout(now: number): Effect {
    if (this.#deadline === null || now < this.#deadline) return null;
    return this.#status === 'waiting' ? this.#connect(now) : this.handleDead(now);
  }

  /** The network or the page came back: a wait is pointless, except within a restart's short window. */
  nudge(now: number): Effect {
    if (this.#status !== 'waiting' || this.#backoff.restarting) return null;
    return this.#connect(now);
  }

  #connect(now: number): Effect {
    this.#enter('connecting', now + this.#config.connectTimeoutMs);
    return { do: 'open' };
  }

  #hasSocket(): boolean {
    return this.#status === 'connecting' || this.#status === 'authenticating' || this.#status === 'ready';
  }

  #enter(status: ConnectionStatus, deadline: number | null): void {
    this.#status = status;
    this.#deadline = deadline;
  }
}
