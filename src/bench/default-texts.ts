import { existsSync } from 'node:fs';
import { join } from 'node:path';
import { ConfigError } from '../errors.ts';
import { packageRoot } from '../models/package-root.ts';

/**
 * The example corpus of the repository.
 * @throws ConfigError `texts_not_named` in an installed package, which does not carry it
 */
export function defaultTexts(root: string = packageRoot()): string {
  const path = join(root, 'examples', 'postgres-docs', 'passages.jsonl');
  if (existsSync(path)) return path;
  throw new ConfigError('texts_not_named', 'No texts were named, and the package does not carry the example corpus.', {
    step: 'configuration',
    hint: 'Run "reembed bench --texts FILE" with lines of JSON, { "text": "…" } and if you like "title", or with a text a line.',
  });
}
