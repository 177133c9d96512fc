// Filters ([P-70] to [P-79]): compiled once from JSON, judged against payloads; the client needs them where one page has two on one topic.
import { utf8Bytes } from './envelope';
import { WSEError } from './errors';
import { sortKeys } from './filter-key';
import { readPattern } from './filter-pattern';
import { compareText, contains, depthOf, equal, isObject, type JsonObject, type Place, places, readPath } from './filter-value';

/** A compiled filter. */
export interface Filter {
  /** Whether a payload, as `JSON.parse` gives it, passes. */
  readonly matches: (payload: unknown) => boolean;
  /** The filter's JSON with sorted keys: equal for filters that differ only in the order of keys. */
  readonly key: string;
}

type Judge = (payload: unknown) => boolean;
type Test = (value: Place) => boolean;

const CAPS = { bytes: 4096, depth: 8, clauses: 64, values: 256, patternCost: 512 } as const;

/** Looks at arrays as a whole only ([P-73]). */
const WHOLE: ReadonlySet<string> = new Set(['$exists', '$contains']);

/** The operators that are the negation of another. */
const NEGATIONS: Readonly<Record<string, string>> = { $ne: '$eq', $nin: '$in' };

const RELATIONS: Readonly<Record<string, (order: number) => boolean>> = {
  $gt: (order) => order > 0,
  $gte: (order) => order >= 0,
  $lt: (order) => order < 0,
  $lte: (order) => order <= 0,
};

/**
 * Compiles a filter. It is what its JSON says: a date is compared as its string, `undefined` fields do not count.
 *
 * @throws WSEError `INVALID_FILTER`, naming the place of the fault.
 */
export function compileFilter(filter: unknown): Filter {
  const text = json(filter);
  const value: unknown = JSON.parse(text);
  const matches = new Compiler().filter(value, '', CAPS.depth);
  return { matches, key: JSON.stringify(value, sortKeys) };
}

/** As its declaration should say: functions and `undefined` have no JSON. */
const stringify: (value: unknown) => string | undefined = JSON.stringify;

function json(filter: unknown): string {
  let text: string | undefined;
  try {
    text = stringify(filter);
  } catch (cause) {
    throw refused('', 'it cannot be written as JSON', cause);
  }
  if (text === undefined) throw refused('', 'it cannot be written as JSON');
  if (utf8Bytes(text) > CAPS.bytes) throw refused('', `a filter has at most ${CAPS.bytes} bytes of JSON`);
  // JSON.stringify escapes a surrogate only where it stands alone, which no UTF-8 can.
  if (/(?<!\\)(?:\\\\)*\\ud[89a-f]/.test(text)) throw refused('', 'a string has a lone surrogate');
  return text;
}

function refused(at: string, fault: string, cause?: unknown): WSEError {
  return new WSEError('INVALID_FILTER', `filter refused at ${at === '' ? 'the top' : at}: ${fault}`, { cause });
}

const all = (judges: readonly Judge[]): Judge => (payload) => judges.every((judge) => judge(payload));
const any = (judges: readonly Judge[]): Judge => (payload) => judges.some((judge) => judge(payload));
const not = (judge: Judge): Judge => (payload) => !judge(payload);

/** Compiles one filter; knows what of the caps is used up. */
class Compiler {
  #clauses = 0;
  #patternCost = 0;

  /** `depth` is how many filters may be inside one another from here on, this one included. */
  filter(filter: unknown, at: string, depth: number): Judge {
    if (depth === 0) throw refused(at, `filters are nested at most ${CAPS.depth} deep`);
    if (!isObject(filter)) throw refused(at, 'a filter is an object of fields and operators');
    const parts = Object.entries(filter).map(([key, operand]) => {
      const place = below(at, key);
      return key.startsWith('$') ? this.#connective(key, operand, place, depth - 1) : this.#field(key, operand, place, depth - 1);
    });
    return all(parts);
  }

