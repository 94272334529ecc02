import { ProviderError } from '../errors.ts';
import type { EmbeddingProvider } from '../providers/types.ts';
import type { VectorTarget } from '../sql/target.ts';
import type { MigrationContext } from '../state/context.ts';
import { compareAgain } from './compare-again.ts';

const ROWS = 8;
/** Another version or precision of a model stays above it. */
export const SAME_MODEL = 0.8;
/** Texts that were prepared in another way may lie between the two; another model of the same dimensions lies near 0. */
export const OTHER_MODEL = 0.3;

export interface Resemblance {
  readonly rows: number;
  /** Between what is stored and what the model makes of the same texts; 0 where the dimensions differ. */
  readonly meanCosine: number;
}

/** Embeds a few rows again. Undefined where none has a text and a vector, or the model has no vectors for texts of rows (`file`). */
export async function compareFewRows(
  ctx: MigrationContext,
  target: VectorTarget,
  provider: EmbeddingProvider,
  seed: number,
): Promise<Resemblance | undefined> {
  const quiet = { ...ctx, onProgress: () => undefined };
  const options = { sampleSize: ROWS, seed, provider: async () => provider, rows: ROWS };
  const found = await compareAgain(quiet, target, options).catch((error: unknown) => {
    if (error instanceof ProviderError && error.code === 'vector_missing') return undefined;
    throw error;
  });
  if (found === undefined || found.compared.rows === 0) return undefined;
  const { rows, meanCosine } = found.compared;
  return { rows, meanCosine: Number.isNaN(meanCosine) ? 0 : meanCosine };
}
