// Drives the connection machine and the liveness checks with a real socket and real timers; holds no rule itself.
import type { Agreement } from './agreement';
import { encodeBeat } from './client-messages';
import { CLOSE_CODES } from './codes.gen';
import { Deadline } from './deadline';
import { DEFAULTS } from './defaults.gen';
import { EndpointRing, type Endpoint } from './endpoints';
import type { EnvironmentEvent } from './environment';
import { WSEError } from './errors';
import { Health } from './health';
import { Line, type LineMessage } from './line';
import { Liveness } from './liveness';
import { ConnectionMachine, type ConnectionStatus, type Effect } from './machine';
import type { HelloMessage, MoveMessage } from './messages';
import { MoveMachine } from './move';
import type { ResolvedOptions, Token } from './options';
import type { Roles } from './roles';

type Ready = Extract<LineMessage, { kind: 'ready' }>;

/** What a connection hands to its owner; it deals with the rest itself. */
export type ConnectionMessage = Exclude<LineMessage, { kind: 'ready' | 'pong' | 'move' }>;

/** What a connection reports. */
export interface ConnectionEvents {
  /** A socket is open; returns the first frame. `isMove`: it is the second one, and may come to nothing. */
  onOpen(token: string | undefined, isMove: boolean): string;
  /** Ready, after `onOpen` without `isMove`. */
  onReady(ready: Ready, hello: HelloMessage | null): void;
  /** The second socket is ready, and what is sent from here on goes there. */
  onMoved(ready: Ready, hello: HelloMessage | null): void;
  /** The first socket has ended: nothing that was sent on it is answered any more. */
  onMoveOver(): void;
  /** `isOld`: it came on the socket that the connection has moved away from. */
  onMessage(message: ConnectionMessage, isOld: boolean): void;
  /** Status or health changed. `error` says why a connection was lost. */
  onChange(status: ConnectionStatus, error: WSEError | null): void;
  /** A fault that does not end the connection. */
  onFault(error: WSEError): void;
}

/** One logical connection: at most one socket or attempt at any time, and a second one while it moves. */
export class Connection {
  readonly #roles: Roles;
  readonly #events: ConnectionEvents;
  readonly #machine: ConnectionMachine;
  readonly #liveness = new Liveness(DEFAULTS.heartbeatMs);
  readonly #ring: EndpointRing;
  readonly #machineTimer: Deadline;
  readonly #livenessTimer: Deadline;
  readonly health = new Health();
  readonly #offers: Agreement;
  #token: Token | undefined;
  #line: Line | null = null;
  /** Where the connection moves to, until it is ready. */
  #next: Line | null = null;
  /** Where it has moved from, until that ends. */
  #old: Line | null = null;
  readonly #move: MoveMachine;
  readonly #moveTimer: Deadline;
  #unwatch: (() => void) | null = null;
  #remembered: Promise<void> | null = null;
  /** By both clocks: one stands still while the machine sleeps, the other may be set back. */
  #heardAt: { readonly now: number; readonly wall: number } | null = null;

  constructor(options: ResolvedOptions, roles: Roles, events: ConnectionEvents) {
    this.#roles = roles;
    this.#events = events;
    this.#token = options.token;
    this.#offers = options;
    this.#ring = new EndpointRing(options.endpoints);
    const { backoffBaseMs: baseMs, backoffCapMs: capMs, breakerFailures, connectTimeoutMs } = options;
    const backoff = { baseMs, capMs, breakerFailures, restartTries: DEFAULTS.restartTries };
    const config = { backoff, connectTimeoutMs, stableMs: DEFAULTS.backoffStableMs, restartRetryMs: DEFAULTS.restartRetryMs };
    this.#machine = new ConnectionMachine(config, () => roles.environment.random());
    this.#move = new MoveMachine(config, () => roles.environment.random());
    this.#moveTimer = new Deadline(roles.clock, () => this.#handleMoveTimer());
    this.#machineTimer = new Deadline(roles.clock, () => this.#handleMachineTimer());
    this.#livenessTimer = new Deadline(roles.clock, () => this.#handleLivenessTimer());
  }

  /** How long ago the server was last heard on a ready connection, in milliseconds; undefined: never. */
  get silentMs(): number | undefined {
    const { clock } = this.#roles;
    return this.#heardAt === null ? undefined : Math.max(clock.now() - this.#heardAt.now, clock.wall() - this.#heardAt.wall);
  }

  get status(): ConnectionStatus {
    return this.#machine.status;
  }

