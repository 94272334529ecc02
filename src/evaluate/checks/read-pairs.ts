import { ConfigError, messageOf } from '../../errors.ts';
import { type Line, readLines } from '../../providers/read-lines.ts';

/** Two texts that mean much the same, or do not. */
export interface TextPair {
  readonly a: string;
  readonly b: string;
  readonly similar: boolean;
}

/**
 * Pairs of texts from a JSONL file, `{ "a": "…", "b": "…", "similar": false }` a line; `similar` is true where it is not said.
 *
 * @throws ConfigError `pairs_missing`, `pairs_invalid`, `pairs_empty` (also of a file without a similar pair)
 */
export async function readPairs(path: string): Promise<readonly TextPair[]> {
  const pairs: TextPair[] = [];
  try {
    for await (const line of readLines(path)) pairs.push(parsePair(path, line));
  } catch (cause) {
    if (cause instanceof ConfigError) throw cause;
    throw pairsError('pairs_missing', `The pairs ${path} cannot be read: ${messageOf(cause)}.`, cause);
  }
  if (pairs.some(({ similar }) => similar)) return pairs;
  throw pairsError(
    'pairs_empty',
    `The file ${path} holds ${pairs.length} pairs, none of them similar; expected at least one that is.`,
  );
}

function parsePair(path: string, line: Line): TextPair {
  let value: unknown;
  try {
    value = JSON.parse(line.text);
  } catch (cause) {
    throw pairsError('pairs_invalid', `Line ${line.number} of ${path} is not JSON: ${messageOf(cause)}.`, cause);
  }
  const { a, b, similar = true } = (value ?? {}) as { readonly [K in keyof TextPair]?: unknown };
  if (isText(a) && isText(b) && typeof similar === 'boolean') return { a, b, similar };
  throw pairsError(
    'pairs_invalid',
    `Line ${line.number} of ${path} is ${shorten(line.text)}, expected texts "a" and "b", and "similar" true or false where it is there.`,
  );
}

function isText(value: unknown): value is string {
  return typeof value === 'string' && value.trim() !== '';
}

function shorten(text: string): string {
  return text.length > 80 ? `${text.slice(0, 79)}…` : text;
}

function pairsError(code: string, message: string, cause?: unknown): ConfigError {
  return new ConfigError(code, message, {
    step: 'configuration',
    hint: 'Give --pairs a file with a line like { "a": "machine learning", "b": "artificial intelligence" } for each pair.',
    ...(cause === undefined ? {} : { cause }),
  });
}
