import { homedir } from 'node:os';
import { join } from 'node:path';

/** Where calibrations are kept unless `REEMBED_CACHE_DIR` says otherwise. */
export function defaultCacheDir(): string {
  return join(homedir(), '.cache', 'reembed');
}
