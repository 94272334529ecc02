import { extname } from 'node:path';
import { median } from '../../bench/statistics.ts';
import type { Queryable } from '../../db/types.ts';
import { ConfigError, messageOf } from '../../errors.ts';
import { plural } from '../../plural.ts';
import { type Line, readLines } from '../../providers/read-lines.ts';
import { countPagesSql } from '../../sql/relation-size.ts';
import { tableSql, type VectorTarget } from '../../sql/target.ts';
import { sampleVectorsSql } from '../../sql/tuning-sample.ts';
import { decodeVector } from '../../vector/binary.ts';
import { seededRandom } from '../../vector/random.ts';

/** A vector to search for. */
export interface TuningQuery {
  readonly vector: Float32Array;
  /** The row that it comes from, which is no answer to itself; its key's values as text. */
  readonly own: readonly string[] | undefined;
}

/** Pages of the table that are looked at: some MB, whatever its size. */
const SAMPLED_PAGES = 2_000;

/** The percentage of a table's pages in which a sample is drawn; all of a table that is small enough. */
export async function samplePercentage(db: Queryable, target: VectorTarget, pages = SAMPLED_PAGES): Promise<number> {
  const { rows } = await db.query<{ pages: number }>(countPagesSql(), [tableSql(target)]);
  return Math.min(100, (100 * pages) / Math.max(1, rows[0]?.pages ?? 1));
}

/**
 * Stored vectors of random rows, moved off their place: no model is needed, and each is asked for its neighbours, its own row left out.
 * Where they are, an index finds their neighbours far more easily than those of a question: a graph leads from node to node.
 */
export async function sampleQueryVectors(
  db: Queryable,
  target: VectorTarget,
  limit: number,
  seed: number,
): Promise<TuningQuery[]> {
  return withNoise(await sampleStoredVectors(db, target, limit, seed), seed);
}

/**
 * Adds to each vector one of random direction, as long as two rows of the sample are apart in the median. With 21,860 windows of text and
 * all-MiniLM-L6-v2 that made recall what it was for titles, where it was up to six hundredths better without.
 */
export function withNoise(queries: readonly TuningQuery[], seed: number): TuningQuery[] {
  const apart = queries.map(({ vector }, i) => distance(vector, queries[(i + 1) % queries.length]?.vector ?? vector));
  const length = median(apart);
  const random = seededRandom(seed);
  const normal = (): number => Math.sqrt(-2 * Math.log(1 - random())) * Math.cos(2 * Math.PI * random());
  return queries.map(({ vector, own }) => {
    const noise = Float64Array.from(vector, normal);
    const scale = length / Math.hypot(...noise);
    return { vector: vector.map((value, i) => value + scale * (noise[i] ?? 0)), own };
  });
}

function distance(a: Float32Array, b: Float32Array): number {
  return Math.hypot(...a.map((value, i) => value - (b[i] ?? 0)));
}

/** Stored vectors of random rows as they are. */
export async function sampleStoredVectors(
  db: Queryable,
  target: VectorTarget,
  limit: number,
  seed: number,
): Promise<TuningQuery[]> {
  const share = await samplePercentage(db, target);
  const { rows } = await db.query<Record<string, unknown> & { vector: Buffer }>(sampleVectorsSql(target), [
    share,
    seed,
    limit,
  ]);
  return rows
    .map((row) => ({ vector: decodeVector(row.vector), own: target.key.map((_, i) => String(row[`k${i}`])) }))
    .filter(({ vector }) => vector.some((value) => value !== 0));
}

/** A handful that all find everything would have an interval of no width. */
const LEAST_QUERIES = 20;

/**
 * The first `limit` queries of a file: JSON lines with `query` (or `text`), else a query a line.
 *
 * @throws ConfigError `queries_unreadable`, `queries_invalid`, `queries_few`
 */
export async function readQueryTexts(path: string, limit: number): Promise<string[]> {
  const texts: string[] = [];
  const isJson = ['.jsonl', '.ndjson', '.json'].includes(extname(path).toLowerCase());
  try {
    for await (const line of readLines(path)) {
      texts.push(isJson ? queryOf(path, line) : line.text.trim());
      if (texts.length === limit) break;
    }
  } catch (cause) {
    if (cause instanceof ConfigError) throw cause;
    throw queriesError('queries_unreadable', `The queries ${path} cannot be read: ${messageOf(cause)}.`, cause);
  }
  if (texts.length >= Math.min(limit, LEAST_QUERIES)) return texts;
  throw queriesError(
    'queries_few',
    `The file ${path} holds ${texts.length} ${plural(texts.length, 'query', 'queries')}, at least ${LEAST_QUERIES} were expected.`,
  );
}

function queryOf(path: string, line: Line): string {
  let value: unknown;
  try {
    value = JSON.parse(line.text);
  } catch (cause) {
    throw queriesError('queries_invalid', `Line ${line.number} of ${path} is not JSON: ${messageOf(cause)}.`, cause);
  }
  const { query, text } = (value ?? {}) as { readonly query?: unknown; readonly text?: unknown };
  const found = query ?? text;
  if (typeof found === 'string' && found.trim() !== '') return found;
  throw queriesError('queries_invalid', `Line ${line.number} of ${path} has no "query" with a text in it.`);
}

function queriesError(code: string, message: string, cause?: unknown): ConfigError {
  return new ConfigError(code, message, {
    step: 'tune',
    hint: 'Give --queries a file with a query a line, or JSON lines with "query"; without it stored vectors are searched for.',
    ...(cause === undefined ? {} : { cause }),
  });
}
