// The regular expressions of `$regex` ([P-76]): the subset that the server's engine and this one read alike, and what it costs.
import { utf8Bytes } from './envelope';

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

/** A pattern as `RegExp` reads it under the flag `u`, and its cost. Throws what `refused` makes of a fault. */
export function readPattern(pattern: string, refused: (fault: string) => Error): { source: string; cost: number } {
  if (utf8Bytes(pattern) > PATTERN.bytes) throw refused(`a pattern has at most ${PATTERN.bytes} bytes`);
  return new PatternReader(pattern, refused).read();
}

/** What has been read of a group, and of its last item where that can be repeated. */
interface Group {
  cost: number;
  last: number | undefined;
}

class PatternReader {
  readonly #pattern: string;
  readonly #refused: (fault: string) => Error;
  readonly #outer: Group[] = [];
  #group: Group = { cost: 0, last: undefined };
  #source = '';
  #at = 0;

  constructor(pattern: string, refused: (fault: string) => Error) {
    this.#pattern = pattern;
    this.#refused = refused;
  }

  read(): { source: string; cost: number } {
    while (this.#at < this.#pattern.length) {
      if (this.#pattern[this.#at] === '[') this.#class();
      else this.#token();
      if (this.#group.cost > PATTERN.cost) throw this.#refused(`the patterns of a filter cost at most ${PATTERN.cost} together`);
    }
    if (this.#outer.length > 0) throw this.#refused('a parenthesis is not closed');
    return { source: this.#source, cost: this.#group.cost };
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
    if (token === '(' || token === '(?:') this.#open();
    else if (token === ')') this.#close();
    else if (least !== undefined) this.#count(token, Number(least), comma === undefined ? least : most);
    else if (/^[*+?]/.test(token)) this.#repeat(token, 1);
    else if (/^(?:[|^$]|\\b)$/.test(token)) this.#assertion(token);
    else if (token === '.') this.#item('[^\\n]', WIDE_COST);
    else this.#item(token in SETS ? `[${SETS[token] ?? ''}]` : token, /^\\[DWS]/.test(token) ? WIDE_COST : 1);
  }

  #item(source: string, cost: number): void {
    this.#source += source;
    this.#group.cost += cost;
    this.#group.last = cost;
  }

  #assertion(source: string): void {
    this.#source += source;
    this.#group.last = undefined;
  }

  #open(): void {
    this.#source += '(?:';
    this.#outer.push(this.#group);
    this.#group = { cost: 0, last: undefined };
  }

  #close(): void {
    const outer = this.#outer.pop();
    if (outer === undefined) throw this.#refused('a parenthesis closes nothing');
    const { cost } = this.#group;
    this.#group = outer;
    this.#item(')', Math.max(cost, 1));
  }

  /** `most` is empty for `{n,}`. */
  #count(token: string, least: number, most: string | undefined): void {
    const times = most === undefined || most === '' ? least : Number(most);
    if (times < least || times > PATTERN.repetitions) throw this.#refused(`a count is {n}, {n,} or {n,m} with n <= m <= ${PATTERN.repetitions}`);
    this.#repeat(token, times);
  }

  #repeat(token: string, times: number): void {
    const { last } = this.#group;
    if (last === undefined) throw this.#refused('a repetition follows nothing that can be repeated');
    this.#group.cost += last * Math.max(times - 1, 0);
    this.#assertion(token);
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
    this.#item(`${opening}${members}]`, isWide ? count + WIDE_COST : count);
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

/** The character that a member of a class is; a set is none, and no range accepts NaN. */
function codePoint(member: string): number {
  if (!member.startsWith('\\')) return member.codePointAt(0) ?? NaN;
  const letter = member.slice(1);
  if (/[dDwWsS]/.test(letter)) return NaN;
  return (CONTROLS[letter] ?? letter).codePointAt(0) ?? NaN;
}
