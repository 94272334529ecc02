import { quoteIdentifier, quoteQualified } from '../sql/identifiers.ts';
import { afterCursorSql } from '../sql/read-window.ts';
import { tableSql, type VectorTarget } from '../sql/target.ts';
import { type MigrationContext, throwIfStopped } from '../state/context.ts';
import { keyListSql, keyOf, orderSql, sampleSql } from './stored-vectors.ts';

export interface StoredSelection {
  /** What is read beside the key, e.g. `x AS vector`. */
  readonly columns: readonly string[];
  /** A condition on rows `t`. */
  readonly where: string;
  /** Undefined reads every row, in key order. */
  readonly sampleSize: number | undefined;
  /** Chooses the sample. */
  readonly seed: number;
}

export type StoredRow = Readonly<Record<string, unknown>> & { readonly key: readonly string[] };

const WINDOW_ROWS = 500;

/** Rows of the table, 500 at a time. */
export async function* readStored(
  ctx: MigrationContext,
  target: VectorTarget,
  selection: StoredSelection,
): AsyncGenerator<StoredRow[]> {
  const select = `SELECT ${[keyListSql(target, 't'), ...selection.columns].join(', ')} FROM ${tableSql(target)} t`;
  yield* selection.sampleSize === undefined
    ? allRows(ctx, target, select, selection.where)
    : sampledRows(ctx, target, select, { ...selection, sampleSize: selection.sampleSize });
}

/** A column of vectors in pgvector's binary form. vector_send, because pg decodes binary results as text; a bytea's hex form arrives intact. */
export function sentVectorSql(target: VectorTarget, alias: string): string {
  const column = `${alias}.${quoteIdentifier(target.column)}`;
  const vector = quoteQualified(target.vectorSchema, 'vector');
  const send = quoteQualified(target.vectorSchema, 'vector_send');
  return `${send}(${target.vectorType === 'vector' ? column : `${column}::${vector}`})`;
}

async function* sampledRows(
  ctx: MigrationContext,
  target: VectorTarget,
  select: string,
  { where, seed, sampleSize }: StoredSelection & { readonly sampleSize: number },
): AsyncGenerator<StoredRow[]> {
  const { rows } = await ctx.db.query(`${select} WHERE ${sampleSql(target, where)}`, [String(seed), sampleSize]);
  for (let start = 0; start < rows.length; start += WINDOW_ROWS) {
    throwIfStopped(ctx, 'inspect');
    yield rows.slice(start, start + WINDOW_ROWS).map((row) => ({ ...row, key: keyOf(target, row) }));
  }
}

async function* allRows(
  ctx: MigrationContext,
  target: VectorTarget,
  select: string,
  where: string,
): AsyncGenerator<StoredRow[]> {
  let cursor: readonly string[] | undefined;
  for (;;) {
    throwIfStopped(ctx, 'inspect');
    const after = cursor === undefined ? '' : `${afterCursorSql(target)} AND `;
    const { rows } = await ctx.db.query(
      `${select} WHERE ${after}${where} ORDER BY ${orderSql(target)} LIMIT ${WINDOW_ROWS}`,
      cursor ?? [],
    );
    const stored = rows.map((row) => ({ ...row, key: keyOf(target, row) }));
    cursor = stored.at(-1)?.key;
    if (cursor === undefined) return;
    yield stored;
    if (stored.length < WINDOW_ROWS) return;
  }
}