  /** Consecutive failed attempts. */
  get failures(): number {
    return this.#machine.failures;
  }

  /** Begins, or waits in `idle` while the token is null. */
  start(): void {
    this.#unwatch ??= this.#roles.environment.watch((event) => this.#handleEnvironment(event));
    if (this.#token !== null) this.#run(this.#machine.start(this.#now()), null);
  }

  /** Ends for good or until `start`. */
  stop(): void {
    this.#unwatch?.();
    this.#unwatch = null;
    this.#run(this.#machine.stop('closed'), null);
  }

  /** Another token: the next connection, which begins at once if one was wanted, uses it. */
  setToken(token: Token | undefined, wanted: boolean): void {
    this.#token = token;
    // Another token is mostly the same user's, whom 1000 would have leave where it is present ([P-62]).
    const code = token === null ? CLOSE_CODES.NORMAL.code : CLOSE_CODES.IDLE_TIMEOUT.code;
    if (wanted || this.#machine.status !== 'closed') this.#run(this.#machine.stop('idle', code), null);
    if (wanted) this.start();
  }

  /** Sends a JSON envelope on the ready connection, in the form that was negotiated. */
  send(text: string): void {
    this.#line?.send(text);
  }

  /** What was sent on the socket that the connection has moved away from is answered: it is let go. */
  finishMove(): void {
    this.#old?.close(CLOSE_CODES.NORMAL.code);
    this.#endOld();
  }

  #now(): number {
    return this.#roles.clock.now();
  }

  /** Carries an effect out, tells the owner, and sets the timer to what the machine waits for. */
  #run(effect: Effect, error: WSEError | null): void {
    if (effect?.do === 'drop') this.#drop(effect.code);
    if (effect?.do === 'open') this.#line = this.#dial();
    if (this.#machine.status !== 'ready') {
      this.#liveness.stop();
      this.#callOffMove();
    }
    this.#machineTimer.arm(this.#machine.pollTimeout());
    this.#livenessTimer.arm(this.#liveness.pollTimeout());
    this.#events.onChange(this.#machine.status, error);
  }

