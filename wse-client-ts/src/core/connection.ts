// Drives the connection machine and the liveness checks with a real socket and real timers; holds no rule itself.
import { agree, PLAIN, type Agreement } from './agreement';
import { encodeBeat } from './client-messages';
import { CLOSE_CODES } from './codes.gen';
import { Deadline } from './deadline';
import { DEFAULTS } from './defaults.gen';
import { EndpointRing, resolveEndpoint } from './endpoints';
import type { EnvironmentEvent } from './environment';
import { closeOf, WSEError } from './errors';
import { decodeFrame, encodeFrame } from './frames';
import { Health } from './health';
import { Liveness } from './liveness';
import { ConnectionMachine, isFatalClose, type ConnectionStatus, type Effect } from './machine';
import { parseServerMessage, type HelloMessage, type ServerMessage } from './messages';
import type { ResolvedOptions, Token } from './options';
import type { Roles } from './roles';
import type { Socket } from './transport';

/** The subprotocol that says: `client_hello` comes first ([P-3]). */
export const SUBPROTOCOL = 'wse.v2';

/** Ready for this long, a connection is not a failure any more. */
const STABLE_MS = 10_000;

type Ready = Extract<ServerMessage, { kind: 'ready' }>;

/** What a connection hands to its owner; it deals with the rest itself. */
export type ConnectionMessage = Exclude<ServerMessage, { kind: 'hello' | 'ready' | 'ping' | 'pong' | 'batch' | 'unknown' }>;

/** What a connection reports. */
export interface ConnectionEvents {
  /** The socket is open; returns the first frame. */
  onOpen(token: string | undefined): string;
  onReady(ready: Ready, hello: HelloMessage | null): void;
  onMessage(message: ConnectionMessage): void;
  /** Status or health changed. `error` says why a connection was lost. */
  onChange(status: ConnectionStatus, error: WSEError | null): void;
  /** A fault that does not end the connection. */
  onFault(error: WSEError): void;
}

/** One logical connection: at most one socket or attempt at any time. */
export class Connection {
  readonly #roles: Roles;
  readonly #events: ConnectionEvents;
  readonly #machine: ConnectionMachine;
  readonly #liveness = new Liveness(DEFAULTS.heartbeatMs);
  readonly #ring: EndpointRing;
  readonly #machineTimer: Deadline;
  readonly #livenessTimer: Deadline;
  readonly health = new Health();
  #token: Token | undefined;
  #socket: Socket | null = null;
  #unwatch: (() => void) | null = null;
  /** Grows with every attempt; what an older one reports is ignored. */
  #attempt = 0;
  #hello: HelloMessage | null = null;
  readonly #offers: Agreement;
  /** What both sides speak on this socket. */
  #agreed = PLAIN;
  /** The server's error that came last on this socket, if no other frame came after it: it may explain a close. */
  #serverError: WSEError | null = null;
  #remembered: Promise<void> | null = null;

  constructor(options: ResolvedOptions, roles: Roles, events: ConnectionEvents) {
    this.#roles = roles;
    this.#events = events;
    this.#token = options.token;
    this.#offers = options;
    this.#ring = new EndpointRing(options.endpoints);
    const { backoffBaseMs: baseMs, backoffCapMs: capMs, breakerFailures, connectTimeoutMs } = options;
    const backoff = { baseMs, capMs, breakerFailures, restartTries: DEFAULTS.restartTries };
    const config = { backoff, connectTimeoutMs, stableMs: STABLE_MS, restartRetryMs: DEFAULTS.restartRetryMs };
    this.#machine = new ConnectionMachine(config, () => roles.environment.random());
    this.#machineTimer = new Deadline(roles.clock, () => this.#handleMachineTimer());
    this.#livenessTimer = new Deadline(roles.clock, () => this.#handleLivenessTimer());
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
    if (wanted || this.#machine.status !== 'closed') this.#run(this.#machine.stop('idle'), null);
    if (wanted) this.start();
  }

  /** Sends a JSON envelope on the ready connection, in the form that was negotiated. */
  send(text: string): void {
    this.#socket?.send(encodeFrame(text, this.#agreed));
  }

  #now(): number {
    return this.#roles.clock.now();
  }

  /** Carries an effect out, tells the owner, and sets the timer to what the machine waits for. */
  #run(effect: Effect, error: WSEError | null): void {
    if (effect?.do === 'drop') this.#dropSocket(effect.code);
    if (effect?.do === 'open') void this.#open(++this.#attempt);
    if (this.#machine.status !== 'ready') this.#liveness.stop();
    this.#machineTimer.arm(this.#machine.pollTimeout());
    this.#livenessTimer.arm(this.#liveness.pollTimeout());
    this.#events.onChange(this.#machine.status, error);
  }

