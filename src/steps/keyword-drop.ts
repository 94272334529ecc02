import { readIndexes } from '../db/catalog.ts';
import type { IndexInfo, PartitionIndex, TableInfo } from '../db/catalog-types.ts';
import { readPartitions } from '../db/partitions.ts';
import type { Queryable } from '../db/types.ts';
import { wordsIndexPrefix } from '../sql/keyword-words.ts';
import type { MigrationContext } from '../state/context.ts';
import { deleteCorpus } from '../state/keyword.ts';
import { resolveMigration } from '../state/resolve.ts';
import { upgradeState } from '../state/state-version.ts';
import { dropIndexConcurrently } from '../swap/build-index.ts';
import { dropPartitionedIndex } from '../swap/build-partitioned-index.ts';

export interface KeywordDropResult {
  /** The indexes that were dropped. */
  readonly dropped: readonly string[];
}

/**
 * Drops the index of a keyword search, CONCURRENTLY, and the counts.
 *
 * @throws PreflightError `not_expanded` before 005; InterruptedError when the signal aborts
 */
export async function dropKeyword(ctx: MigrationContext): Promise<KeywordDropResult> {
  const { table } = await resolveMigration(ctx, { withoutText: true });
  await upgradeState(ctx, 'keyword');
  // First the counts: a search no longer asks for the index then.
  await ctx.db.transaction((tx) => deleteCorpus(tx, ctx.runtime.stateSchema, ctx.definition.id));
  return { dropped: await dropWordIndexes(ctx, table) };
}

/** Drops the migration's indexes over words, all or all but one; found by their names, unfinished ones too. */
export async function dropWordIndexes(
  ctx: MigrationContext,
  table: TableInfo,
  options: { readonly except?: string } = {},
): Promise<string[]> {
  const indexes = await readIndexes(ctx.db, [table.oid]);
  const names = wordIndexesOf(ctx, { indexes })
    .map(({ name }) => name)
    .filter((name) => name !== options.except);
  for (const name of names) {
    ctx.onProgress({ kind: 'step', step: 'keyword', message: `Dropping the index ${name}` });
    if (table.kind === 'p') await dropPartitionedIndex(ctx, table, name, 'keyword');
    else await dropIndexConcurrently(ctx, table.schema, name);
  }
  return names;
}

/** The migration's indexes over words, by their names. */
export function wordIndexesOf(
  ctx: Pick<MigrationContext, 'definition'>,
  table: Pick<TableInfo, 'indexes'>,
): readonly IndexInfo[] {
  return table.indexes.filter(({ name }) => name.startsWith(wordsIndexPrefix(ctx.definition.id)));
}

/** An index over words with its parts on the partitions. */
export async function readWordIndexes(
  db: Queryable,
  table: Pick<TableInfo, 'oid'>,
  name: string,
): Promise<readonly PartitionIndex[]> {
  const partitions = await readPartitions(db, table.oid);
  const indexes = await readIndexes(db, [table.oid, ...partitions.map(({ oid }) => oid)]);
  const found = indexes.filter((index) => index.name === name && index.tableOid === table.oid);
  for (let from = 0; from < found.length; from++) {
    found.push(...indexes.filter(({ parentOid }) => parentOid === found[from]?.oid));
  }
  return found;
}
