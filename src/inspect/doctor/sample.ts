import type { TableInfo } from '../../db/catalog-types.ts';
import type { Queryable } from '../../db/types.ts';
import { plural } from '../../plural.ts';
import { countPagesSql } from '../../sql/relation-size.ts';
import { tableSql, type VectorTarget } from '../../sql/target.ts';
import { seededOrderSql } from '../stored-vectors.ts';
import type { Examined } from './look.ts';

/** Rows that are looked at, unless all or another number are asked for. */
const SAMPLE_ROWS = 1_000;
/** Pages of the table that are read for them: 64 MB. A smaller table is read whole. */
const SAMPLE_PAGES = 8_192;

/** A set of rows as it stands in FROM, with alias `t`; its parameters are `$1` to `$4`, none for all rows. */
export interface SampledRows {
  readonly sql: string;
  readonly params: readonly unknown[];
}

/**
 * A sample that the seed decides, read from a bounded part of the table: random pages, of whose rows the first in an order by hash.
 *
 * @param where a condition on `t`
 */
export async function sampleRows(
  tx: Queryable,
  { full, seed, rows = SAMPLE_ROWS }: Pick<Examined, 'full' | 'seed'> & { readonly rows?: number },
  target: VectorTarget,
  where: string,
): Promise<SampledRows> {
  // A table without a key is told elsewhere; its rows are named by their place.
  const columns = target.key.some((column) => column.name === 'ctid') ? 't.ctid, t.*' : 't.*';
  if (full) return { sql: `(SELECT ${columns} FROM ${tableSql(target)} t WHERE ${where}) t`, params: [] };
  const pages = await countPages(tx, target);
  const share = Math.min(1, SAMPLE_PAGES / Math.max(1, pages));
  return {
    sql:
      `(SELECT ${columns} FROM ${tableSql(target)} t TABLESAMPLE SYSTEM ($3::float4) REPEATABLE ($4::float8) ` +
      `WHERE ${where} ORDER BY ${seededOrderSql(target)} LIMIT $2::bigint) t`,
    params: [String(seed), rows, 100 * share, seed],
  };
}

async function countPages(tx: Queryable, target: VectorTarget): Promise<number> {
  const { rows } = await tx.query<{ pages: number }>(countPagesSql(), [tableSql(target)]);
  return rows[0]?.pages ?? 0;
}

/** E.g. `of 600 sampled rows (seed 42)`, `of all 600 vectors`. */
export function scopeOf({ full, seed }: Pick<Examined, 'full' | 'seed'>, count: number, what: string): string {
  const things = plural(count, what);
  return full ? `of all ${count} ${things}` : `of ${count} sampled ${things} (seed ${seed})`;
}

/** The column as SQL about it needs it; rows of a table without a key are known by their place. */
export function targetOf(
  { ctx, table, extension, text = '' }: Pick<Examined, 'ctx' | 'extension' | 'text'> & { readonly table: TableInfo },
  column: { readonly name: string; readonly typeName: string; readonly dimensions: number | null },
): VectorTarget {
  return {
    schema: table.schema,
    table: table.name,
    key: table.key.length === 0 ? [{ name: 'ctid', type: 'tid' }] : table.key,
    text,
    column: column.name,
    provenance: undefined,
    vectorType: column.typeName === 'halfvec' ? 'halfvec' : 'vector',
    dimensions: column.dimensions ?? 0,
    vectorSchema: extension.schema,
    stateSchema: ctx.runtime.stateSchema,
  };
}
