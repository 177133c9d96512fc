// One holder's topics: what a component or caller wants subscribed, given back as a whole.

/** Topics wanted by one holder; the client counts how many holders want each. */
export interface TopicHold {
  /** Makes `topics` the whole of what this holder wants; only the difference counts. */
  set(topics: readonly string[]): void;
  add(topics: readonly string[]): void;
  remove(topics: readonly string[]): void;
  /** Gives every topic back. */
  release(): void;
}

/** Makes a holder over reference counts. */
export function createHold(retain: (topic: string) => void, release: (topic: string) => void): TopicHold {
  const held = new Set<string>();
  const add = (topics: readonly string[]): void => {
    for (const topic of topics) {
      if (held.has(topic)) continue;
      held.add(topic);
      retain(topic);
    }
  };
  const remove = (topics: readonly string[]): void => {
    for (const topic of topics) if (held.delete(topic)) release(topic);
  };
  const set = (topics: readonly string[]): void => {
    add(topics);
    remove([...held].filter((topic) => !topics.includes(topic)));
  };
  return { set, add, remove, release: () => set([]) };
}
