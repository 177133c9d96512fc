// Where things are, and the two built packages.
import { mkdirSync, readdirSync } from 'node:fs';
import { join, resolve } from 'node:path';
import { fileURLToPath } from 'node:url';

export const ROOT = resolve(fileURLToPath(new URL('../../..', import.meta.url)));
export const DASHBOARD = join(ROOT, 'examples/dashboard');
export const QUICKSTART = join(ROOT, 'examples/quickstart');
/** Files of tests: applications and pages that the examples do not have. */
export const FIXTURES = join(ROOT, 'tests/e2e/fixtures');
export const PYTHON = join(ROOT, '.venv/bin/python');
/** What tests leave behind: logs and pictures. */
export const OUT = join(ROOT, '.work/e2e');
mkdirSync(OUT, { recursive: true });

/** The one file in dist/ that the pattern names. */
export function distFile(pattern) {
  const found = readdirSync(join(ROOT, 'dist')).filter((name) => pattern.test(name));
  if (found.length !== 1) throw new Error(`dist/ must hold one file like ${pattern}, but holds ${found.length}: run tools/dist.sh`);
  return join(ROOT, 'dist', found[0]);
}
