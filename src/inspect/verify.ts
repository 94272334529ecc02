import { readRecordedAdapter } from '../adapters/recorded-adapter.ts';
import type { EmbeddingProvider } from '../providers/types.ts';
import { type MigrationContext, throwIfStopped } from '../state/context.ts';
import { readModel } from '../state/models.ts';
import { resolveMigration } from '../state/resolve.ts';
import { type ComparedVectors, compareAgain, type Mismatch } from './compare-again.ts';
import { type RowTally, readProvenance, tallyRows } from './row-counts.ts';
import { type Norms, readNorms } from './stored-vectors.ts';
import { type VerifiedAdapter, verifyAdapted } from './verify-adapted.ts';
import {
  againCheck,
  completeness,
  dimensions,
  indexCheck,
  modelCheck,
  provenanceCheck,
  textCheck,
  type VerifyCheck,
  vectorChecks,
} from './verify-checks.ts';

export type { VerifyCheck };

export interface VerifyOptions {
  /** Compares every row instead of a sample, and every text's hash. */
  readonly full?: boolean;
  /** Rows to embed again (200 at least and by default). */
  readonly sample?: number;
  /** Chooses the sample; drawn and reported when not given. */
  readonly seed?: number;
  /**
   * The new model; asked for only when there is a row of its own to compare, or, with `full` or `sample`, to say how near adapted vectors are
   * to its own.
   */
  readonly provider: () => Promise<EmbeddingProvider>;
}

export interface VerifyReport {
  readonly ok: boolean;
  readonly migration: string;
  readonly table: string;
  /** The column that was verified: the new one, under the name that it has now. */
  readonly column: string;
  readonly full: boolean;
  readonly seed: number;
  readonly rows: RowTally;
  readonly norms: Norms;
  readonly compared: ComparedVectors;
  readonly checks: readonly VerifyCheck[];
  /** Rows whose vector is not what the model makes of their text, the first 100. */
  readonly mismatches: readonly Mismatch[];
  /** Rows that an adapter filled; null where there are none. */
  readonly adapted: VerifiedAdapter | null;
}

const MIN_SAMPLE = 200;

/**
 * Recounts and recomputes what the migration promises, from the table alone: completeness, dimensions, zero and non-finite
 * vectors, norms, provenance, text hashes, indexes, rows embedded again, and adapted ones mapped again. Works before the swap and after it; changes nothing.
 *
 * @throws PreflightError `not_expanded`
 */
export async function verify(ctx: MigrationContext, options: VerifyOptions): Promise<VerifyReport> {
  const resolved = await resolveMigration(ctx);
  const { record, target, table } = resolved;
  const full = options.full === true;
  const seed = options.seed ?? Math.floor(Math.random() * 2 ** 31);
  const rows = await tallyRows(ctx.db, target, record.modelId, record.id);
  const provenance = await readProvenance(ctx.db, target, record.modelId);
  throwIfStopped(ctx, 'inspect');
  const norms = await readNorms(ctx.db, target);
  const recorded = await readRecordedAdapter(ctx.db, ctx.runtime.stateSchema, record.adaptedModelId);
  const fingerprint =
    record.modelId === null ? undefined : await readModel(ctx.db, ctx.runtime.stateSchema, record.modelId);
  const checks: VerifyCheck[] = [
    completeness(ctx, rows, provenance),
    dimensions(table, target),
    ...(await vectorChecks(ctx, target, norms, fingerprint)),
    await provenanceCheck(ctx, resolved, provenance, recorded?.name),
    indexCheck(ctx, resolved),
  ];
  const sampleSize = full ? undefined : Math.max(MIN_SAMPLE, options.sample ?? MIN_SAMPLE);
  checks.push(await textCheck(ctx, target, record.modelId, full, sampleSize ?? 0, seed));
  const { provider } = options;
  const own = norms.vectors - provenance.adapted;
  const again = await compareAgain(ctx, target, { sampleSize, seed, provider, rows: own });
  if (again.model !== undefined && fingerprint !== undefined) checks.push(modelCheck(fingerprint, again.model));
  checks.push(againCheck(again.compared, again.mismatches, full));
  const asked = again.model !== undefined || full || options.sample !== undefined;
  const byAdapter =
    recorded === undefined || provenance.adapted === 0
      ? undefined
      : await verifyAdapted(ctx, resolved, recorded, {
          ...{ rows: provenance.adapted, sampleSize, seed },
          provider: asked ? provider : undefined,
        });
  checks.push(...(byAdapter?.checks ?? []));
  return {
    ok: checks.every((check) => check.ok),
    migration: record.id,
    table: `${target.schema}.${target.table}`,
    column: target.column,
    full,
    seed,
    rows,
    norms,
    compared: again.compared,
    checks,
    mismatches: again.mismatches,
    adapted: byAdapter?.adapted ?? null,
  };
}
