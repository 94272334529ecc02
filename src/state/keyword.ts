import type { Queryable } from '../db/types.ts';
import { BusyError } from '../errors.ts';
import { textArrayLiteral } from '../sql/array-literal.ts';
import { quoteIdentifier } from '../sql/identifiers.ts';
import { addTermsSql } from '../sql/keyword-statistics.ts';

/** What a migration's keyword search stands on. */
export interface Corpus {
  /** A text search configuration, qualified and quoted. */
  readonly language: string;
  readonly indexName: string;
  /** Rows with a word, their words, and when they were counted; undefined while the first count is under way. */
  readonly documents: number | undefined;
  readonly tokens: number | undefined;
  readonly countedAt: string | undefined;
  /** Whether a count is under way, or was when its process ended. */
  readonly counting: boolean;
}

/** A count under way; a later one takes its place. */
export interface Count {
  readonly migrationId: string;
  readonly generation: number;
}

/** The migration's row, or undefined before the first build; in an older reembed's state too. */
export async function readCorpus(db: Queryable, stateSchema: string, migrationId: string): Promise<Corpus | undefined> {
  const table = `${quoteIdentifier(stateSchema)}.keyword_corpora`;
  // A table that is not there would end the transaction of whoever asks.
  const { rows: tables } = await db.query<{ found: boolean }>(
    'SELECT pg_catalog.to_regclass($1) IS NOT NULL AS found',
    [table],
  );
  if (tables[0]?.found !== true) return undefined;
  const { rows } = await db.query<{ [K in keyof Corpus]: Corpus[K] | null }>(
    `SELECT language, index_name AS "indexName", documents::float8 AS documents, tokens::float8 AS tokens, counted_at AS "countedAt", counting IS NOT NULL AS counting
     FROM ${table} WHERE migration_id = $1`,
    [migrationId],
  );
  const [row] = rows;
  if (row === undefined) return undefined;
  const { language, indexName, documents, tokens, countedAt, counting } = row;
  return {
    language: language ?? '',
    indexName: indexName ?? '',
    documents: documents ?? undefined,
    tokens: tokens ?? undefined,
    countedAt: countedAt ?? undefined,
    counting: counting === true,
  };
}

/** Begins a count beside what is there, and removes what counts that never ended have left. */
export async function beginCount(
  db: Queryable,
  stateSchema: string,
  migrationId: string,
  { language, indexName }: Pick<Corpus, 'language' | 'indexName'>,
): Promise<Count> {
  const s = quoteIdentifier(stateSchema);
  const { rows } = await db.query<{ counting: number }>(
    `INSERT INTO ${s}.keyword_corpora AS c (migration_id, language, index_name, generation, counting) VALUES ($1, $2, $3, 0, 1)
     ON CONFLICT (migration_id) DO UPDATE SET counting = GREATEST(c.generation, c.counting) + 1 RETURNING counting`,
    [migrationId, language, indexName],
  );
  await db.query(
    `DELETE FROM ${s}.keyword_terms k USING ${s}.keyword_corpora c WHERE k.migration_id = $1 AND c.migration_id = $1
       AND k.generation <> c.generation AND k.generation < c.counting`,
    [migrationId],
  );
  return { migrationId, generation: rows[0]?.counting ?? 1 };
}

/** Adds to a count, in a transaction. @throws BusyError `keyword_recounted` when a later count has begun */
export async function addToCount(
  tx: Queryable,
  stateSchema: string,
  count: Count,
  terms: ReadonlyMap<string, number>,
): Promise<void> {
  await assertCount(tx, stateSchema, count);
  if (terms.size === 0) return;
  await tx.query(addTermsSql(stateSchema), [
    count.migrationId,
    count.generation,
    textArrayLiteral([...terms.keys()]),
    `{${[...terms.values()].join(',')}}`,
  ]);
}

/** Puts a count in the place of the one before, in a transaction: a search sees the one or the other whole. */
export async function finishCount(
  tx: Queryable,
  stateSchema: string,
  count: Count,
  result: Required<Pick<Corpus, 'language' | 'indexName'>> & { readonly documents: number; readonly tokens: number },
): Promise<void> {
  await assertCount(tx, stateSchema, count);
  const s = quoteIdentifier(stateSchema);
  await tx.query(
    `UPDATE ${s}.keyword_corpora SET language = $2, index_name = $3, documents = $4::bigint, tokens = $5::bigint, counted_at = now(),
       generation = counting, counting = NULL WHERE migration_id = $1`,
    [count.migrationId, result.language, result.indexName, result.documents, result.tokens],
  );
  await tx.query(`DELETE FROM ${s}.keyword_terms WHERE migration_id = $1 AND generation <> $2::int`, [
    count.migrationId,
    count.generation,
  ]);
}

/** Forgets language, counts and all. */
export async function deleteCorpus(tx: Queryable, stateSchema: string, migrationId: string): Promise<void> {
  const s = quoteIdentifier(stateSchema);
  await tx.query(`DELETE FROM ${s}.keyword_terms WHERE migration_id = $1`, [migrationId]);
  await tx.query(`DELETE FROM ${s}.keyword_corpora WHERE migration_id = $1`, [migrationId]);
}

async function assertCount(tx: Queryable, stateSchema: string, { migrationId, generation }: Count): Promise<void> {
  const { rows } = await tx.query(
    `SELECT 1 FROM ${quoteIdentifier(stateSchema)}.keyword_corpora WHERE migration_id = $1 AND counting = $2::int FOR UPDATE`,
    [migrationId, generation],
  );
  if (rows.length > 0) return;
  throw new BusyError(
    'keyword_recounted',
    `Another process counts the words of "${migrationId}" since this one began, or dropped them.`,
    {
      hint: 'Let it finish; "reembed keyword status" shows when it has.',
    },
  );
}
