import { existsSync } from 'node:fs';
import { readFile } from 'node:fs/promises';
import { dirname, join } from 'node:path';
import { ConfigError } from '../../errors.ts';

/** What the demo takes from the repository. */
export interface DemoFiles {
  /** The project with `knexfile.ts`, `reembed.config.ts` and the three migrations. */
  readonly project: string;
  readonly passages: string;
  /** The older vectors, as the provider `file` reads them. */
  readonly vectors: string;
}

export interface Passage {
  readonly id: string;
  readonly title: string;
  readonly text: string;
}

/** Finds the repository around this module; undefined in an installed package. */
export function findDemoFiles(start = import.meta.dirname): DemoFiles | undefined {
  for (let project = start; dirname(project) !== project; project = dirname(project)) {
    const passages = join(project, 'examples', 'postgres-docs', 'passages.jsonl');
    const vectors = join(project, 'examples', 'postgres-docs', 'vectors.json');
    if ([passages, vectors, join(project, 'knexfile.ts')].every((path) => existsSync(path)))
      return { project, passages, vectors };
  }
  return undefined;
}

/** @throws ConfigError `demo_files_missing` in an installed package */
export function requireDemoFiles(): DemoFiles {
  const files = findDemoFiles();
  if (files !== undefined) return files;
  throw new ConfigError(
    'demo_files_missing',
    'The demo runs in a clone of the repository: the package does not carry its example data.',
    {
      step: 'configuration',
      hint: 'Clone the repository, then run "npm ci && npm run demo" in it.',
    },
  );
}

/** @throws ConfigError `demo_files_missing` for a line that is not a passage */
export async function readPassages(path: string): Promise<Passage[]> {
  const lines = (await readFile(path, 'utf8')).split('\n').filter((line) => line !== '');
  return lines.map((line, i) => {
    const passage: unknown = JSON.parse(line);
    if (isPassage(passage)) return passage;
    throw new ConfigError('demo_files_missing', `Line ${i + 1} of ${path} is not a passage with id, title and text.`, {
      step: 'configuration',
      hint: 'Restore the file: git checkout -- examples/postgres-docs',
    });
  });
}

function isPassage(value: unknown): value is Passage {
  const { id, title, text } = (value ?? {}) as Partial<Record<keyof Passage, unknown>>;
  return [id, title, text].every((each) => typeof each === 'string' && each !== '');
}
