// The regular expressions of `$regex` ([P-76]): the subset that the server's engine and this one read alike, and what it costs.
import { utf8Bytes } from './envelope';
import { asserting, Automaton, type Holds, inOrder, NONE, oneOf, type Part, reading, type Reads, repeated } from './filter-automaton';

const PATTERN = { bytes: 256, cost: 512, repetitions: 1000 } as const;

/** One item of a pattern but a class; the groups are n, `,` and m of a count. */
const TOKEN = /\\[dDwWsSbtnvfr^$\\.*+?()[\]{}|/]|\(\?:|\((?!\?)|[)|^$.]|[*+?]\??|\{(\d+)(?:(,)(\d*))?\}\??|[^\\()[\]{}|^$.*+?]/uy;

/** One member of a class in brackets. */
const MEMBER = /\\[dDwWsStnvfr^$\\.*+?()[\]{}|/-]|[^\\[\]-]/uy;

/** What a class costs more that takes characters beyond ASCII. */
const WIDE_COST = 8;

/** Sets as members of a class. JavaScript's own \d and \w are ASCII, its \s is not. */
const SETS: Readonly<Record<string, string>> = { '\\s': '\\t-\\r ', '\\S': '\\0-\\x08\\x0e-\\x1f!-\\u{10ffff}' };

const CONTROLS: Readonly<Record<string, string>> = { t: '\t', n: '\n', v: '\v', f: '\f', r: '\r' };

const isWord = (char: number): boolean => char !== NONE && /\w/.test(String.fromCodePoint(char));

const ASSERTIONS: Readonly<Record<string, Holds>> = {
  '^': (before) => before === NONE,
  $: (_, after) => after === NONE,
  '\\b': (before, after) => isWord(before) !== isWord(after),
};

/** A pattern and its cost. Throws what `refused` makes of a fault. */
export function readPattern(pattern: string, refused: (fault: string) => Error): { automaton: Automaton; cost: number } {
  if (utf8Bytes(pattern) > PATTERN.bytes) throw refused(`a pattern has at most ${PATTERN.bytes} bytes`);
  const { part, cost } = new PatternReader(pattern, refused).read();
  return { automaton: new Automaton(part), cost };
}

/** What has been read of a group. */
class Group {
  cost = 0;
  /** Cost of its last item where that can be repeated. */
  last: number | undefined;
  readonly #alternatives: Part[][] = [];
  #parts: Part[] = [];

  add(part: Part, cost: number, last?: number): void {
    this.#parts.push(part);
    this.cost += cost;
    this.last = last;
  }

  /** The last item; what is repeated costs `times` what it does once. */
  repeat(least: number, most: number, times: number): void {
    const part = this.#parts.pop();
    if (part !== undefined) this.add(repeated(part, least, most), (this.last ?? 0) * Math.max(times - 1, 0));
  }

  endAlternative(): void {
    this.#alternatives.push(this.#parts);
    this.#parts = [];
    this.cost += 1;
    this.last = undefined;
  }

  get whole(): Part {
    return oneOf([...this.#alternatives, this.#parts].map(inOrder));
  }
}

class PatternReader {
  readonly #pattern: string;
  readonly #refused: (fault: string) => Error;
  readonly #outer: Group[] = [];
  #group = new Group();
  #at = 0;

  constructor(pattern: string, refused: (fault: string) => Error) {
    this.#pattern = pattern;
    this.#refused = refused;
  }

  read(): { part: Part; cost: number } {
    while (this.#at < this.#pattern.length) {
      if (this.#pattern[this.#at] === '[') this.#class();
      else this.#token();
      if (this.#group.cost > PATTERN.cost) throw this.#refused(`the patterns of a filter cost at most ${PATTERN.cost} together`);
    }
    if (this.#outer.length > 0) throw this.#refused('a parenthesis is not closed');
    return { part: this.#group.whole, cost: this.#group.cost };
  }

  #next(expression: RegExp): RegExpExecArray {
    expression.lastIndex = this.#at;
    const found = expression.exec(this.#pattern);
    if (found === null) throw this.#refused(`character ${this.#at + 1} of the pattern is not in the subset of regular expressions that filters take`);
    this.#at = expression.lastIndex;
    return found;
  }

  #token(): void {
    const [token, least, comma, most] = this.#next(TOKEN);
    const assertion = ASSERTIONS[token];
    if (assertion !== undefined) this.#group.add(asserting(assertion), 1);
    else if (token === '(' || token === '(?:') this.#open();
    else if (token === ')') this.#close();
    else if (token === '|') this.#group.endAlternative();
    else if (least !== undefined) this.#count(Number(least), comma === undefined ? least : most);
    else if (/^[*+?]/.test(token)) this.#repeat(token.startsWith('+') ? 1 : 0, token.startsWith('?') ? 1 : Infinity, 1);
    else if (token === '.') this.#item((char) => char !== 0x0a, WIDE_COST);
    else if (/^\\[dDwWsS]/.test(token)) this.#item(oneOfClass(`[${SETS[token] ?? token}]`), /[DWS]/.test(token) ? WIDE_COST : 1);
    else this.#character(codePoint(token));
  }

  #character(own: number): void {
    this.#item((char) => char === own, 1);
  }

  #item(reads: Reads, cost: number): void {
    this.#group.add(reading(reads), cost, cost);
  }

  #open(): void {
    this.#outer.push(this.#group);
    this.#group = new Group();
  }

  #close(): void {
    const outer = this.#outer.pop();
    if (outer === undefined) throw this.#refused('a parenthesis closes nothing');
    const cost = Math.max(this.#group.cost, 1);
    outer.add(this.#group.whole, cost, cost);
    this.#group = outer;
  }

  /** `most` is empty for `{n,}`. */
  #count(least: number, most: string | undefined): void {
    const isOpen = most === undefined || most === '';
    const times = isOpen ? least : Number(most);
    if (times < least || times > PATTERN.repetitions) throw this.#refused(`a count is {n}, {n,} or {n,m} with n <= m <= ${PATTERN.repetitions}`);
    this.#repeat(least, isOpen ? Infinity : times, times);
  }

  #repeat(least: number, most: number, times: number): void {
    if (this.#group.last === undefined) throw this.#refused('a repetition follows nothing that can be repeated');
    this.#group.repeat(least, most, times);
  }

  #class(): void {
    const opening = this.#pattern.startsWith('[^', this.#at) ? '[^' : '[';
    this.#at += opening.length;
    let [members, count, isWide] = ['', 0, opening === '[^'];
    while (this.#pattern[this.#at] !== ']' || count === 0) {
      const member = this.#member(count === 0);
      members += SETS[member] ?? member;
      isWide ||= /^\\[DWS]|[^\0-\x7f]/.test(member);
      count++;
    }
    this.#at++;
    this.#item(oneOfClass(`${opening}${members}]`), isWide ? count + WIDE_COST : count);
  }

  /** One member as it is written. */
  #member(isFirst: boolean): string {
    const from = this.#hyphen(isFirst) ?? this.#next(MEMBER)[0];
    const isRange = this.#pattern[this.#at] === '-' && this.#pattern[this.#at + 1] !== ']';
    if (!isRange) return from;
    this.#at++;
    const to = this.#next(MEMBER)[0];
    if (!(codePoint(from) <= codePoint(to))) throw this.#refused('a range in a class goes from one character up to another');
    return `${from}-${to}`;
  }

  /** A hyphen stands for itself at the start and the end of a class. */
  #hyphen(isFirst: boolean): string | undefined {
    if (this.#pattern[this.#at] !== '-' || !(isFirst || this.#pattern[this.#at + 1] === ']')) return undefined;
    this.#at++;
    return '\\-';
  }
}

/** One character against a class, as `RegExp` reads it under the flag `u`: it cannot go back in one character. */
function oneOfClass(source: string): Reads {
  const expression = new RegExp(source, 'u');
  return (char) => expression.test(String.fromCodePoint(char));
}

/** The character that a member of a class is; a set is none, and no range accepts NaN. */
function codePoint(member: string): number {
  if (!member.startsWith('\\')) return member.codePointAt(0) ?? NaN;
  const letter = member.slice(1);
  if (/[dDwWsS]/.test(letter)) return NaN;
  return (CONTROLS[letter] ?? letter).codePointAt(0) ?? NaN;
}
