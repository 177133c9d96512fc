// Searches for a pattern in time linear in the string: all ways to match are followed at once, so that no character is read twice.

/** Whether a character, by its code point, is one of an item's. */
export type Reads = (char: number) => boolean;

/** Whether an assertion holds between two characters; `NONE` is what is before the first and after the last. */
export type Holds = (before: number, after: number) => boolean;

/** A part of a pattern: given what comes after it, where it begins. */
export type Part = (next: State) => State;

/** The end of a string, as a code point. */
export const NONE = -1;

/** Where a way through the pattern stands: it goes on to each of `next`, past a character, past an assertion, or at once. */
class State {
  /** The search's last step that came here. */
  step = 0;

  constructor(
    readonly next: State[],
    readonly reads: Reads | null = null,
    readonly holds: Holds | null = null,
  ) {}
}

/** One character. */
export function reading(reads: Reads): Part {
  return (next) => new State([next], reads);
}

/** No character, at places where it holds. */
export function asserting(holds: Holds): Part {
  return (next) => new State([next], null, holds);
}

/** One after the other. */
export function inOrder(parts: readonly Part[]): Part {
  return (next) => parts.reduceRight((rest, part) => part(rest), next);
}

/** Any one of these. */
export function oneOf(parts: readonly Part[]): Part {
  return (next) => new State(parts.map((part) => part(next)));
}

/** `least` times to `most` times; `Infinity`: without an end. */
export function repeated(part: Part, least: number, most: number): Part {
  return (next) => {
    let [rest, copies] = [next, most];
    if (most === Infinity) {
      // What is there any number of times is one copy that leads back to itself.
      const loop = new State([next]);
      const again = part(loop);
      loop.next.push(again);
      [rest, copies] = least === 0 ? [loop, 0] : [again, least - 1];
    }
    for (; copies > 0; copies -= 1) rest = copies > least ? new State([part(rest), next]) : part(rest);
    return rest;
  };
}

/** A whole pattern. */
export class Automaton {
  readonly #end = new State([]);
  readonly #start: State;
  #step = 0;

  constructor(part: Part) {
    this.#start = part(this.#end);
  }

  /** Whether the pattern is anywhere in the string. */
  isIn(text: string): boolean {
    let [here, read]: [State[], State[]] = [[], []];
    for (let [before, at] = [NONE, 0]; ; ) {
      const after = text.codePointAt(at) ?? NONE;
      here.push(this.#start);
      if (this.#advance(here, before, after, read)) return true;
      if (after === NONE) return false;
      // All of `here` was taken out.
      [here, read] = [read, here];
      before = after;
      at += after > 0xffff ? 2 : 1;
    }
  }

  /** Follows all ways that stand `here`; where those go on that read `after` is added to `read`. True: one is at its end. */
  #advance(here: State[], before: number, after: number, read: State[]): boolean {
    this.#step += 1;
    for (let state = here.pop(); state !== undefined; state = here.pop()) {
      if (state === this.#end) return true;
      if (state.step === this.#step) continue;
      state.step = this.#step;
      const goesOn = state.reads === null ? state.holds?.(before, after) !== false : after !== NONE && state.reads(after);
      if (goesOn) for (const next of state.next) (state.reads === null ? here : read).push(next);
    }
    return false;
  }
}
