// One line per test while they run, the failures in full, and the count alone on the last line.
import { relative } from 'node:path';
import { ROOT } from './paths.mjs';

export default async function* report(events) {
  const failures = [];
  let passed = 0;
  for await (const { type, data } of events) {
    if (type === 'test:diagnostic' && data.nesting > 0) yield `      ${data.message}\n`;
    if (type !== 'test:pass' && type !== 'test:fail') continue;
    const isFile = data.nesting === 0 && /\.test\.mjs$/.test(data.name);
    const isSuite = data.details?.type === 'suite';
    const hookFailed = type === 'test:fail' && data.details.error?.failureType === 'hookFailed';
    if ((isSuite && !hookFailed) || (isFile && (type === 'test:pass' || data.details.error?.failureType === 'subtestsFailed'))) continue;
    if (type === 'test:pass' && data.skip !== undefined) {
      yield `    - ${data.name}: not run: ${data.skip}\n`;
      continue;
    }
    const line = `${data.name} (${(data.details.duration_ms / 1000).toFixed(1)} s)`;
    if (type === 'test:pass') {
      passed += 1;
      yield `    ok ${line}\n`;
    } else {
      failures.push(data);
      yield `    FAILED ${line}\n`;
    }
  }
  for (const { name, file, details } of failures) {
    const cause = details.error?.cause ?? details.error;
    yield `\n--- ${file ? relative(ROOT, file) : ''}: ${name}\n${cause?.stack ?? cause}\n`;
  }
  yield `\n${passed} passed, ${failures.length} failed\n`;
}
