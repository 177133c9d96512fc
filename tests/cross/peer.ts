// The peer of tests/examples/cross.rs in Node: the client's own codecs read each frame, and write it again in both formats.
import { readFileSync } from 'node:fs';
import { encodeEnvelope } from '../../wse-client-ts/src/core/envelope';
import { decodeFrame } from '../../wse-client-ts/src/core/frames';
import { pack } from '../../wse-client-ts/src/core/msgpack-encode';

const PACKED = new TextEncoder().encode('M:');

function answer(line: string): string {
  const body = Buffer.from(line, 'hex');
  const binary = body.subarray(0, 2).equals(PACKED);
  const data = binary ? new Uint8Array(body).buffer : body.toString('utf8');
  const { envelope } = decodeFrame(data, { format: binary ? 'msgpack' : 'json', compression: false, batch: false });
  return JSON.stringify({ json: encodeEnvelope(envelope), msgpack: Buffer.from(pack(envelope, PACKED)).toString('hex') });
}

const lines = readFileSync(0, 'utf8').split('\n').filter((line) => line !== '');
process.stdout.write(lines.map((line) => `${answer(line)}\n`).join(''));
