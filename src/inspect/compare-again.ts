import { cosineLimit } from '../providers/cosine-limit.ts';
import type { EmbeddingProvider, ModelFingerprint } from '../providers/types.ts';
import { quoteIdentifier, quoteQualified } from '../sql/identifiers.ts';
import { embeddableSql } from '../sql/pending.ts';
import { afterCursorSql } from '../sql/read-window.ts';
import { tableSql, type VectorTarget } from '../sql/target.ts';
import { textSql } from '../sql/text-source.ts';
import { type MigrationContext, throwIfStopped } from '../state/context.ts';
import { decodeVector } from '../vector/binary.ts';
import { cosine } from '../vector/math.ts';
import { keyListSql, keyOf, orderSql, sampleSql, vectorSql } from './stored-vectors.ts';

/** A row whose vector is not what the model makes of its text. */
export interface Mismatch {
  readonly key: readonly string[];
  readonly cosine: number;
  /** The row whose text gives this very vector, among the other mismatches: the two were exchanged. */
  readonly vectorOf?: readonly string[];
}

export interface ComparedVectors {
  readonly rows: number;
  readonly below: number;
  readonly limit: number;
  /** NaN without rows. */
  readonly minCosine: number;
  readonly meanCosine: number;
}

export interface CompareOptions {
  /** Undefined compares every row. */
  readonly sampleSize: number | undefined;
  readonly seed: number;
  readonly provider: () => Promise<EmbeddingProvider>;
  /** Vectors in the table, for progress. */
  readonly rows: number;
}

export interface Comparison {
  readonly compared: ComparedVectors;
  readonly mismatches: readonly Mismatch[];
  /** Undefined when there was nothing to compare. */
  readonly model: (ModelFingerprint & Readonly<Record<string, unknown>>) | undefined;
}

interface StoredRow {
  readonly key: readonly string[];
  readonly text: string;
  readonly vector: Float32Array;
}

interface Suspect extends StoredRow {
  readonly again: Float32Array;
  readonly cosine: number;
}

const WINDOW_ROWS = 500;
const MAX_MISMATCHES = 100;

/** Embeds rows again and compares with what is stored. */
export async function compareAgain(
  ctx: MigrationContext,
  target: VectorTarget,
  options: CompareOptions,
): Promise<Comparison> {
  const windows = options.sampleSize === undefined ? allRows(ctx, target) : sampleRows(ctx, target, options);
  const expected = Math.min(options.rows, options.sampleSize ?? options.rows);
  const suspects: Suspect[] = [];
  const started = performance.now();
  let provider: EmbeddingProvider | undefined;
  let limit = 1;
  let rows = 0;
  let below = 0;
  let min = Number.NaN;
  let sum = 0;
  for await (const window of windows) {
    provider ??= await options.provider();
    limit = cosineLimit(provider.model);
    // What is compared with is computed now, never read back.
    const { vectors } = await (provider.kept?.service ?? provider).embed(
      window.map((row) => row.text),
      { kind: 'document', signal: ctx.signal },
    );
    for (const [i, row] of window.entries()) {
      const again = vectors[i] ?? new Float32Array(0);
      const value = row.vector.length === again.length ? cosine(row.vector, again) : Number.NaN;
      min = Number.isNaN(min) || value < min ? value : min;
      sum += value;
      if (value >= limit) continue;
      below++;
      if (suspects.length < MAX_MISMATCHES) suspects.push({ ...row, again, cosine: value });
    }
    rows += window.length;
    const rate = rows / ((performance.now() - started) / 1000);
    ctx.onProgress({
      kind: 'rows',
      done: rows,
      total: expected,
      rate,
      etaSeconds: Math.max(0, expected - rows) / rate,
    });
  }
  const compared = { rows, below, limit, minCosine: min, meanCosine: sum / rows };
  return {
    compared,
    mismatches: suspects.map((suspect) => mismatch(suspect, suspects, limit)),
    model: provider?.model as Comparison['model'],
  };
}

function mismatch(suspect: Suspect, all: readonly Suspect[], limit: number): Mismatch {
  const owner = all.find(
    (other) =>
      other !== suspect && other.again.length === suspect.vector.length && cosine(other.again, suspect.vector) >= limit,
  );
  const base = { key: suspect.key, cosine: suspect.cosine };
  return owner === undefined ? base : { ...base, vectorOf: owner.key };
}

function selectSql(target: VectorTarget): string {
  // vector_send, because pg decodes binary results as text; a bytea's hex form arrives intact.
  const send = quoteQualified(target.vectorSchema, 'vector_send');
  return `SELECT ${keyListSql(target, 't')}, ${textSql(target.text, 't')}::text AS text, ${send}(${vectorSql(target, 't')}) AS vector FROM ${tableSql(target)} t`;
}

async function* sampleRows(
  ctx: MigrationContext,
  target: VectorTarget,
  options: CompareOptions,
): AsyncGenerator<StoredRow[]> {
  const { rows } = await ctx.db.query<Record<string, unknown>>(`${selectSql(target)} WHERE ${sampleSql(target)}`, [
    String(options.seed),
    options.sampleSize,
  ]);
  const stored = rows.map((row) => storedRow(target, row));
  for (let start = 0; start < stored.length; start += WINDOW_ROWS) {
    throwIfStopped(ctx, 'inspect');
    yield stored.slice(start, start + WINDOW_ROWS);
  }
}

async function* allRows(ctx: MigrationContext, target: VectorTarget): AsyncGenerator<StoredRow[]> {
  const filter = `t.${quoteIdentifier(target.column)} IS NOT NULL AND ${embeddableSql(target, 't')}`;
  let cursor: readonly string[] | undefined;
  for (;;) {
    throwIfStopped(ctx, 'inspect');
    const after = cursor === undefined ? '' : `${afterCursorSql(target)} AND `;
    const { rows } = await ctx.db.query<Record<string, unknown>>(
      `${selectSql(target)} WHERE ${after}${filter} ORDER BY ${orderSql(target)} LIMIT ${WINDOW_ROWS}`,
      cursor ?? [],
    );
    const stored = rows.map((row) => storedRow(target, row));
    cursor = stored.at(-1)?.key;
    if (cursor === undefined) return;
    yield stored;
    if (stored.length < WINDOW_ROWS) return;
  }
}

function storedRow(target: VectorTarget, row: Readonly<Record<string, unknown>>): StoredRow {
  return { key: keyOf(target, row), text: String(row.text), vector: decodeVector(row.vector as Uint8Array) };
}
