// Patterns `<namespace>:*` and the topics that one stands for ([P-39]).
import type { Position } from './topic-update';

/** Whether the name is a pattern. */
export function isPattern(topic: string): boolean {
  return topic.endsWith(':*');
}

/** The pattern that stands for `topic`: its namespace ends at the first colon. Undefined for a topic of no namespace. */
export function patternOf(topic: string): string | undefined {
  const end = topic.indexOf(':');
  return end < 1 || isPattern(topic) ? undefined : `${topic.slice(0, end)}:*`;
}

/** What one pattern stands for. */
export class PatternTopics {
  /** Place in the log of births; null before the first answer. */
  births: Position | null = null;
  readonly topics = new Set<string>();

  /** Forgets the place: the next subscription starts from the topics that there are. */
  reset(): void {
    this.births = null;
    this.topics.clear();
  }
}