  #connective(name: string, operand: unknown, at: string, depth: number): Judge {
    this.#count(at);
    switch (name) {
      case '$and':
        return all(this.#list(operand, at, depth));
      case '$or':
        return any(this.#list(operand, at, depth));
      case '$nor':
        return not(any(this.#list(operand, at, depth)));
      case '$not':
        return not(this.filter(operand, at, depth));
      default:
        throw refused(at, 'there is no such operator here');
    }
  }

  #list(operand: unknown, at: string, depth: number): Judge[] {
    if (!Array.isArray(operand) || operand.length === 0) throw refused(at, 'the operator takes a non-empty array of filters');
    return operand.map((filter, index) => this.filter(filter, `${at}[${index}]`, depth));
  }

  #field(text: string, operand: unknown, at: string, depth: number): Judge {
    const path = readPath(text);
    if (path === undefined) throw refused(at, 'a path is 1 to 16 non-empty segments between dots and at most 256 bytes');
    const entries = operators(operand, at);
    return entries === undefined ? this.#operator(path, '$eq', operand, at, depth) : this.#operators(path, entries, at, depth);
  }

  #operators(path: readonly string[], entries: JsonObject, at: string, depth: number): Judge {
    return all(Object.entries(entries).map(([name, operand]) => this.#operator(path, name, operand, below(at, name), depth)));
  }

  #operator(path: readonly string[], name: string, operand: unknown, at: string, depth: number): Judge {
    this.#count(at);
    if (name === '$not') {
      if (depth === 0) throw refused(at, `filters are nested at most ${CAPS.depth} deep`);
      const entries = operators(operand, at);
      if (entries === undefined) throw refused(at, 'the operator takes an object of operators');
      return not(this.#operators(path, entries, at, depth - 1));
    }
    const positive = NEGATIONS[name];
    const test = this.#test(positive ?? name, operand, at);
    const accepts: Test = WHOLE.has(name) ? test : (value) => test(value) || (Array.isArray(value) && value.some(test));
    const judge: Judge = (payload) => places(payload, path, accepts);
    return positive !== undefined || (name === '$exists' && operand === false) ? not(judge) : judge;
  }

  #test(name: string, operand: unknown, at: string): Test {
    const relation = RELATIONS[name];
    if (relation !== undefined) return comparison(relation, operand, at);
    switch (name) {
      case '$eq':
        return member([operand], at);
      case '$in':
        return set(operand, at);
      case '$exists':
        if (typeof operand !== 'boolean') throw refused(at, 'the operator takes true or false');
        return (value) => value !== undefined;
      case '$contains':
        if (depthOf(operand) > CAPS.depth) throw tooDeep(at);
        return (value) => contains(value, operand);
      case '$startswith':
        return onText(operand, at, (value, start) => value.startsWith(start));
      case '$endswith':
        return onText(operand, at, (value, end) => value.endsWith(end));
      case '$regex':
        return this.#pattern(operand, at);
      default:
        throw refused(at, 'there is no such operator here');
    }
  }

  #pattern(operand: unknown, at: string): Test {
    const { automaton, cost } = readPattern(text(operand, at), (fault) => refused(at, fault));
    this.#patternCost += cost;
    if (this.#patternCost > CAPS.patternCost) throw refused(at, `the patterns of a filter cost at most ${CAPS.patternCost} together`);
    return (value) => typeof value === 'string' && automaton.isIn(value);
  }

  #count(at: string): void {
    if (++this.#clauses > CAPS.clauses) throw refused(at, `a filter has at most ${CAPS.clauses} clauses`);
  }
}

function below(at: string, key: string): string {
  return at === '' ? key : `${at}.${key}`;
}

/** The operators of an object that has nothing else; `undefined` for a plain value ([P-71]). */
function operators(operand: unknown, at: string): JsonObject | undefined {
  if (!isObject(operand)) return undefined;
  const keys = Object.keys(operand);
  const count = keys.filter((key) => key.startsWith('$')).length;
  if (count === 0) return undefined;
  if (count < keys.length) throw refused(at, 'an object has either operators or fields, not both: to compare with an object, write it under `$eq`');
  return operand;
}

function set(operand: unknown, at: string): Test {
  if (!Array.isArray(operand)) throw refused(at, 'the operator takes an array of values');
  if (operand.length > CAPS.values) throw refused(at, `a list has at most ${CAPS.values} values`);
  return member(operand, at);
}

/** Whether a value is one of `values`; a missing field is null. */
function member(values: readonly unknown[], at: string): Test {
  if (values.some((value) => depthOf(value) > CAPS.depth)) throw tooDeep(at);
  const plain = new Set(values);
  const composite = values.filter((value) => typeof value === 'object' && value !== null);
  return (value) => plain.has(value ?? null) || composite.some((ours) => equal(value, ours));
}

function tooDeep(at: string): WSEError {
  return refused(at, `values are nested at most ${CAPS.depth} deep`);
}

function comparison(relation: (order: number) => boolean, bound: unknown, at: string): Test {
  if (typeof bound === 'number') return (value) => typeof value === 'number' && relation(Math.sign(value - bound));
  if (typeof bound === 'string') return (value) => typeof value === 'string' && relation(compareText(value, bound));
  throw refused(at, 'the operator takes a number or a string');
}

function text(operand: unknown, at: string): string {
  if (typeof operand !== 'string') throw refused(at, 'the operator takes a string');
  return operand;
}

function onText(operand: unknown, at: string, holds: (value: string, operand: string) => boolean): Test {
  const ours = text(operand, at);
  return (value) => typeof value === 'string' && holds(value, ours);
}
