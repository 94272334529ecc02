import { modelDiffers, spaceDifferences } from '../inspect/model-differences.ts';
import type { ModelFingerprint } from '../providers/types.ts';
import type { StoredFingerprint } from '../state/models.ts';

/**
 * Distances between vectors of different models mean nothing, and look as if they did.
 *
 * @param where names the column
 * @param stored the model of its vectors; undefined where nobody recorded it, and nothing can be said
 * @throws ModelError `model_differs` with both models
 */
export function assertSameModel(where: string, stored: StoredFingerprint | undefined, asked: ModelFingerprint): void {
  const present = { ...asked };
  if (stored === undefined || spaceDifferences(stored, present).length === 0) return;
  throw modelDiffers(
    [`${where} holds vectors of`, 'the text would be embedded by'],
    { stored, present },
    {
      step: 'inspect',
      hint: 'Embed with the model that made the vectors: set the configuration (provider, model, EMBEDDING_DTYPE, files) back to it.',
    },
  );
}
