// Going on over a second socket before the first one ends ([P-67], [P-68]): when to try, and how long the first is read; pure.
import { Backoff, type BackoffConfig } from './backoff';
import { isFatalClose } from './machine';
import type { MoveMessage } from './messages';

/** What the driver must do: open the second socket, drop it, or let the first one go. */
export type MoveEffect = 'open' | 'drop' | 'finish' | null;

/** Settings; times in milliseconds. */
export interface MoveConfig {
  readonly backoff: BackoffConfig;
  /** From the start of a try to `server_ready`. */
  readonly connectTimeoutMs: number;
}

/**
 * `none` nobody has asked; `waiting` for the next try; `trying` the second socket is opening; `staying` on the first one,
 * because the second was refused for good; `settling` the second is in use, and the first is read to its end.
 */
type Stage = 'none' | 'waiting' | 'trying' | 'staying' | 'settling';

/** One move at a time. */
export class MoveMachine {
  readonly #config: MoveConfig;
  readonly #random: () => number;
  readonly #backoff: Backoff;
  #stage: Stage = 'none';
  #deadline: number | null = null;
  /** When the server ends the first one. */
  #until = 0;

  constructor(config: MoveConfig, random: () => number) {
    this.#config = config;
    this.#random = random;
    this.#backoff = new Backoff(config.backoff);
  }

  /** The server asked for it; `retryMs` is the window of its tries. */
  handleMove(now: number, { inMs, forMs }: MoveMessage, retryMs: number): void {
    if (this.#stage !== 'none') return;
    this.#backoff.reset();
    this.#backoff.handleRestart(retryMs);
    this.#until = now + forMs;
    this.#enter('waiting', now + inMs);
  }

  /** The second socket is gone before it was ready. */
  handleFailure(now: number, code: number): void {
    if (this.#stage !== 'trying') return;
    if (isFatalClose(code)) this.#enter('staying', null);
    else this.#enter('waiting', now + this.#backoff.next(this.#random()));
  }

  /** The second socket is ready, and in use from here on. */
  handleReady(): void {
    this.#enter('settling', this.#until);
  }

  /** It is over, or called off. */
  stop(): void {
    this.#enter('none', null);
  }

  /** When `handleTimeout` is due; null: never. */
  pollTimeout(): number | null {
    return this.#deadline;
  }

  /** The deadline passed; a drop is to be told by `handleFailure`. */
  handleTimeout(now: number): MoveEffect {
    if (this.#deadline === null || now < this.#deadline) return null;
    if (this.#stage === 'settling') return 'finish';
    if (this.#stage === 'trying') return 'drop';
    this.#enter('trying', now + this.#config.connectTimeoutMs);
    return 'open';
  }

  #enter(stage: Stage, deadline: number | null): void {
    this.#stage = stage;
    this.#deadline = deadline;
  }
}
