// The pages of the client's tests, built.
import { join } from 'node:path';
import { build } from 'vite';
import { temporaryFolder } from './fresh.mjs';
import { FIXTURES } from './paths.mjs';

/** Builds that of a fixture; the folder that it is in. */
export async function builtPage(fixture = 'client') {
  const outDir = temporaryFolder('page');
  await build({ root: join(FIXTURES, fixture, 'page'), logLevel: 'warn', build: { outDir, emptyOutDir: true, target: 'es2022' } });
  return outDir;
}
