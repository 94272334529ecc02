import { readFile } from 'node:fs/promises';
import { join } from 'node:path';
import type { z } from 'zod';
import { ModelError, messageOf } from '../errors.ts';

/**
 * A JSON file of a model's directory, checked against `schema`; undefined where the file does not exist.
 * @throws ModelError naming the file and each field that is not as expected.
 */
export async function readJsonFile<T>(directory: string, name: string, schema: z.ZodType<T>): Promise<T | undefined> {
  const path = join(directory, name);
  let content: string;
  try {
    content = await readFile(path, 'utf8');
  } catch (cause) {
    if (isMissing(cause)) return undefined;
    throw new ModelError('model_file_unreadable', `Could not read ${path}: ${messageOf(cause)}.`, { cause });
  }
  const parsed = schema.safeParse(parseJson(path, content));
  if (parsed.success) return parsed.data;
  const problems = parsed.error.issues.map((issue) => `${issue.path.join('.') || 'the document'}: ${issue.message}`);
  throw new ModelError('model_config_invalid', `${path} is not as expected: ${problems.join('; ')}.`, {
    hint: 'Copy the file again from where the model was published.',
  });
}

function parseJson(path: string, content: string): unknown {
  try {
    return JSON.parse(content);
  } catch (cause) {
    throw new ModelError('model_config_invalid', `${path} is not JSON: ${messageOf(cause)}.`, {
      hint: 'Copy the file again from where the model was published; it may have been cut short.',
      cause,
    });
  }
}

function isMissing(error: unknown): boolean {
  return error instanceof Error && 'code' in error && (error.code === 'ENOENT' || error.code === 'ENOTDIR');
}
