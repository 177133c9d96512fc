// Fails when an entry of the built package, minified with its dependencies but React, is larger than its budget.
import { gzipSync } from 'node:zlib';
import { rolldown } from 'rolldown';

/** Bytes after gzip. Raise one only together with what it buys. */
const BUDGETS = { 'dist/core.js': 37_200, 'dist/index.js': 39_150 };

let failed = false;
for (const [input, budget] of Object.entries(BUDGETS)) {
  const bundle = await rolldown({ input, external: [/^react/], platform: 'browser' });
  const { output } = await bundle.generate({ format: 'esm', minify: true, codeSplitting: false });
  const bytes = gzipSync(output.map((chunk) => chunk.code ?? '').join('')).length;
  const over = bytes > budget;
  failed ||= over;
  console.log(`${input}: ${bytes} of ${budget} bytes${over ? ' — over budget' : ''}`);
}
process.exitCode = failed ? 1 : 0;
