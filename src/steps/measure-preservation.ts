import { measureSimilarityPreservation } from '../adapters/measure.ts';
import { measureCrosswise } from '../adapters/measure-crosswise.ts';
import type { Matrix, ProjectionEntry } from '../adapters/types.ts';
import { AdapterError, ConfigError, IntegrityError, ModelError, messageOf, ProviderError } from '../errors.ts';
import { seededOrderSql, vectorSql } from '../inspect/stored-vectors.ts';
import type { EmbeddingProvider } from '../providers/types.ts';
import { quoteIdentifier, quoteQualified } from '../sql/identifiers.ts';
import { embeddableSql, notEmbeddedSql } from '../sql/pending.ts';
import { tableSql } from '../sql/target.ts';
import { textSql } from '../sql/text-source.ts';
import type { MigrationContext } from '../state/context.ts';
import { resolveMigration } from '../state/resolve.ts';
import { decodeVector } from '../vector/binary.ts';
import type { LazyProvider } from './provider.ts';

/** How far the similarities between adapted vectors are those between real ones. */
export interface MeasuredPreservation {
  /** Pearson correlation of pairwise cosines, -1 to 1. */
  readonly similarityPreservation: number;
  /** The same of adapted vectors against real ones: low where they would not be found by real queries. Undefined where no text was embedded. */
  readonly crosswise: number | undefined;
  /** Rows of this table that were embedded for it; 0 where it is what the training found on its holdout. */
  readonly rows: number;
}

const ROWS = 200;
/** Of fewer rows a correlation says little. */
const LEAST_ROWS = 20;
const SEED = 1;

/**
 * Embeds the texts of 200 adapted rows and compares their similarities with those of the adapted vectors. Where too few rows have a text, or the
 * model cannot be asked, it is what the training measured.
 *
 * @throws AdapterError `not_measured` where that is unknown too
 */
export async function measurePreservation(
  ctx: MigrationContext,
  entry: ProjectionEntry,
  provider: LazyProvider,
): Promise<MeasuredPreservation> {
  const rows = await readAdaptedRows(ctx);
  const opened = rows.length < LEAST_ROWS ? undefined : await openModel(ctx, provider);
  if (opened !== undefined) {
    const texts = rows.map(({ text }) => text);
    const { vectors } = await opened.embed(texts, { kind: 'document', signal: ctx.signal });
    const pairs = { adapted: stack(rows.map(({ vector }) => vector)), real: stack(vectors) };
    const similarityPreservation = await measureSimilarityPreservation(pairs);
    return { similarityPreservation, crosswise: await measureCrosswise(pairs), rows: rows.length };
  }
  if (entry.metrics === undefined) throw notMeasured(entry, rows.length);
  return { similarityPreservation: entry.metrics.similarityPreservation, crosswise: undefined, rows: 0 };
}

/** @throws IntegrityError `similarity_lost` below the limit, `other_space` where only the adapted vectors among themselves are as they should be */
export function refusePoor({ similarityPreservation, crosswise, rows }: MeasuredPreservation, limit: number): void {
  const on = rows === 0 ? 'on its holdout' : `on ${rows} rows of this table`;
  const kept = similarityPreservation.toFixed(3);
  const asked = `at least ${limit} is asked`;
  // NaN fails too.
  if (!(similarityPreservation >= limit))
    throw poor('similarity_lost', `Similarity preservation is ${kept} ${on}, ${asked}.`);
  if (crosswise === undefined || crosswise >= limit) return;
  const message = `Similarity preservation is ${kept} ${on}, but ${crosswise.toFixed(3)} between adapted and real vectors, ${asked}: queries of the new model would not find them.`;
  throw poor('other_space', message);
}

function poor(code: string, message: string): IntegrityError {
  const hint =
    'Train on more samples or another kind with "reembed adapter train", or embed the texts: "reembed backfill".';
  return new IntegrityError(code, message, { step: 'adapter', hint });
}

/** Without the model there is still what the training found: a key that is missing must not stand in the way of a map that needs none. */
async function openModel(ctx: MigrationContext, provider: LazyProvider): Promise<EmbeddingProvider | undefined> {
  try {
    return await provider.get();
  } catch (error) {
    if (!(error instanceof ModelError || error instanceof ProviderError || error instanceof ConfigError)) throw error;
    const message = `The model could not be asked, so that the training's own measure has to do: ${messageOf(error)}`;
    ctx.onProgress({ kind: 'warning', message });
    return undefined;
  }
}

async function readAdaptedRows(ctx: MigrationContext): Promise<{ text: string; vector: Float32Array }[]> {
  const { record, target } = await resolveMigration(ctx);
  if (record.adaptedModelId === null) return [];
  const adapted = { modelId: record.adaptedModelId, as: 'replaced' } as const;
  const isAdapted = notEmbeddedSql({ ...target, adapted }, 't', adapted.modelId);
  const send = quoteQualified(target.vectorSchema, 'vector_send');
  const { rows } = await ctx.db.query<{ text: string; vector: Uint8Array }>(
    `SELECT ${textSql(target.text, 't')}::text AS text, ${send}(${vectorSql(target, 't')}) AS vector FROM ${tableSql(target)} t
     WHERE t.${quoteIdentifier(target.column)} IS NOT NULL AND ${isAdapted} AND ${embeddableSql(target, 't')}
     ORDER BY ${seededOrderSql(target)} LIMIT $2::bigint`,
    [String(SEED), ROWS],
  );
  return rows.map(({ text, vector }) => ({ text, vector: decodeVector(vector) }));
}

function stack(vectors: readonly Float32Array[]): Matrix {
  const columns = vectors[0]?.length ?? 0;
  const data = new Float32Array(vectors.length * columns);
  for (const [row, vector] of vectors.entries()) data.set(vector, row * columns);
  return { rows: vectors.length, columns, data };
}

function notMeasured({ id }: ProjectionEntry, rows: number): AdapterError {
  return new AdapterError(
    'not_measured',
    `What "${id}" loses was never measured, and only ${rows} rows of the table have a text to measure it by, ${LEAST_ROWS} are the least.`,
    {
      step: 'adapter',
      hint: 'Compose or train it anew where texts are, which measures it; or migrate without verifying.',
    },
  );
}
