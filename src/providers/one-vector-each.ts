import { ProviderError } from '../errors.ts';
import type { ModelFingerprint } from './types.ts';

/** @throws ProviderError `wrong_cardinality`: with fewer or more vectors than texts nobody knows which is whose */
export function assertOneVectorEach(
  model: Pick<ModelFingerprint, 'name'>,
  vectors: readonly Float32Array[],
  texts: readonly string[],
): void {
  if (vectors.length === texts.length) return;
  throw new ProviderError(
    'wrong_cardinality',
    `${model.name} returned ${vectors.length} vectors for ${texts.length} texts.`,
    { retryable: false, step: 'fill' },
  );
}
