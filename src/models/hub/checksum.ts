import { createHash } from 'node:crypto';
import { createReadStream } from 'node:fs';
import { pipeline } from 'node:stream/promises';
import { sha256OfFile } from '../manifest.ts';
import type { Checksum } from './model-info.ts';

/** Hash of a file's content as `algorithm` makes it, read as a stream. */
export async function checksumOf(path: string, bytes: number, algorithm: Checksum['algorithm']): Promise<string> {
  if (algorithm === 'sha256') return sha256OfFile(path);
  // Source: Git's object format, "blob <size>\0" before the content.
  const hash = createHash('sha1').update(`blob ${bytes}\0`);
  await pipeline(createReadStream(path), hash);
  return hash.digest('hex');
}
