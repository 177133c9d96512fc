// Whose a kept message is: the user's whom the server named, and before it has, the token's ([P-51]); pure.
import type { OutboxRow } from './outbox-store';

/** What is stamped on a new row. */
export type Stamp = Pick<OutboxRow, 'user' | 'token'>;

/** Who writes, and who is connected. */
export class Owner {
  #user: string | null | undefined;
  #mark: string | undefined;
  /** Counts the tokens that the application has set: rows of one age are one user's. */
  age = 0;
  /** Another token was set, and the server has not named its user. */
  isUnknown = false;

  /** Of what is written now: by the user whom the server named last, if the token is still that one. */
  get stamp(): Stamp {
    return this.#user === undefined ? { token: this.#mark } : { user: this.#user };
  }

  /** A token came; undefined: of a function that was not asked yet. `isOther`: the application has set another one. */
  handleToken(token: string | undefined, isOther: boolean): void {
    this.#mark = token === undefined ? undefined : markOf(token);
    if (!isOther) return;
    this.age += 1;
    this.#user = undefined;
    this.isUnknown = true;
  }

  /** The server names the user; returns whether another one was known. */
  handleReady(user: string | null): boolean {
    const isOther = user !== this.#user;
    this.isUnknown = false;
    this.#user = user;
    return isOther;
  }

  /** Whether a row of this age may be seen: one of the user before may not, until it is known who the next one is. */
  shows(age: number): boolean {
    return !this.isUnknown || age === this.age;
  }

  /** Whether a row of this page is the connected user's; `age` is that of its writing. */
  hasWritten({ user }: OutboxRow, age: number, connected: string | null): boolean {
    return user === undefined ? age === this.age : user === connected;
  }

  /** Whether a row of another page is. Without a token a cookie may have said who it was, so that it is an anonymous client's only. */
  inherits({ user, token }: OutboxRow, connected: string | null): boolean {
    if (user !== undefined) return user === connected;
    return token !== undefined && token === this.#mark && (token !== NO_TOKEN || connected === null);
  }
}

const NO_TOKEN = markOf('');

/** Tells one token from another, and nothing of the token. */
function markOf(token: string): string {
  let [a, b] = [0x811c9dc5, 0x2545f491];
  for (let at = 0; at < token.length; at += 1) {
    const unit = token.charCodeAt(at);
    a = Math.imul(a ^ unit, 0x01000193);
    b = Math.imul(b + unit, 0x5bd1e995) ^ (b >>> 15);
  }
  return `${a >>> 0} ${b >>> 0}`;
}
