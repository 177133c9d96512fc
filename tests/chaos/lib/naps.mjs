// When this process got no turn for long: its clients and networks were silent then, and a server may rightly have given them up. Where it was the whole machine
// that stood still, its workers were not heard of either.
const TICK_MS = 100;
const NAP_MS = 600;

/** The times at which it fell silent, and at which it went on. */
export const naps = [];

let last = Date.now();
setInterval(() => {
  const now = Date.now();
  if (now - last > NAP_MS) naps.push({ from: last, to: now });
  last = now;
}, TICK_MS).unref();
