import { readIndexes } from '../db/catalog.ts';
import { tableSizeSql } from '../sql/relation-size.ts';
import type { MigrationContext } from '../state/context.ts';
import { type Corpus, readCorpus } from '../state/keyword.ts';
import { resolveMigration } from '../state/resolve.ts';

/** What a keyword search stands on: the counts, where there are any, and the rest. */
export interface KeywordStatus extends Partial<Corpus> {
  readonly table: string;
  readonly index: 'ready' | 'missing' | 'invalid';
  /** Of the index, its partitions' included. */
  readonly indexBytes: number | undefined;
  /** The planner's estimate of the table's rows now; undefined where it was never analysed. */
  readonly rows: number | undefined;
  /** Installed extensions with a BM25 of their own: never used unless asked for. */
  readonly extensions: readonly string[];
}

/** @throws PreflightError `not_expanded` before 005 */
export async function readKeywordStatus(ctx: MigrationContext): Promise<KeywordStatus> {
  const { table } = await resolveMigration(ctx, { withoutText: true });
  const corpus = await readCorpus(ctx.db, ctx.runtime.stateSchema, ctx.definition.id);
  const index = (await readIndexes(ctx.db, [table.oid])).find(({ name }) => name === corpus?.indexName);
  const { rows } = await ctx.db.query<{ extension: string }>(
    `SELECT extname AS extension FROM pg_catalog.pg_extension WHERE extname IN ('pg_search', 'vchord_bm25') ORDER BY 1`,
  );
  return {
    ...corpus,
    table: `${table.schema}.${table.name}`,
    index: index === undefined ? 'missing' : index.valid ? 'ready' : 'invalid',
    indexBytes: index === undefined ? undefined : await readBytes(ctx, index.oid),
    rows: table.estimatedRows < 0 ? undefined : table.estimatedRows,
    extensions: rows.map(({ extension }) => extension),
  };
}

async function readBytes({ db }: MigrationContext, oid: number): Promise<number> {
  const { rows } = await db.query<{ bytes: number }>(
    `SELECT (${tableSizeSql('pg_relation_size', '$1::oid')})::float8 AS bytes`,
    [oid],
  );
  return rows[0]?.bytes ?? 0;
}
