import type { Queryable } from '../db/types.ts';
import { pendingIndexName } from '../sql/exchange.ts';
import { fitIdentifier, quoteIdentifier, quoteQualified } from '../sql/identifiers.ts';
import { embeddableSql, notEmbeddedSql, notQuarantinedSql, pendingSql } from '../sql/pending.ts';
import { tableTreeSql } from '../sql/relation-size.ts';
import { tableSql, type VectorTarget } from '../sql/target.ts';
import type { MigrationContext } from '../state/context.ts';
import { buildIndex, dropIndexConcurrently } from './build-index.ts';

/** A table smaller than this is read under the lock faster than anybody notices. */
const INDEX_FROM_BYTES = 8 * 2 ** 20;

/** Rows that have no vector in the column that is to come in. */
export interface MissingRows {
  readonly target: VectorTarget;
  /** What a partial index can hold: constants only, columns qualified with the table's name. */
  readonly indexed: string;
  /** The same for the index of a partition. */
  readonly indexedOn: (table: string) => string;
  /** The rest of the condition. */
  readonly filter: string | undefined;
}

/** Rows that the new model has yet to embed; under NOT NULL also those that it never will, empty texts and quarantined ones. */
export function missingNewVectors(
  target: VectorTarget,
  modelId: number | null,
  options: { readonly migrationId: string; readonly notNull: boolean },
): MissingRows {
  // Ids begin at 1: before the first run every row is missing.
  const id = modelId ?? 0;
  const alias = quoteIdentifier(target.table);
  // Postgres takes a text that is not immutable in no index: what stays in it is a little more, the rows without a text.
  const isIndexable = typeof target.text === 'string' || target.text.immutable;
  const indexedOn = (table: string): string =>
    options.notNull || !isIndexable
      ? notEmbeddedSql(target, quoteIdentifier(table), id)
      : pendingSql(target, quoteIdentifier(table), id);
  const indexed = indexedOn(target.table);
  if (options.notNull) return { target, indexed, indexedOn, filter: undefined };
  const filters = [
    ...(isIndexable ? [] : [embeddableSql(target, alias)]),
    notQuarantinedSql(target, alias, options.migrationId),
  ];
  return { target, indexed, indexedOn, filter: filters.join(' AND ') };
}

/** Rows with a text but without an old vector: written after the swap. */
export function missingOldVectors(kept: VectorTarget): MissingRows {
  const indexedOn = (table: string): string => `${quoteIdentifier(table)}.${quoteIdentifier(kept.column)} IS NULL`;
  return {
    target: kept,
    indexed: indexedOn(kept.table),
    indexedOn,
    filter: embeddableSql(kept, quoteIdentifier(kept.table)),
  };
}

/** Counts missing rows, to `limit` at most. */
export async function countMissing(db: Queryable, missing: MissingRows, limit: number): Promise<number> {
  return countWhere(db, missing, [missing.indexed, ...(missing.filter === undefined ? [] : [missing.filter])], limit);
}

/** True when a row has NULL in the column, whatever its text. */
export async function hasNulls(db: Queryable, missing: MissingRows): Promise<boolean> {
  return (await countWhere(db, missing, [missing.indexed], 1)) > 0;
}

async function countWhere(
  db: Queryable,
  missing: MissingRows,
  where: readonly string[],
  limit: number,
): Promise<number> {
  const { rows } = await db.query<{ count: number }>(
    `SELECT pg_catalog.count(*)::float8 AS count FROM (
       SELECT 1 FROM ${tableSql(missing.target)} WHERE ${where.join(' AND ')} LIMIT ${limit}) m`,
  );
  return rows[0]?.count ?? 0;
}

export interface PendingIndex {
  readonly schema: string;
  readonly name: string;
}

interface Part {
  readonly oid: number;
  readonly schema: string;
  readonly name: string;
  readonly bytes: number;
}

/**
 * A partial index over the missing rows, so that looking for them under the lock is instant on a table of any size. On a partitioned table each
 * partition gets one that stands alone: that is all the planner asks for, and it is dropped without the others.
 *
 * @returns none where the table is small, or embedded and nobody waits
 */
export async function createPendingIndexes(ctx: MigrationContext, missing: MissingRows): Promise<PendingIndex[]> {
  const created: PendingIndex[] = [];
  for (const part of await readParts(ctx, missing.target)) {
    const suffix = part.name === missing.target.table && part.schema === missing.target.schema ? '' : `_${part.oid}`;
    const index = { schema: part.schema, name: fitIdentifier(pendingIndexName(ctx.definition.id), suffix) };
    if (await isThere(ctx, index)) await dropIndexConcurrently(ctx, index.schema, index.name);
    if (ctx.db.embedded || part.bytes < INDEX_FROM_BYTES) continue;
    await buildPendingIndex(ctx, missing, part, index.name);
    created.push(index);
  }
  return created;
}

async function isThere(ctx: MigrationContext, { schema, name }: PendingIndex): Promise<boolean> {
  const { rows } = await ctx.db.query<{ there: boolean }>('SELECT pg_catalog.to_regclass($1) IS NOT NULL AS there', [
    quoteQualified(schema, name),
  ]);
  return rows[0]?.there === true;
}

/** The table, or all its partitions that have rows. */
async function readParts(ctx: MigrationContext, target: VectorTarget): Promise<Part[]> {
  const { rows } = await ctx.db.query<Part>(
    `SELECT c.oid, n.nspname AS schema, c.relname AS name, pg_catalog.pg_relation_size(c.oid)::float8 AS bytes
     FROM pg_catalog.pg_class c JOIN pg_catalog.pg_namespace n ON n.oid = c.relnamespace
     WHERE c.oid IN ${tableTreeSql('pg_catalog.to_regclass($1)::oid')} AND c.relkind = 'r' ORDER BY c.oid`,
    [tableSql(target)],
  );
  return rows;
}

async function buildPendingIndex(
  ctx: MigrationContext,
  { target, indexedOn }: MissingRows,
  part: Part,
  name: string,
): Promise<void> {
  await buildIndex(ctx, {
    schema: part.schema,
    table: part.name,
    name,
    label: name,
    definition: {
      unique: false,
      method: 'btree',
      keys: target.key.map((column) => quoteIdentifier(column.name)).join(', '),
      include: undefined,
      nullsNotDistinct: false,
      options: {},
      predicate: indexedOn(part.name),
    },
    memoryBytes: undefined,
    step: 'cut-over',
  });
}
