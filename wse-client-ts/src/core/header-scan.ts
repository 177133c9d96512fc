// What a parsed frame does not tell of its header any more: numbers with a fraction of zero, keys that stand twice, depth ([P-11], [P-12], [P-16]).

/** The keys of an envelope; others are ignored ([P-10]). */
export const HEADER_KEYS = ['v', 't', 'c', 'id', 'ts', 'tp', 'e', 'seq', 'ps', 'k', 'pri', 'cid', 'pid', 'n', 'na', 'pe', 'p'] as const;

const KNOWN: ReadonlySet<string> = new Set(HEADER_KEYS);

/** Levels of a batch around its envelopes: its own, and the array. */
export const BATCH_LEVELS = 2;

/** Collects while a header is read. */
export class HeaderScan {
  /** Known keys whose number is written with a fraction or exponent, or as a float. */
  readonly fractional = new Set<string>();
  /** The first known key that came twice; null if none did. */
  repeated: string | null = null;
  /** A string has half a surrogate pair, or a number is beyond the largest double: JSON.parse takes it, the protocol does not. */
  isBeyondJson = false;
  /** Nesting levels, the envelope included; without those of `items`. */
  depth = 0;
  /** Where a batch may be read: the arrays and objects that are elements of its payload. */
  readonly items: HeaderScan[] = [];
  #itemDepth = 0;
  readonly #seen = new Set<string>();

  /** Levels of the frame; of a batch those of what has most by itself ([P-37]). */
  levels(isBatch: boolean): number {
    return Math.max(this.depth, this.items.length > 0 ? this.#itemDepth + (isBatch ? 0 : BATCH_LEVELS) : 0);
  }

  /** An array or object begins, which is the level `level`; `inItems`: within the payload of what may be a batch. */
  enter(level: number, inItems: boolean): void {
    const own = level - BATCH_LEVELS;
    if (!inItems || own < 1) this.depth = Math.max(this.depth, level);
    else if (own === 1) this.items.push(new HeaderScan());
    if (inItems) this.#itemDepth = Math.max(this.#itemDepth, own);
  }

  /** A key of the header, and whether its value is a number in the form of a fraction. */
  see(key: string, isFractional: boolean): void {
    if (!KNOWN.has(key)) return;
    if (this.#seen.has(key)) this.repeated ??= key;
    this.#seen.add(key);
    if (isFractional) this.fractional.add(key);
  }
}

const FRACTION = /\s*-?\d+[.eE]/y;
const NUMBER = /-?\d+(?:\.\d+)?(?:[eE][+-]?\d+)?/y;
const [QUOTE, COLON, BACKSLASH, ZERO, NINE, E, BRACKET] = [0x22, 0x3a, 0x5c, 0x30, 0x39, 0x65, 0x5b];
/** Brackets and braces, and letters of both cases, differ in this bit alone. */
const [OPEN, CLOSE, CASE_BIT] = [0x7b, 0x7d, 0x20];
/** Fewer digits than this, without an exponent, are no number beyond the largest double. */
const LONG = 309;

/** Walks once over `text`, which JSON.parse takes; `isBatch`: its items are looked at too. */
export function scanHeader(text: string, isBatch = false): HeaderScan {
  const scan = new HeaderScan();
  // Text that came as UTF-8 has half a pair only where it is escaped.
  const hasEscapes = text.includes('\\u');
  let level = 0;
  let [key, field] = ['', ''];
  let inItems = false;
  for (let at = 0; at < text.length; at += 1) {
    const char = text.charCodeAt(at);
    if (char === QUOTE) {
      const end = closingQuote(text, at);
      if (level === 1 || (inItems && level === 3)) key = text.slice(at, end + 1);
      if (hasEscapes && isLone(text.slice(at, end + 1))) scan.isBeyondJson = true;
      at = end;
    } else if (char >= ZERO && char <= NINE) {
      at = lastDigit(text, at, scan);
    } else if (char === COLON && (level === 1 || (inItems && level === 3))) {
      FRACTION.lastIndex = at + 1;
      const name = key.includes('\\') ? (JSON.parse(key) as string) : key.slice(1, -1);
      (level === 1 ? scan : scan.items.at(-1))?.see(name, FRACTION.test(text));
      if (level === 1) field = name;
    } else if ((char | CASE_BIT) === OPEN) {
      level += 1;
      if (level === 2) inItems = isBatch && field === 'p' && char === BRACKET;
      scan.enter(level, inItems);
    } else if ((char | CASE_BIT) === CLOSE) {
      level -= 1;
    }
  }
  return scan;
}

function closingQuote(text: string, open: number): number {
  let at = open + 1;
  for (let char = text.charCodeAt(at); char !== QUOTE && at < text.length; char = text.charCodeAt(at)) at += char === BACKSLASH ? 2 : 1;
  return at;
}

/** In this mode a surrogate is a character only where it stands alone. */
function isLone(string: string): boolean {
  return /\p{Cs}/u.test(JSON.parse(string) as string);
}

/** The last of the digits that begin at `at`; looks at the whole number where it may be beyond the largest double. */
function lastDigit(text: string, at: number, scan: HeaderScan): number {
  let end = at + 1;
  let char = text.charCodeAt(end);
  while (char >= ZERO && char <= NINE) char = text.charCodeAt((end += 1));
  if ((char | CASE_BIT) === E || end - at >= LONG) {
    // Of a fraction's digits alone the exponent would say too much, so from where the number begins.
    NUMBER.lastIndex = startOfNumber(text, at);
    if (!Number.isFinite(Number(NUMBER.exec(text)?.[0]))) scan.isBeyondJson = true;
  }
  return end - 1;
}

function startOfNumber(text: string, at: number): number {
  let start = at;
  while (/[\d.]/.test(text.charAt(start - 1))) start -= 1;
  return start;
}
