import type { Queryable } from '../db/types.ts';
import { pendingIndexName } from '../sql/exchange.ts';
import { quoteIdentifier } from '../sql/identifiers.ts';
import { embeddableSql, notEmbeddedSql, notQuarantinedSql, pendingSql } from '../sql/pending.ts';
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
  /** The rest of the condition. */
  readonly filter: string | undefined;
}

/** Rows that the new model has yet to embed; under NOT NULL also those that it never will, empty texts and quarantined ones. */
export function missingNewVectors(
  target: VectorTarget,
  modelId: number | null,
  options: { readonly migrationId: string; readonly notNull: boolean },
): MissingRows {
  const alias = quoteIdentifier(target.table);
  // Ids begin at 1: before the first run every row is missing.
  const id = modelId ?? 0;
  if (options.notNull) return { target, indexed: notEmbeddedSql(target, alias, id), filter: undefined };
  const filter = notQuarantinedSql(target, alias, options.migrationId);
  if (typeof target.text !== 'string' && !target.text.immutable) {
    // Postgres takes no such text in an index: what stays in it is a little more, the rows without a text.
    const indexed = notEmbeddedSql(target, alias, id);
    return { target, indexed, filter: `${embeddableSql(target, alias)} AND ${filter}` };
  }
  return { target, indexed: pendingSql(target, alias, id), filter };
}

/** Rows with a text but without an old vector: written after the swap. */
export function missingOldVectors(kept: VectorTarget): MissingRows {
  const alias = quoteIdentifier(kept.table);
  return {
    target: kept,
    indexed: `${alias}.${quoteIdentifier(kept.column)} IS NULL`,
    filter: embeddableSql(kept, alias),
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

/**
 * A partial index over the missing rows, so that looking for them under the lock is instant on a table of any size.
 *
 * @returns its name, or undefined where the table is small, or embedded and nobody waits
 */
export async function createPendingIndex(ctx: MigrationContext, missing: MissingRows): Promise<string | undefined> {
  const name = pendingIndexName(ctx.definition.id);
  const { target } = missing;
  await dropIndexConcurrently(ctx, target.schema, name);
  const { rows } = await ctx.db.query<{ bytes: number }>(
    'SELECT pg_catalog.pg_relation_size(pg_catalog.to_regclass($1))::float8 AS bytes',
    [tableSql(target)],
  );
  if (ctx.db.embedded || (rows[0]?.bytes ?? 0) < INDEX_FROM_BYTES) return undefined;
  await buildIndex(ctx, {
    schema: target.schema,
    table: target.table,
    name,
    label: name,
    definition: {
      unique: false,
      method: 'btree',
      keys: target.key.map((column) => quoteIdentifier(column.name)).join(', '),
      include: undefined,
      nullsNotDistinct: false,
      options: {},
      predicate: missing.indexed,
    },
    memoryBytes: undefined,
    step: 'cut-over',
  });
  return name;
}
