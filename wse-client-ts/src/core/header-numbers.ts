// Finds header integers written with a fraction or exponent, which JSON.parse hides (`2.0` reads as 2; [P-11]).

const SUSPECT = /"(?:v|seq|pri)"\s*:\s*-?\d+[.eE]/;
const TOKEN = /"(?:[^"\\]|\\.)*"|[{}[\]:,]|[^\s{}[\]:,"]+/gs;

/** Top-level keys of valid JSON whose number has a fraction or exponent; almost always empty, after one quick scan. */
export function fractionalHeaders(text: string): ReadonlySet<string> {
  const found = new Set<string>();
  if (!SUSPECT.test(text)) return found;
  let depth = 0;
  let key = '';
  let previous = '';
  for (const [token] of text.matchAll(TOKEN)) {
    if (token === '{' || token === '[') depth += 1;
    else if (token === '}' || token === ']') depth -= 1;
    else if (depth === 1 && token === ':') key = previous;
    else if (depth === 1 && previous === ':' && /^-?\d+[.eE]/.test(token)) found.add(JSON.parse(key) as string);
    previous = token;
  }
  return found;
}
