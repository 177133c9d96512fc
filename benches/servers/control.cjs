// What the runner tells a server on its standard input, and what that does with it; README.md says what the lines mean.
'use strict';
const readline = require('node:readline');

const MARK = '@@';
const MOST_DUE = 256;

exports.READY = 'ready';
exports.port = Number(process.argv[process.argv.indexOf('--port') + 1]);
exports.wantsEcho = (text) => text.startsWith(MARK, 1);

// JSON strings of `size` bytes that begin with their number and the time.
function messages(first, count, size) {
  const time = process.hrtime.bigint().toString(16).padStart(16, '0');
  const behind = time + 'x'.repeat(size - MARK.length - 8 - 16 - 2) + '"';
  return Array.from({ length: count }, (_, n) => `"${MARK}${(first + n).toString(16).padStart(8, '0')}${behind}`);
}

// Calls publish(messages), one turn's worth of JSON strings at a time; `handled` is for the server to count in.
exports.control = (publish) => {
  const state = { handled: 0, running: false, burst: 1, size: 128, rate: 0, credit: 0, published: 0, began: 0n, timer: null };
  const due = () => {
    if (!state.running) return 0;
    if (!state.rate) return Math.min(state.burst, Math.max(0, state.credit - state.published));
    const elapsed = Number(process.hrtime.bigint() - state.began);
    return Math.min(MOST_DUE, Math.max(0, 1 + Math.floor((elapsed * state.rate) / 1e9) - state.published));
  };
  const pump = () => {
    state.timer = null;
    const count = due();
    if (count > 0) {
      publish(messages(state.published, count, state.size));
      state.published += count;
      state.timer = setImmediate(pump);
    } else if (state.running && state.rate) {
      state.timer = setTimeout(pump, 1);
    }
  };
  const commands = {
    publish: (burst, size, rate) =>
      Object.assign(state, { burst, size, rate, credit: 0, published: 0, running: true, began: process.hrtime.bigint() }),
    credit: (most) => Object.assign(state, { credit: most }),
    stop: () => {
      state.running = false;
      console.log(JSON.stringify({ published: state.published }));
    },
    count: () => console.log(JSON.stringify({ handled: state.handled })),
  };
  readline.createInterface({ input: process.stdin }).on('line', (line) => {
    const [verb, ...numbers] = line.split(' ');
    commands[verb]?.(...numbers.map(Number));
    if (state.timer === null) pump();
  }).on('close', () => process.exit(0));
  return state;
};
