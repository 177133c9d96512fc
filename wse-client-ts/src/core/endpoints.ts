// Turns what the user wrote as an endpoint into a WebSocket URL, and rotates among several; pure.
import { WSEError } from './errors';

/** A URL or path, or a function that gives one at each attempt. */
export type Endpoint = string | (() => string | Promise<string>);

/** Where the router stands when it is included with the prefix `/wse` on the page's own origin. */
export const DEFAULT_ENDPOINT = '/wse';

/** Makes an endpoint absolute and `ws:` or `wss:`; throws `INVALID_ENDPOINT`. */
export function resolveEndpoint(endpoint: string, origin: string | null): string {
  let url: URL;
  try {
    url = origin === null ? new URL(endpoint) : new URL(endpoint, origin);
  } catch (cause) {
    throw WSEError.client('INVALID_ENDPOINT', `Endpoint ${JSON.stringify(endpoint)} is no URL.`, cause);
  }
  if (url.protocol === 'http:') url.protocol = 'ws:';
  if (url.protocol === 'https:') url.protocol = 'wss:';
  if (url.protocol !== 'ws:' && url.protocol !== 'wss:') {
    throw WSEError.client('INVALID_ENDPOINT', `Endpoint ${JSON.stringify(endpoint)} is no WebSocket URL.`);
  }
  url.hash = '';
  return url.href;
}

/** The endpoints in use: stays with one that works, moves on after a failed attempt. */
export class EndpointRing {
  readonly #endpoints: readonly Endpoint[];
  #index = 0;

  constructor(endpoints: readonly Endpoint[]) {
    this.#endpoints = endpoints.length === 0 ? [DEFAULT_ENDPOINT] : endpoints;
  }

  get size(): number {
    return this.#endpoints.length;
  }

  /** Where the index in use is remembered; another list has another name. */
  get name(): string {
    return `wse:endpoint ${this.#endpoints.map((endpoint) => (typeof endpoint === 'string' ? endpoint : '()')).join(' ')}`;
  }

  /** Index of the endpoint in use. */
  get index(): number {
    return this.#index;
  }

  /** The endpoint in use. */
  get current(): Endpoint {
    return this.#endpoints[this.#index] ?? DEFAULT_ENDPOINT;
  }

  /** Begins at `index`, as remembered from an earlier page; ignored where there is none such. */
  startAt(index: number): void {
    if (Number.isInteger(index) && index >= 0 && index < this.#endpoints.length) this.#index = index;
  }

  /** The attempt failed: the next one goes elsewhere. */
  handleFailure(): void {
    this.#index = (this.#index + 1) % this.#endpoints.length;
  }
}
