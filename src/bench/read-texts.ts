import { stat } from 'node:fs/promises';
import { extname } from 'node:path';
import { ConfigError, messageOf } from '../errors.ts';
import { type Line, readLines } from '../providers/read-lines.ts';

export interface BenchText {
  readonly text: string;
  /** What somebody who searches for the text might ask. */
  readonly title: string | undefined;
}

const JSON_EXTENSIONS = ['.jsonl', '.ndjson', '.json'];

/**
 * The first `limit` texts of a file: JSON lines with `text` and, where there is one, `title`, or else a text a line. It is
 * JSON by the file's name, or when the first line begins with `{`. Blank texts are left out.
 * @throws ConfigError `texts_missing`, `texts_empty`, `texts_invalid`
 */
export async function readBenchTexts(path: string, limit: number): Promise<readonly BenchText[]> {
  const entry = await stat(path).catch((cause: unknown) => {
    throw textsError('texts_missing', `The texts ${path} cannot be read: ${messageOf(cause)}.`, cause);
  });
  if (!entry.isFile()) throw textsError('texts_missing', `The texts ${path} are not a file.`);
  const texts: BenchText[] = [];
  let json = JSON_EXTENSIONS.includes(extname(path).toLowerCase());
  let first = true;
  for await (const line of readLines(path)) {
    if (first) json ||= line.text.trimStart().startsWith('{');
    first = false;
    const found = json ? parseLine(path, line) : { text: line.text.trim(), title: undefined };
    if (found.text.trim() !== '') texts.push(found);
    if (texts.length === limit) break;
  }
  if (texts.length > 0) return texts;
  throw textsError('texts_empty', `The file ${path} holds no text, at least one was expected.`);
}

function parseLine(path: string, line: Line): BenchText {
  let value: unknown;
  try {
    value = JSON.parse(line.text);
  } catch (cause) {
    throw textsError('texts_invalid', `Line ${line.number} of ${path} is not JSON: ${messageOf(cause)}.`, cause);
  }
  const { text, title } = (value ?? {}) as { readonly text?: unknown; readonly title?: unknown };
  if (typeof text !== 'string') {
    throw textsError('texts_invalid', `Line ${line.number} of ${path} has no "text" of type string.`);
  }
  return { text, title: typeof title === 'string' && title.trim() !== '' ? title : undefined };
}

function textsError(code: string, message: string, cause?: unknown): ConfigError {
  return new ConfigError(code, message, {
    step: 'configuration',
    hint: 'Run "reembed bench --texts FILE" with lines of JSON, { "text": "…" } and if you like "title", or with a text a line.',
    ...(cause === undefined ? {} : { cause }),
  });
}
