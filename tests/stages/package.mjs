// The Python package of a copy, with an engine that is not optimized: where PYTHONPATH finds it before the installed one.
import { cpSync } from 'node:fs';
import { join } from 'node:path';
import { run } from '../chaos/mutations/copy.mjs';

/** Builds it into the copy's folder `site`. */
export function buildPackage(copy) {
  run(copy, 'cargo', ['build', '--locked', '--quiet', '-p', 'wse-python'], { CARGO_TARGET_DIR: join(copy, 'target') });
  const place = join(copy, 'site/wse_server');
  cpSync(join(copy, 'wse-python/python/wse_server'), place, { recursive: true });
  cpSync(join(copy, 'target/debug/lib_native.so'), join(place, '_native.abi3.so'));
}
