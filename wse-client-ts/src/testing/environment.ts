// An environment and a storage that a test holds in its hand.
import type { Environment, EnvironmentEvent } from '../core/environment';
import type { Storage } from '../core/storage';

/** Predictable surroundings: `random()` gives `draw`, ids count up, events come from `emit`. */
export class FakeEnvironment implements Environment {
  origin: string | null = 'http://localhost:8000';
  /** What `random()` gives; 0.5 makes each wait half its widest. */
  draw = 0.5;
  /** What was reported to the developer. */
  readonly reports: { readonly message: string; readonly cause: unknown }[] = [];
  readonly #listeners = new Set<(event: EnvironmentEvent) => void>();
  #ids = 0;

  random(): number {
    return this.draw;
  }

  uuid(): string {
    this.#ids += 1;
    return `id-${this.#ids}`;
  }

  watch(listener: (event: EnvironmentEvent) => void): () => void {
    this.#listeners.add(listener);
    return () => void this.#listeners.delete(listener);
  }

  /** Listeners of clients that are started. */
  get watchers(): number {
    return this.#listeners.size;
  }

  report(message: string, cause: unknown): void {
    this.reports.push({ message, cause });
  }

  /** Lets an event of the page or the network happen. */
  emit(event: EnvironmentEvent): void {
    for (const listener of [...this.#listeners]) listener(event);
  }
}

/** A storage in memory. */
export class MemoryStorage implements Storage {
  readonly values = new Map<string, string>();

  async read(key: string): Promise<string | null> {
    return this.values.get(key) ?? null;
  }

  async write(key: string, value: string): Promise<void> {
    this.values.set(key, value);
  }
}
