import { modelDiffers, spaceDifferences } from '../inspect/model-differences.ts';
import type { ModelFingerprint } from '../providers/types.ts';
import { tableSql, type VectorTarget } from '../sql/target.ts';
import type { StoredFingerprint } from '../state/models.ts';

/**
 * Distances between vectors of different models mean nothing, and look as if they did.
 *
 * @param stored the model of the vectors; undefined where nobody recorded it, and nothing can be said
 * @throws ModelError `model_differs` with both models
 */
export function assertSameModel(
  target: Pick<VectorTarget, 'schema' | 'table'>,
  stored: StoredFingerprint | undefined,
  asked: ModelFingerprint,
): void {
  const present = { ...asked };
  if (stored === undefined || spaceDifferences(stored, present).length === 0) return;
  throw modelDiffers(
    `The vectors of ${tableSql(target)} are those`,
    { stored, present },
    {
      step: 'inspect',
      hint: 'Embed queries with the model that made the vectors: set the configuration (provider, model, EMBEDDING_DTYPE, files) back to it.',
    },
  );
}
