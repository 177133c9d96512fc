// What a parsed frame does not tell of its header any more: numbers with a fraction of zero, keys that stand twice, depth ([P-11], [P-16]).

/** The keys of an envelope; others are ignored ([P-10]). */
export const HEADER_KEYS = ['v', 't', 'c', 'id', 'ts', 'tp', 'e', 'seq', 'ps', 'k', 'pri', 'cid', 'p'] as const;

const KNOWN: ReadonlySet<string> = new Set(HEADER_KEYS);

/** Collects while a header is read. */
export class HeaderScan {
  /** Known keys whose number is written with a fraction or exponent, or as a float. */
  readonly fractional = new Set<string>();
  /** The first known key that came twice; null if none did. */
  repeated: string | null = null;
  /** Nesting levels, the envelope included; 0 where the reader has checked it. */
  depth = 0;
  readonly #seen = new Set<string>();

  /** A key of the header, and whether its value is a number in the form of a fraction. */
  see(key: string, isFractional: boolean): void {
    if (!KNOWN.has(key)) return;
    if (this.#seen.has(key)) this.repeated ??= key;
    this.#seen.add(key);
    if (isFractional) this.fractional.add(key);
  }
}

const FRACTION = /\s*-?\d+[.eE]/y;
const [QUOTE, COLON, BACKSLASH] = [0x22, 0x3a, 0x5c];
const [OPEN, CLOSE] = ['[{', ']}'].map((pair) => new Set([pair.charCodeAt(0), pair.charCodeAt(1)])) as [Set<number>, Set<number>];

/** Walks once over `text`, which is valid JSON. */
export function scanHeader(text: string): HeaderScan {
  const scan = new HeaderScan();
  let level = 0;
  let string = '';
  for (let at = 0; at < text.length; at += 1) {
    const char = text.charCodeAt(at);
    if (char === QUOTE) {
      const end = closingQuote(text, at);
      if (level === 1) string = text.slice(at, end + 1);
      at = end;
    } else if (OPEN.has(char)) {
      level += 1;
      if (level > scan.depth) scan.depth = level;
    } else if (CLOSE.has(char)) {
      level -= 1;
    } else if (char === COLON && level === 1) {
      FRACTION.lastIndex = at + 1;
      scan.see(JSON.parse(string) as string, FRACTION.test(text));
    }
  }
  return scan;
}

function closingQuote(text: string, open: number): number {
  for (let end = text.indexOf('"', open + 1); ; end = text.indexOf('"', end + 1)) {
    let escapes = 0;
    while (text.charCodeAt(end - 1 - escapes) === BACKSLASH) escapes += 1;
    if (escapes % 2 === 0 || end < 0) return end;
  }
}
