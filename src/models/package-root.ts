import { existsSync, readFileSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { ModelError } from '../errors.ts';

/**
 * The directory of reembed's own package.json: the sources, both builds and an installed package lie at different depths below it.
 * @throws ModelError when reembed was bundled into another file, away from its package.
 */
export function packageRoot(from: string = import.meta.url): string {
  const start = dirname(fileURLToPath(from));
  for (let directory = start; ; directory = dirname(directory)) {
    if (isReembed(join(directory, 'package.json'))) return directory;
    if (dirname(directory) === directory) break;
  }
  throw new ModelError('package_root_missing', `No package.json of reembed lies above ${start}.`, {
    hint: 'Keep reembed out of your bundle (mark it as external): it needs its bundled model and its worker file on disk.',
  });
}

function isReembed(file: string): boolean {
  if (!existsSync(file)) return false;
  const content: unknown = JSON.parse(readFileSync(file, 'utf8'));
  return typeof content === 'object' && content !== null && 'name' in content && content.name === 'reembed';
}
