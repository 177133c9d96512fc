// What this page tells others of its visitor: a made-up name that a reload keeps, and the instrument looked at.
import type { CSSProperties } from 'react';

/** Data of a member of the topic `desk`. */
export interface Visitor {
  readonly name: string;
  readonly symbol: string;
}

const KEY = 'desk.name';
const COLOURS = ['Amber', 'Coral', 'Indigo', 'Jade', 'Olive', 'Plum', 'Rose', 'Teal'] as const;
const ANIMALS = ['Badger', 'Crane', 'Fox', 'Heron', 'Lynx', 'Marten', 'Otter', 'Raven', 'Swift', 'Wren'];
const HUES: Record<string, number> = { Amber: 38, Coral: 12, Indigo: 245, Jade: 155, Olive: 80, Plum: 300, Rose: 345, Teal: 185 };

/** The name of this tab's visitor. */
export const ownName = recallName();

function recallName(): string {
  const kept = sessionStorage.getItem(KEY);
  if (kept !== null) return kept;
  const name = `${pick(COLOURS)} ${pick(ANIMALS)}`;
  sessionStorage.setItem(KEY, name);
  return name;
}

/** What another page says of its visitor, which may be anything. */
export function visitorOf(data: unknown): Visitor {
  const { name, symbol } = (data ?? {}) as Partial<Record<keyof Visitor, unknown>>;
  return { name: typeof name === 'string' ? name.slice(0, 40) : 'Somebody', symbol: typeof symbol === 'string' ? symbol : '' };
}

/** The first letters of a name. */
export function initialsOf({ name }: Visitor): string {
  return name.split(' ').map((word) => word.charAt(0)).join('').slice(0, 2);
}

/** The colour that the name begins with. */
export function colourOf({ name }: Visitor): CSSProperties {
  return { '--hue': HUES[name.split(' ')[0] ?? ''] ?? 220 } as CSSProperties;
}

function pick(from: readonly string[]): string {
  return from[Math.floor(Math.random() * from.length)] ?? '';
}
