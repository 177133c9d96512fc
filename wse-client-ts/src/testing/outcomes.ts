// What the fake server knows of clients' messages whose effect they want to know ([P-53], [P-54]).
import type { Envelope } from '../core/envelope';

/** The answer to one message: a reply or an error, as it goes out but for its `cid`. */
export type Answer = Pick<Envelope, 't' | 'p'>;

/** Outcomes of all producers. */
export class Outcomes {
  readonly #known = new Map<string, Map<number, Answer | null>>();

  /** What became of a message: `new` and to be handled, `unknown`, or its answer; null while it is being handled. */
  begin({ pid = '', n = 0, na = 0, pe }: Envelope, user: string | null, epoch: string): Answer | 'new' | 'unknown' | null {
    const key = JSON.stringify([user, pid]);
    const known = this.#known.get(key) ?? new Map<number, Answer | null>();
    this.#known.set(key, known);
    for (const number of known.keys()) if (number <= na) known.delete(number);
    const before = known.get(n);
    if (before !== undefined) return before;
    if (n <= na || (pe !== undefined && pe !== epoch)) return 'unknown';
    known.set(n, null);
    return 'new';
  }

  done({ pid = '', n = 0 }: Envelope, user: string | null, answer: Answer): void {
    this.#known.get(JSON.stringify([user, pid]))?.set(n, answer);
  }

  /** As when an in-process bus is restarted. */
  clear(): void {
    this.#known.clear();
  }
}