  #drop(code: number): void {
    this.#line?.close(code);
    this.#line = null;
  }

  #dial(): Line {
    const line: Line = new Line(this.#roles, this.#offers, {
      onOpen: (token) => this.#handleOpen(line, token),
      onFrame: () => {
        if (line !== this.#line) return;
        this.#liveness.handleFrame(this.#now());
        if (this.#machine.status === 'ready') this.#heardAt = { now: this.#now(), wall: this.#roles.clock.wall() };
      },
      onMessage: (message) => this.#handleMessage(line, message),
      onFault: (error, isFatal) => this.#handleFault(line, error, isFatal),
      onClose: (code, error) => this.#handleClose(line, code, error),
    });
    void line.open(() => this.#recallEndpoint(), this.#token);
    return line;
  }

  #handleOpen(line: Line, token: string | undefined): string {
    if (line === this.#next) return this.#events.onOpen(token, true);
    this.#machine.handleOpen();
    const hello = this.#events.onOpen(token, false);
    this.#run(null, null);
    return hello;
  }

  #handleFault(line: Line, error: WSEError, isFatal: boolean): void {
    const code = CLOSE_CODES.BEYOND_CLIENT.code;
    if (!isFatal) this.#events.onFault(error);
    else if (line === this.#line) this.#run(this.#machine.handleDead(this.#now(), code), error);
    else {
      line.close(code);
      this.#handleClose(line, code, error);
    }
  }

  #handleClose(line: Line, code: number, error: WSEError): void {
    if (line === this.#old) {
      this.#endOld();
      return;
    }
    if (this.#machine.status !== 'ready' || line === this.#next) this.#ring.handleFailure();
    if (line === this.#next) {
      this.#next = null;
      this.#move.handleFailure(this.#now(), code);
      this.#moveTimer.arm(this.#move.pollTimeout());
      return;
    }
    this.#line = null;
    this.#machine.handleClose(this.#now(), code);
    this.#run(null, error);
  }

  #handleMessage(line: Line, message: LineMessage): void {
    // Until it is ready, the second one shows in nothing.
    if (line === this.#next) {
      if (message.kind === 'ready') this.#handleMoved(line, message);
      return;
    }
    const isOld = line === this.#old;
    switch (message.kind) {
      case 'ready':
        if (!isOld) this.#handleReady(message);
        return;
      case 'pong':
        if (!isOld) this.#handlePong(message.payload);
        return;
      case 'move':
        if (!isOld) this.#handleMove(message);
        return;
      default:
        this.#events.onMessage(message, isOld);
    }
  }

  #handleMove(message: MoveMessage): void {
    this.#move.handleMove(this.#now(), message, this.#machine.restartRetryMs);
    this.#moveTimer.arm(this.#move.pollTimeout());
  }

  #handleMoved(line: Line, ready: Ready): void {
    [this.#old, this.#line, this.#next] = [this.#line, line, null];
    this.#machine.handleMoved(this.#now(), ready.retryMs);
    this.#move.handleReady();
    this.#moveTimer.arm(this.#move.pollTimeout());
    this.#begin(line);
    this.#events.onMoved(ready, line.hello);
    this.#run(null, null);
  }

  #endOld(): void {
    if (this.#old === null) return;
    this.#old = null;
    this.#move.stop();
    this.#moveTimer.arm(null);
    this.#events.onMoveOver();
  }

  /** The connection itself is gone, and whatever it was to move to or from. */
  #callOffMove(): void {
    this.#next?.close(CLOSE_CODES.NORMAL.code);
    this.#old?.close(CLOSE_CODES.NORMAL.code);
    this.#next = this.#old = null;
    this.#move.stop();
    this.#moveTimer.arm(null);
  }

  #handleMoveTimer(): void {
    const effect = this.#move.handleTimeout(this.#now());
    if (effect === 'open') this.#next = this.#dial();
    if (effect === 'finish') this.finishMove();
    if (effect === 'drop' && this.#next !== null) {
      this.#next.close(CLOSE_CODES.NORMAL.code);
      this.#handleClose(this.#next, CLOSE_CODES.ABNORMAL.code, WSEError.client('CONNECTION_LOST'));
    }
    this.#moveTimer.arm(this.#move.pollTimeout());
  }

  /** A line is ready: it is watched from here on, and its endpoint remembered. */
  #begin(line: Line): void {
    this.#liveness.start(this.#now(), line.hello?.heartbeatMs ?? DEFAULTS.heartbeatMs);
    if (this.#ring.size > 1) void this.#roles.storage.write(this.#ring.name, String(this.#ring.index));
  }

  #handleReady(ready: Ready): void {
    this.#machine.handleReady(this.#now(), ready.retryMs);
    this.health.reset();
    if (this.#line !== null) this.#begin(this.#line);
    this.#events.onReady(ready, this.#line?.hello ?? null);
    this.#run(null, null);
  }

  #handlePong(payload: unknown): void {
    const rttMs = this.#liveness.handlePong(this.#now(), payload);
    if (rttMs === null) return;
    this.health.handlePong(rttMs);
    this.#run(null, null);
  }

  #handleMachineTimer(): void {
    const effect = this.#machine.handleTimeout(this.#now());
    const timedOut = effect?.do === 'drop';
    if (timedOut) this.#ring.handleFailure();
    this.#run(effect, timedOut ? WSEError.client('CONNECTION_LOST', 'The server was not ready in time.') : null);
  }

  #handleLivenessTimer(): void {
    this.#beat(this.#liveness.handleTimeout(this.#now()));
  }

  #beat(action: ReturnType<Liveness['handleTimeout']>): void {
    if (action?.do === 'dead') {
      this.health.handleLost();
      this.#run(this.#machine.handleDead(this.#now()), WSEError.client('CONNECTION_LOST', 'Nothing came from the server.'));
      return;
    }
    if (action?.do === 'ping') {
      if (action.lost) this.health.handleLost();
      this.send(encodeBeat('ping', action.payload));
    }
    this.#run(null, null);
  }

  #handleEnvironment(event: EnvironmentEvent): void {
    if (event === 'hidden') return;
    if (event === 'pagehide') {
      // An open socket keeps the page out of the back-forward cache; `pageshow` brings the connection back.
      this.#run(this.#machine.handleDead(this.#now()), null);
      return;
    }
    if (this.#machine.status === 'ready') this.#beat(this.#liveness.probe(this.#now()));
    else if (event !== 'offline') this.#run(this.#machine.nudge(this.#now()), null);
  }

  async #recallEndpoint(): Promise<Endpoint> {
    if (this.#ring.size > 1) {
      this.#remembered ??= this.#roles.storage.read(this.#ring.name).then((index) => {
        if (index !== null) this.#ring.startAt(Number(index));
      });
      await this.#remembered;
    }
    return this.#ring.current;
  }
}
