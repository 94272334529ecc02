import { cosineLimit } from '../providers/cosine-limit.ts';
import type { EmbeddingProvider, ModelFingerprint } from '../providers/types.ts';
import { adaptedSql } from '../sql/pending.ts';
import type { VectorTarget } from '../sql/target.ts';
import { textSql } from '../sql/text-source.ts';
import type { MigrationContext } from '../state/context.ts';
import { decodeVector } from '../vector/binary.ts';
import { cosine } from '../vector/math.ts';
import { readStored, sentVectorSql } from './read-stored.ts';
import { withTextSql } from './stored-vectors.ts';

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
  /** Vectors that there are to compare, for progress. */
  readonly rows: number;
}

export interface Comparison {
  readonly compared: ComparedVectors;
  readonly mismatches: readonly Mismatch[];
  /** Undefined when there was nothing to compare. */
  readonly model: (ModelFingerprint & Readonly<Record<string, unknown>>) | undefined;
}

interface Suspect {
  readonly key: readonly string[];
  readonly vector: Float32Array;
  readonly again: Float32Array;
  readonly cosine: number;
}

export const MAX_MISMATCHES = 100;

/** Embeds rows again and compares with what is stored; those that an adapter made are none of the model's. */
export async function compareAgain(
  ctx: MigrationContext,
  target: VectorTarget,
  options: CompareOptions,
): Promise<Comparison> {
  const columns = [`${textSql(target.text, 't')}::text AS text`, `${sentVectorSql(target, 't')} AS vector`];
  const where = `${withTextSql(target)} AND NOT ${adaptedSql(target, 't')}`;
  const expected = Math.min(options.rows, options.sampleSize ?? options.rows);
  const suspects: Suspect[] = [];
  const started = performance.now();
  let provider: EmbeddingProvider | undefined;
  let limit = 1;
  let rows = 0;
  let below = 0;
  let min = Number.NaN;
  let sum = 0;
  for await (const window of readStored(ctx, target, { ...options, columns, where })) {
    provider ??= await options.provider();
    limit = cosineLimit(provider.model);
    // What is compared with is computed now, never read back.
    const { vectors } = await (provider.kept?.service ?? provider).embed(
      window.map((row) => String(row.text)),
      { kind: 'document', signal: ctx.signal },
    );
    for (const [i, { key, vector: sent }] of window.entries()) {
      const again = vectors[i] ?? new Float32Array(0);
      const vector = decodeVector(sent as Uint8Array);
      const value = vector.length === again.length ? cosine(vector, again) : Number.NaN;
      min = Number.isNaN(min) || value < min ? value : min;
      sum += value;
      if (value >= limit) continue;
      below++;
      if (suspects.length < MAX_MISMATCHES) suspects.push({ key, vector, again, cosine: value });
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
