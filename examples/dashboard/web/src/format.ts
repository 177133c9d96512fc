// How numbers and times are written.

/** A price with as many digits as its size needs; the same number of digits for the same instrument. */
export function price(value: number): string {
  const digits = value >= 1000 ? 2 : value >= 100 ? 2 : 3;
  return value.toLocaleString('en-US', { minimumFractionDigits: digits, maximumFractionDigits: digits });
}

/** A change with its sign: +1.24 %. */
export function percent(value: number, digits = 2): string {
  return `${value < 0 ? '−' : '+'}${Math.abs(value).toFixed(digits)} %`;
}

/** A duration in milliseconds. */
export function milliseconds(value: number): string {
  if (value < 1) return '<1 ms';
  return value < 10 ? `${value.toFixed(1)} ms` : `${Math.round(value).toLocaleString('en-US')} ms`;
}

/** Time of day. */
export function clock(at: number): string {
  return new Date(at).toLocaleTimeString('en-GB');
}

/** How long ago, roughly. */
export function ago(at: number, now: number): string {
  const seconds = Math.max(0, Math.round((now - at) / 1000));
  if (seconds < 3) return 'now';
  if (seconds < 60) return `${seconds} s`;
  return seconds < 3600 ? `${Math.floor(seconds / 60)} min` : `${Math.floor(seconds / 3600)} h`;
}
