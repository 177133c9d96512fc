// Listeners by name; one that throws is reported and harms nobody else.

/** Calls listeners in the order of their registration. */
export class Emitter<Arguments extends readonly unknown[]> {
  readonly #listeners = new Map<string, Set<(...args: Arguments) => void>>();
  readonly #report: (error: unknown) => void;

  constructor(report: (error: unknown) => void) {
    this.#report = report;
  }

  /** Adds a listener; returns what removes it. */
  on(name: string, listener: (...args: Arguments) => void): () => void {
    // A wrapper of its own for each registration, so that the same function registered twice is removed once.
    const own = (...args: Arguments): void => listener(...args);
    const set = this.#listeners.get(name) ?? new Set();
    this.#listeners.set(name, set.add(own));
    return () => {
      set.delete(own);
      if (set.size === 0 && this.#listeners.get(name) === set) this.#listeners.delete(name);
    };
  }

  /** Calls the listeners of `name`. */
  emit(name: string, ...args: Arguments): void {
    for (const listener of [...(this.#listeners.get(name) ?? [])]) {
      try {
        listener(...args);
      } catch (error) {
        this.#report(error);
      }
    }
  }
}
