// One holder's topics: what a component or caller wants subscribed, given back as a whole.
import type { Filter } from './filter-key';

/** How topics are wanted. */
export interface HoldOptions {
  /** Only messages whose payload passes; compared by value. @default none: all messages */
  readonly filter?: Filter | undefined;
}

/** Topics and patterns wanted by one holder, each with one filter or none; the client counts how many holders want each. */
export interface TopicHold {
  /** Makes `topics` the whole of what this holder wants; only the difference counts. */
  set(topics: readonly string[], options?: HoldOptions): void;
  /** Wants these too; another filter than before takes its place. */
  add(topics: readonly string[], options?: HoldOptions): void;
  remove(topics: readonly string[]): void;
  /** Gives every topic back. */
  release(): void;
}

/** Counts one holder of a topic, or takes it away. */
type Count = (topic: string, filter: Filter | undefined) => void;

/** Makes a holder over reference counts. */
export function createHold(retain: Count, release: Count): TopicHold {
  const held = new Map<string, Filter | undefined>();
  const add = (topics: readonly string[], { filter }: HoldOptions = {}): void => {
    for (const topic of topics) {
      // The new one first: the count must not touch zero between them.
      retain(topic, filter);
      if (held.has(topic)) release(topic, held.get(topic));
      held.set(topic, filter);
    }
  };
  const remove = (topics: readonly string[]): void => {
    for (const topic of topics) {
      const filter = held.get(topic);
      if (held.delete(topic)) release(topic, filter);
    }
  };
  const set = (topics: readonly string[], options?: HoldOptions): void => {
    add(topics, options);
    remove([...held.keys()].filter((topic) => !topics.includes(topic)));
  };
  return { set, add, remove, release: () => set([]) };
}
