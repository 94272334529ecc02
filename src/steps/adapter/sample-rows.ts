import type { Queryable } from '../../db/types.ts';
import { AdapterError } from '../../errors.ts';
import { keyId } from '../../evaluate/queries/types.ts';
import { refuseSwapSince, retryAfterSwap } from '../../search/active-model.ts';
import { readSearchSide, type SearchSide } from '../../search/search-side.ts';
import { textArrayLiteral } from '../../sql/array-literal.ts';
import type { ComparedColumn } from '../../sql/evaluation.ts';
import { drawKeysSql, type PairColumns, readPairsSql } from '../../sql/pair-sample.ts';
import { countPagesSql } from '../../sql/relation-size.ts';
import { tableSql } from '../../sql/target.ts';
import { type MigrationContext, throwIfStopped } from '../../state/context.ts';
import { decodeVector } from '../../vector/binary.ts';
import { shuffled } from './split.ts';
import type { SampledText } from './types.ts';

/** A row as it was read: whose the old vector is, where the column says it. */
export interface SampledRow extends SampledText {
  readonly id: string;
  readonly old: Float32Array;
  readonly madeBy: number | null;
}

export interface RowsToRead {
  /** Rows to be drawn. */
  readonly wanted: number;
  readonly seed: number;
  /** Keys of rows that are read as well, before the drawn ones. */
  readonly keys: readonly (readonly string[])[];
  /** SQL over `t`: what is asked for a row. */
  readonly item: string | undefined;
  /** The new column with the model that a vector in it has to be of. */
  readonly fresh: ComparedColumn | undefined;
}

/** Pages that are looked at, and how many rows of theirs are candidates for each that is wanted: more where the first look finds too few. */
const LOOKS = [
  { pages: 8_192, candidates: 10 },
  { pages: 65_536, candidates: 100 },
] as const;
const ROWS_A_STATEMENT = 250;

/**
 * Reads rows with a text and an old vector: those of the given keys, then others that are drawn evenly over the table and over the sizes of the
 * texts (`drawKeysSql`), a text once. The same seed draws the same rows of an unchanged table, and of a huge one a bounded part is read.
 *
 * @throws AdapterError `no_key`; PreflightError `old_column_gone`
 */
export async function sampleRows(
  ctx: MigrationContext,
  options: RowsToRead,
): Promise<{ readonly old: SearchSide; readonly rows: readonly SampledRow[] }> {
  return retryAfterSwap(async () => {
    const old = await readSearchSide(ctx, 'old');
    const { schema, table, key } = old.target;
    if (key.length === 0) throw withoutKey(`${schema}.${table}`);
    const column = { target: old.target, modelId: 0 };
    const columns = { old: column, fresh: options.fresh, item: options.item };
    const rows = await readRows(ctx, columns, await chooseKeys(ctx, column, options), old.active);
    return { old, rows: distinct(rows) };
  });
}

/** The given keys, and beside them as many others as are wanted: drawn in excess, since the given ones may be drawn, too. */
async function chooseKeys(
  ctx: MigrationContext,
  column: ComparedColumn,
  { wanted, seed, keys }: RowsToRead,
): Promise<(readonly string[])[]> {
  const drawn = await drawKeys(ctx, column, { wanted: wanted + keys.length, seed });
  const given = new Set(keys.map(keyId));
  const others = drawn.filter((key) => !given.has(keyId(key)));
  // What is too much goes by lot: in their order it would be the table's end.
  return [...keys, ...(others.length > wanted ? shuffled(others, seed).slice(0, wanted) : others)];
}

async function drawKeys(
  ctx: MigrationContext,
  column: ComparedColumn,
  { wanted, seed }: Pick<RowsToRead, 'wanted' | 'seed'>,
): Promise<string[][]> {
  const { rows: sizes } = await ctx.db.query<{ pages: number }>(countPagesSql(), [tableSql(column.target)]);
  const all = Math.max(1, sizes[0]?.pages ?? 1);
  let drawn: string[][] = [];
  for (const { pages, candidates } of LOOKS) {
    throwIfStopped(ctx, 'adapter');
    const share = Math.min(100, (100 * pages) / all);
    const blocks = Math.ceil(Math.sqrt(wanted));
    const params = [share, String(seed), wanted, wanted * candidates, blocks];
    const { rows } = await ctx.db.query<Record<string, unknown>>(drawKeysSql(column), params);
    drawn = rows.map((row) => column.target.key.map((_, i) => String(row[`k${i}`])));
    if (drawn.length >= wanted) break;
  }
  return drawn;
}

async function readRows(
  ctx: MigrationContext,
  columns: PairColumns,
  keys: readonly (readonly string[])[],
  active: 'old' | 'new',
): Promise<SampledRow[]> {
  const read: SampledRow[] = [];
  for (let start = 0; start < keys.length; start += ROWS_A_STATEMENT) {
    throwIfStopped(ctx, 'adapter');
    const part = keys.slice(start, start + ROWS_A_STATEMENT);
    await ctx.db.transaction(async (tx) => {
      read.push(...(await readPart(tx, columns, part)));
      await refuseSwapSince(tx, ctx.runtime.stateSchema, ctx.definition.id, active);
    });
  }
  return read;
}

interface PairRow {
  readonly n: number;
  readonly text: string;
  readonly old: Uint8Array;
  readonly fresh: Uint8Array | null;
  readonly made_by: number | null;
  readonly item: string | null;
}

async function readPart(
  tx: Queryable,
  columns: PairColumns,
  keys: readonly (readonly string[])[],
): Promise<SampledRow[]> {
  const params = columns.old.target.key.map((_, i) => textArrayLiteral(keys.map((key) => key[i] ?? null)));
  const { rows } = await tx.query<PairRow>(readPairsSql(columns), params);
  return rows.map(({ n, text, old, fresh, made_by: madeBy, item }) => ({
    id: keyId(keys[n - 1] ?? []),
    text,
    old: decodeVector(old),
    fresh: fresh === null ? undefined : decodeVector(fresh),
    madeBy,
    item: item === null || item.trim() === '' ? undefined : item,
  }));
}

/** Each row and each text once; a vector without a length says nothing. */
function distinct(rows: readonly SampledRow[]): SampledRow[] {
  const seen = new Set<string>();
  return rows.filter(({ text, old }) => {
    if (seen.has(text) || old.every((value) => value === 0)) return false;
    seen.add(text);
    return true;
  });
}

function withoutKey(table: string): AdapterError {
  return new AdapterError('no_key', `${table} has no primary key by which sampled rows could be read.`, {
    step: 'adapter',
    hint: 'Add a primary key, or learn from a file of texts with --text-file.',
  });
}
