// When this process got no turn for long: its clients and networks were silent then, and a server may rightly have given them up.
const TICK_MS = 100;
const NAP_MS = 600;

/** The times at which it fell silent. */
export const naps = [];

let last = Date.now();
setInterval(() => {
  const now = Date.now();
  if (now - last > NAP_MS) naps.push(last);
  last = now;
}, TICK_MS).unref();
