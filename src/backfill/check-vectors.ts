import { IntegrityError } from '../errors.ts';
import type { ModelFingerprint } from '../providers/types.ts';
import type { Produced, SourceRow } from './types.ts';

const COLLAPSE_MIN_ROWS = 8;

/**
 * Refuses a batch in which a model gives one vector for different token sequences: in more than half of at least 8 different ones.
 *
 * @throws IntegrityError `contamination`
 */
export function refuseCollapse(
  rows: readonly SourceRow[],
  produced: readonly Produced[],
  model: ModelFingerprint,
): void {
  const distinct = new Map<string, Float32Array>();
  for (const [i, item] of produced.entries()) {
    if (item.kind === 'vector') distinct.set(item.tokenKey ?? rows[i]?.text ?? '', item.vector);
  }
  refuseOneVector([...distinct.values()], model, { of: 'texts' });
}

interface Inputs {
  /** What they are, for people. */
  readonly of: string;
  /** Equal for equal inputs; all differ where they are not given. */
  readonly marks?: readonly number[];
}

/** @param vectors one an input @throws as `refuseCollapse` */
export function refuseOneVector(vectors: readonly Float32Array[], model: ModelFingerprint, inputs: Inputs): void {
  if (vectors.length < COLLAPSE_MIN_ROWS) return;
  const { of, marks } = inputs;
  const candidate = majorityCandidate(vectors);
  const most = vectors.filter((vector) => isSame(vector, candidate)).length;
  if (most * 2 <= vectors.length) return;
  // Only now: as a rule there is nothing to tell apart.
  if (marks !== undefined) {
    const distinct = new Map(vectors.map((vector, i) => [marks[i], vector]));
    refuseOneVector([...distinct.values()], model, { of });
    return;
  }
  throw new IntegrityError(
    'contamination',
    `Vector store contamination detected: ${model.name} gave one and the same vector for ${most} of ${vectors.length} different ${of}. Nothing of this batch was written.`,
    {
      step: 'fill',
      hint: 'Check the model with "reembed model verify" and the provider\'s settings, then run the same command again.',
    },
  );
}

/**
 * The one vector that can be that of more than half: each that differs takes one vote back.
 * Boyer and Moore, MJRTY: A Fast Majority Vote Algorithm (1991).
 */
function majorityCandidate(vectors: readonly Float32Array[]): Float32Array | undefined {
  let candidate: Float32Array | undefined;
  let votes = 0;
  for (const vector of vectors) {
    if (votes === 0) candidate = vector;
    votes += isSame(vector, candidate) ? 1 : -1;
  }
  return candidate;
}

function isSame(a: Float32Array, b: Float32Array | undefined): boolean {
  if (a.length !== b?.length) return false;
  // Vectors of different texts differ in their first values, so that this ends at once.
  for (let i = 0; i < a.length; i++) if (!Object.is(a[i], b[i])) return false;
  return true;
}