  /** Detaches first: a half-open socket may take minutes to report its close. */
  #dropSocket(code: number): void {
    this.#attempt += 1;
    const socket = this.#socket;
    this.#socket = null;
    socket?.close(code);
  }

  async #open(attempt: number): Promise<void> {
    this.#hello = null;
    this.#agreed = PLAIN;
    this.#serverError = null;
    try {
      await this.#recallEndpoint();
      const endpoint = this.#ring.current;
      const url = typeof endpoint === 'function' ? await endpoint() : endpoint;
      const token = typeof this.#token === 'function' ? await this.#token() : this.#token;
      if (attempt !== this.#attempt) return;
      if (token === null) throw WSEError.client('NO_TOKEN');
      this.#connect(attempt, resolveEndpoint(url, this.#roles.environment.origin), token);
    } catch (cause) {
      const error = cause instanceof WSEError ? cause : WSEError.client('CONNECTION_LOST', `The attempt failed: ${String(cause)}.`, cause);
      this.#handleClose(attempt, CLOSE_CODES.ABNORMAL.code, error);
    }
  }

  #connect(attempt: number, url: string, token: string | undefined): void {
    this.#socket = this.#roles.transport.open(url, [SUBPROTOCOL], {
      onOpen: () => {
        if (attempt !== this.#attempt) return;
        this.#machine.handleOpen();
        this.send(this.#events.onOpen(token));
        this.#run(null, null);
      },
      onMessage: (data) => {
        if (attempt === this.#attempt) this.#handleFrame(data);
      },
      onClose: (code, reason) => this.#handleClose(attempt, code, this.#explain(code, reason, url)),
    });
  }

  #handleClose(attempt: number, code: number, error: WSEError): void {
    if (attempt !== this.#attempt) return;
    this.#socket = null;
    this.#attempt += 1;
    if (this.#machine.status !== 'ready') this.#ring.handleFailure();
    this.#machine.handleClose(this.#now(), code);
    this.#run(null, error);
  }

  #explain(code: number, reason: string, url: string): WSEError {
    const isFatal = isFatalClose(code);
    const error = this.#serverError;
    // What went wrong with some message is not why the network broke.
    if (error !== null && (isFatal || closeOf(error.code) === code)) return error;
    return WSEError.client(isFatal ? 'CONNECTION_REFUSED' : 'CONNECTION_LOST', `${url} closed with ${code}${reason === '' ? '' : ` ${reason}`}.`);
  }

  #handleFrame(data: string | ArrayBuffer): void {
    this.#liveness.handleFrame(this.#now());
    try {
      this.#handleMessage(parseServerMessage(decodeFrame(data, this.#agreed)));
    } catch (thrown) {
      const error = thrown instanceof WSEError ? thrown : new WSEError('INTERNAL', String(thrown), { cause: thrown });
      const isTooLarge = error.code === 'INFLATE_LIMIT' || error.code === 'MESSAGE_TOO_LARGE';
      if (isTooLarge) this.#run(this.#machine.handleDead(this.#now(), CLOSE_CODES.TOO_LARGE.code), error);
      else this.#events.onFault(error);
    }
  }

  #handleMessage(message: ServerMessage): void {
    this.#serverError = message.kind === 'error' ? message.error : null;
    switch (message.kind) {
      case 'hello':
        this.#hello = message;
        this.#agreed = agree(this.#offers, message);
        return;
      case 'ready':
        this.#handleReady(message);
        return;
      case 'batch':
        this.#handleBatch(message.messages);
        return;
      case 'ping':
        this.send(encodeBeat('pong', message.payload));
        return;
      case 'pong':
        this.#handlePong(message.payload);
        return;
      case 'unknown':
        return;
      default:
        this.#events.onMessage(message);
    }
  }

  /** One after the other, as if each had come in a frame of its own: one of them may end this connection. */
  #handleBatch(messages: readonly ConnectionMessage[]): void {
    if (!this.#agreed.batch) throw new WSEError('UNEXPECTED_MESSAGE', 'The server sent a batch, which was not negotiated.');
    const attempt = this.#attempt;
    for (const message of messages) if (attempt === this.#attempt) this.#events.onMessage(message);
  }

  #handleReady(ready: Ready): void {
    const now = this.#now();
    this.#machine.handleReady(now, ready.retryMs);
    this.health.reset();
    this.#liveness.start(now, this.#hello?.heartbeatMs ?? DEFAULTS.heartbeatMs);
    if (this.#ring.size > 1) void this.#roles.storage.write(this.#ring.name, String(this.#ring.index));
    this.#events.onReady(ready, this.#hello);
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

  #recallEndpoint(): Promise<void> {
    if (this.#ring.size < 2) return Promise.resolve();
    this.#remembered ??= this.#roles.storage.read(this.#ring.name).then((index) => {
      if (index !== null) this.#ring.startAt(Number(index));
    });
    return this.#remembered;
  }
}
