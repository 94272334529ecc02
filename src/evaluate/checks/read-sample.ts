import { ReembedError } from '../../errors.ts';
import { sampleRows } from '../../inspect/doctor/sample.ts';
import { refuseSwapSince, retryAfterSwap } from '../../search/active-model.ts';
import { readSearchSide, type SearchSide } from '../../search/search-side.ts';
import { onAllSidesSql, sampleVectorsSql } from '../../sql/sample-vectors.ts';
import { type MigrationContext, throwIfStopped } from '../../state/context.ts';
import { findRecord } from '../../state/resolve.ts';
import { decodeVector } from '../../vector/binary.ts';
import { type CosineMatrix, cosineMatrix, fillRow, toUnit } from '../../vector/cosine-matrix.ts';
import type { CheckedSample, CheckOptions } from './types.ts';

const SAMPLE_ROWS = 500;
/** Milliseconds of arithmetic after which the event loop has its turn. */
const TURN_MS = 20;
/** A side that is not there is not checked. */
const ABSENT = ['not_expanded', 'old_column_gone'];

interface ReadRows {
  readonly sides: readonly SearchSide[];
  readonly texts: readonly string[];
  readonly vectors: readonly (readonly Float32Array[])[];
}

/** Reads the sides that are there, and of a sample of the rows that have a vector on all of them what they hold. */
export async function readSample(
  ctx: MigrationContext,
  { seed, sample = SAMPLE_ROWS }: Pick<CheckOptions, 'seed' | 'sample'>,
): Promise<CheckedSample> {
  const { sides, texts, vectors } = await retryAfterSwap(() => readRows(ctx, seed, sample));
  const checked = [];
  for (const [i, search] of sides.entries()) {
    const own = vectors[i] ?? [];
    checked.push({ search, vectors: own, cosines: await compareAll(ctx, own) });
  }
  return { sides: checked, texts };
}

async function readRows(ctx: MigrationContext, seed: number, rows: number): Promise<ReadRows> {
  const sides = [...(await readSide(ctx, 'old')), ...(await readSide(ctx, 'new'))];
  const record = await findRecord(ctx);
  const modelId = record?.modelId ?? 0;
  const columns = sides.map(({ side, target }) => ({ target, modelId: side === 'new' ? modelId : 0 }));
  const targets = columns.map(({ target }) => target);
  const [first, ...others] = columns;
  if (first === undefined) return { sides, texts: [], vectors: [] };
  return ctx.db.transaction(async (tx) => {
    const from = await sampleRows(tx, { full: false, seed, rows }, first.target, onAllSidesSql([first, ...others]));
    const found = await tx.query<Record<string, unknown>>(sampleVectorsSql(targets, from.sql), from.params);
    await refuseSwapSince(tx, ctx.runtime.stateSchema, ctx.definition.id, sides[0]?.active ?? 'old');
    return {
      sides,
      texts: found.rows.map((row) => String(row.text)),
      vectors: sides.map((_, i) => found.rows.map((row) => decodeVector(row[`v${i}`] as Uint8Array))),
    };
  });
}

async function readSide(ctx: MigrationContext, side: 'old' | 'new'): Promise<SearchSide[]> {
  try {
    return [await readSearchSide(ctx, side)];
  } catch (error) {
    if (error instanceof ReembedError && ABSENT.includes(error.code)) return [];
    throw error;
  }
}

async function compareAll(ctx: MigrationContext, vectors: readonly Float32Array[]): Promise<CosineMatrix> {
  const units = vectors.map(toUnit);
  const matrix = cosineMatrix(units.length);
  let since = performance.now();
  for (const i of units.keys()) {
    fillRow(matrix, units, i);
    if (performance.now() - since < TURN_MS) continue;
    await new Promise((resolve) => setImmediate(resolve));
    throwIfStopped(ctx, 'inspect');
    since = performance.now();
  }
  return matrix;
}
