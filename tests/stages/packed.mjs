// The client of a copy, built and packed as users get it, where the copy's end-to-end tests find it.
import { cpSync, existsSync, readdirSync, symlinkSync } from 'node:fs';
import { join } from 'node:path';
import { ROOT, run } from '../chaos/mutations/copy.mjs';

/** Everything else serves the copy as it is built and installed already. */
export function installClient(copy) {
  const [client, installed] = ['wse-client-ts', 'tests/e2e/node_modules'].map((name) => join(copy, name));
  if (existsSync(installed)) return;
  for (const name of ['.venv', 'wse-client-ts/node_modules']) symlinkSync(join(ROOT, name), join(copy, name));
  run(client, 'npm', ['run', 'build', '--silent']);
  run(client, 'npm', ['pack', '--silent', '--pack-destination', copy]);
  cpSync(join(ROOT, 'tests/e2e/node_modules'), installed, { recursive: true });
  const packed = readdirSync(copy).find((name) => name.endsWith('.tgz'));
  run(copy, 'tar', ['xzf', packed, '-C', join(installed, 'wse-client'), '--strip-components=1']);
}
