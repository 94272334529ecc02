import { readFile } from 'node:fs/promises';
import { z } from 'zod';
import { AdapterError, messageOf } from '../errors.ts';
import { entrySchema } from './entry-schema.ts';
import type { ProjectionEntry } from './types.ts';

const VERSION = 1;
const versionSchema = z.looseObject({ version: z.number().int().positive() });
const registrySchema = z.strictObject({
  version: z.literal(VERSION),
  projections: z.array(entrySchema).refine((entries) => new Set(entries.map(({ id }) => id)).size === entries.length, {
    message: 'two of them have the same id',
  }),
});

/** The entries of a `registry.json`; none where there is no such file. @throws AdapterError `registry_invalid`, `registry_newer` */
export async function readRegistry(path: string): Promise<readonly ProjectionEntry[]> {
  const content = await readFile(path, 'utf8').catch((cause: unknown) => {
    if (cause instanceof Error && 'code' in cause && (cause.code === 'ENOENT' || cause.code === 'ENOTDIR'))
      return undefined;
    throw invalid(path, messageOf(cause), cause);
  });
  if (content === undefined) return [];
  let value: unknown;
  try {
    value = JSON.parse(content);
  } catch (cause) {
    throw invalid(path, messageOf(cause), cause);
  }
  const { data: head } = versionSchema.safeParse(value);
  if (head !== undefined && head.version > VERSION) throw newer(path, head.version);
  const parsed = registrySchema.safeParse(value);
  if (parsed.success) return parsed.data.projections;
  const issues = parsed.error.issues.map((issue) => `${issue.path.join('.') || 'the document'}: ${issue.message}`);
  throw invalid(path, issues.join('; '));
}

/** As `readRegistry` reads it, by id. */
export function registryText(entries: readonly ProjectionEntry[]): string {
  const projections = [...entries].sort((a, b) => (a.id < b.id ? -1 : 1));
  return `${JSON.stringify({ version: VERSION, projections }, null, 2)}\n`;
}

function newer(path: string, version: number): AdapterError {
  return new AdapterError('registry_newer', `${path} is of version ${version}, this reembed knows ${VERSION}.`, {
    step: 'adapter',
    hint: 'Update reembed where it is used with this directory, or name another one with REEMBED_PROJECTIONS_DIR.',
    context: { path, observed: version, expected: VERSION },
  });
}

function invalid(path: string, problem: string, cause?: unknown): AdapterError {
  return new AdapterError('registry_invalid', `${path} is no registry of projections: ${problem}.`, {
    step: 'adapter',
    hint: 'Take it back from your repository or a backup, or move it away and run "reembed adapter import" with each of its .safetensors files.',
    context: { path },
    ...(cause === undefined ? {} : { cause }),
  });
}
