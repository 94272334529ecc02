import { extname } from 'node:path';
import { z } from 'zod';
import { ConfigError, messageOf } from '../../errors.ts';
import { readLines } from '../../providers/read-lines.ts';
import type { EvaluationQuery, GradedKey } from './types.ts';

const scalar = z.union([z.string().min(1), z.number(), z.boolean()]);
const key = z.union([scalar, z.array(scalar).min(1)]);
const grade = z.number().min(0).max(1_000_000);
const relevant = z.union([z.array(z.union([key, z.strictObject({ key, grade })])), z.record(z.string().min(1), grade)]);
const lineSchema = z.strictObject({
  query: z.string().regex(/\S/),
  relevant: relevant.optional(),
  slice: z.string().min(1).optional(),
});

const EXPECTED =
  '{ "query": "…", "relevant": [key, …], "slice": "…" }, where relevant may also be [{ "key": …, "grade": … }] or { "key": grade }, or be missing';

/**
 * Reads queries: `.jsonl` (or `.ndjson`) with an object a line, `.txt` with a query a line and no answers.
 *
 * @param keyColumns how many columns the table's key has
 * @throws ConfigError `queries_unreadable`, `queries_invalid` with the line, what stands there and what is expected
 */
export async function readQueries(path: string, keyColumns: number): Promise<EvaluationQuery[]> {
  const form = extname(path).toLowerCase();
  if (!['.jsonl', '.ndjson', '.txt'].includes(form)) {
    throw invalid(`${path} is no file of queries: .jsonl (an object a line) or .txt (a query a line) is expected.`);
  }
  const queries: EvaluationQuery[] = [];
  try {
    for await (const { text, number } of readLines(path)) {
      const where = `${path} line ${number}`;
      queries.push(form === '.txt' ? { query: text.trim(), relevant: undefined } : readLine(text, where, keyColumns));
    }
  } catch (cause) {
    if (cause instanceof ConfigError) throw cause;
    const message = `The queries ${path} could not be read: ${messageOf(cause)}.`;
    throw new ConfigError('queries_unreadable', message, {
      step: 'inspect',
      hint: 'Name a file that is there with --queries (or REEMBED_QUERIES).',
      cause,
    });
  }
  if (queries.length === 0) throw invalid(`${path} holds no query, at least one line is expected.`);
  return queries;
}

function readLine(text: string, where: string, keyColumns: number): EvaluationQuery {
  let parsed: unknown;
  try {
    parsed = JSON.parse(text);
  } catch (cause) {
    throw invalid(`${where} is not JSON: ${messageOf(cause)}; expected is ${EXPECTED}.`, cause);
  }
  const result = lineSchema.safeParse(parsed);
  if (!result.success) throw invalid(`${where} is ${shown(text)}, expected is ${EXPECTED}.`, result.error);
  const { query, slice } = result.data;
  if (result.data.relevant === undefined) return { query, relevant: undefined, slice };
  const graded = gradedKeys(result.data.relevant).filter((each) => each.grade > 0);
  if (graded.length === 0) {
    throw invalid(`${where} names no relevant row, at least one is expected; leave "relevant" out where nobody knows.`);
  }
  const wrong = graded.find((each) => each.key.length !== keyColumns);
  if (wrong !== undefined) {
    const found = `${where} names the key ${JSON.stringify(wrong.key)} of ${wrong.key.length} values`;
    throw invalid(`${found}, the table's key has ${keyColumns}.`);
  }
  return { query, relevant: graded, slice };
}

function gradedKeys(given: z.infer<typeof relevant>): GradedKey[] {
  if (!Array.isArray(given)) return Object.entries(given).map(([each, grade]) => ({ key: [each], grade }));
  return given.map((each) => {
    if (typeof each === 'object' && !Array.isArray(each)) return { key: keyValues(each.key), grade: each.grade };
    return { key: keyValues(each), grade: 1 };
  });
}

function keyValues(given: z.infer<typeof key>): string[] {
  return (Array.isArray(given) ? given : [given]).map(String);
}

const SHOWN_CHARACTERS = 80;

function shown(text: string): string {
  return text.length > SHOWN_CHARACTERS ? `${text.slice(0, SHOWN_CHARACTERS - 1)}…` : text;
}

function invalid(message: string, cause?: unknown): ConfigError {
  return new ConfigError('queries_invalid', message, {
    step: 'inspect',
    hint: 'Correct the file; docs/evaluate.md shows one.',
    cause,
  });
}
