// What the server's word on a topic or pattern does to the book, and what the application must hear of it ([P-24], [P-39]).
import type { Entry, TopicState } from './entry';
import { WSEError } from './errors';
import type { ResyncNotice } from './events';
import { patternOf, type PatternTopics } from './pattern';
import type { TopicBook } from './topic-book';
import type { Outcome } from './topic-stream';
import type { Subscribed, TopicUpdate } from './topic-update';

/** What the application must hear. */
export interface News {
  /** Topics and patterns whose state must be loaded anew. */
  readonly resyncs: ResyncNotice[];
  readonly refusals: WSEError[];
}

/** Applies updates to a book. */
export class Answers {
  readonly #book: TopicBook;
  readonly #now: number;
  readonly news: News = { resyncs: [], refusals: [] };

  constructor(book: TopicBook, now: number) {
    this.#book = book;
    this.#now = now;
  }

  /** `isAnswer`: to a request of ours; otherwise the server speaks by itself. */
  handle(entry: Entry, update: TopicUpdate, isAnswer: boolean): void {
    if (update.status === 'unsubscribed') return;
    if (update.status === 'refused') this.#refuse(entry, update.topic, update.code, update.message);
    else if (entry.pattern === null) this.#handleTopic(entry, update);
    else this.#handlePattern(entry, entry.pattern, update, isAnswer);
  }

  #refuse(entry: Entry, topic: string, code: string, message: string): void {
    const error = new WSEError(code, message, { topic });
    entry.refuse(error, this.#now);
    this.news.refusals.push(error);
  }

  #handleTopic(entry: Entry, update: Subscribed): void {
    entry.settle({ ...this.#handleStream(update), error: null }, update.snapshot);
  }

  #handleStream(update: Subscribed): Outcome {
    const stream = this.#book.streams.follow(update.topic);
    const outcome = stream.handleUpdate(this.#now, update);
    this.#book.streams.noteChange(update.topic);
    if (outcome.status === 'resync') {
      this.news.resyncs.push({ topic: update.topic, reason: outcome.reason, ...(update.snapshot ? { snapshot: true } : {}) });
    }
    return outcome;
  }

  #handlePattern(entry: Entry, pattern: PatternTopics, update: Subscribed, isAnswer: boolean): void {
    const { births } = pattern;
    // During a move the first connection may have told of births that the second had not seen when it answered.
    const isPast = update.status !== 'resync' && update.position.epoch === births?.epoch && update.position.seq < births.seq;
    if (update.topics.some(isUnavailable)) entry.handlePartial(this.#now);
    // The place of births stays before a topic that is still to come: from there it is new, and has all its messages.
    const keepsPlace = isPast || (entry.isPartial && births !== null && update.status !== 'resync');
    if (!keepsPlace) pattern.births = update.position ?? births;
    const reason = update.status === 'resync' ? update.reason : null;
    if (reason !== null) this.news.resyncs.push({ topic: update.topic, reason });
    if (isAnswer) entry.settle(stateOf(update, reason), false);
    else if (reason !== null) entry.state = { status: 'resync', error: null, reason, recovered: 0 };
    if (isAnswer && !isPast) this.#forgetOthers(entry, pattern, update.topics);
    for (const member of update.topics) if (patternOf(member.topic) === update.topic) this.#handleMember(entry, update.topic, member);
  }

  /** An answer lists every topic that the pattern stands for. */
  #forgetOthers(entry: Entry, pattern: PatternTopics, members: readonly TopicUpdate[]): void {
    const listed = new Set(members.map(({ topic }) => topic));
    for (const topic of pattern.topics) if (!listed.has(topic)) this.#book.dropMember(entry, topic);
  }

  #handleMember(entry: Entry, pattern: string, update: TopicUpdate): void {
    if (update.status === 'refused') this.news.refusals.push(new WSEError(update.code, update.message, { topic: update.topic }));
    if (update.status === 'refused' || update.status === 'unsubscribed') {
      if (!isUnavailable(update)) this.#book.dropMember(entry, update.topic);
      return;
    }
    if (!this.#book.admitMember(entry, update.topic)) {
      this.#overflow(entry, pattern);
      return;
    }
    if (update.snapshot) entry.hasSnapshot = true;
    // Where the topic is subscribed by itself too, its own answer counts.
    if (this.#book.carrier(update.topic) === entry) this.#handleStream(update);
  }

  /** More topics than the limit: what the server says of its own limit, said by the client of the client's. */
  #overflow(entry: Entry, pattern: string): void {
    if (entry.state.reason === 'births') return;
    entry.state = { status: 'resync', error: null, reason: 'births', recovered: 0 };
    this.news.resyncs.push({ topic: pattern, reason: 'births' });
  }
}

/** For the time being: it is asked for again, and keeps its place. */
function isUnavailable(update: TopicUpdate): boolean {
  return update.status === 'refused' && update.code === 'UNAVAILABLE';
}

/** Of a pattern the server counts births; what was missed is in its topics. */
function stateOf({ status, topics }: Subscribed, reason: string | null): TopicState {
  const missed = topics.reduce((sum, member) => sum + (member.status === 'recovered' ? member.recovered : 0), 0);
  const recovered = status === 'resync' ? 0 : missed;
  return { status: recovered > 0 ? 'recovered' : status, error: null, reason, recovered };
}
