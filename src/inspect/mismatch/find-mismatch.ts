import { compareSpaces } from '../../adapters/same-space.ts';
import type { EmbeddingProvider, ModelFingerprint } from '../../providers/types.ts';
import type { VectorTarget } from '../../sql/target.ts';
import type { MigrationContext } from '../../state/context.ts';
import { compareFewRows, OTHER_MODEL, type Resemblance, SAME_MODEL } from '../resemblance.ts';
import { nameOfSpace, type StoredSpace } from './stored-space.ts';

/** A model, as far as it is known. */
export interface NamedSpace {
  /** Undefined where nobody has said which model it is. */
  readonly name: string | undefined;
  readonly dimensions: number;
}

/** The configured model is not the one of the stored vectors. */
export interface ModelMismatch {
  /** `model`: the size is the same, the model is not. */
  readonly kind: 'dimensions' | 'model';
  readonly stored: NamedSpace;
  readonly configured: NamedSpace;
}

export interface Compared {
  readonly mismatch: ModelMismatch | undefined;
  /** What was compared and came out, one sentence. */
  readonly message: string;
}

/** Rows to look at are chosen by it: the same ones at each start. */
const SEED = 1;

/**
 * Sets the configured model against what the column holds: sizes; then what a migration recorded of the model; where nobody did, a few rows embedded
 * again; and where that cannot be, the names in the configuration.
 */
export async function findMismatch(
  ctx: MigrationContext,
  stored: StoredSpace,
  target: VectorTarget,
  provider: EmbeddingProvider,
): Promise<Compared> {
  const { model } = provider;
  const { where, dimensions } = stored;
  if (dimensions === undefined) return { mismatch: undefined, message: `${where} holds no vector yet.` };
  const made = `${model.name} makes ${model.dimensions} dimensions`;
  const holds = `${where} holds vectors of ${described(stored)}`;
  const differs = (kind: ModelMismatch['kind'], message: string): Compared => ({
    mismatch: { kind, stored: { name: nameOfSpace(stored), dimensions }, configured: namedSpace(model) },
    message,
  });
  if (dimensions !== model.dimensions) return differs('dimensions', `${holds}, ${made}.`);
  if (stored.fingerprint !== undefined) {
    const present = { dimensions: model.dimensions, fingerprint: { ...model } };
    const { fit, difference } = compareSpaces({ ...stored, dimensions }, present);
    if (fit !== 'other') return { mismatch: undefined, message: `${holds}, as the configured model makes.` };
    return differs('model', `${holds}, the configured ${model.name} is another model: ${difference}.`);
  }
  const again = await compareFewRows(ctx, target, provider, SEED);
  if (again !== undefined) {
    const message = resemblanceText(stored, model, again);
    return again.meanCosine < OTHER_MODEL ? differs('model', message) : { mismatch: undefined, message };
  }
  const { reference } = stored;
  if (reference === undefined) return { mismatch: undefined, message: `${holds}, and nothing tells whose they are.` };
  const isSame = reference.provider === model.provider && reference.model === model.name;
  if (isSame) return { mismatch: undefined, message: `${holds}, as the configuration says.` };
  return differs('model', `${holds}, as the configuration says, and ${model.name} is another model.`);
}

/** E.g. `1536 dimensions (legacy)`. */
function described(stored: StoredSpace): string {
  const name = nameOfSpace(stored);
  return `${stored.dimensions} dimensions${name === undefined ? '' : ` (${name})`}`;
}

function namedSpace({ name, dimensions }: ModelFingerprint): NamedSpace {
  return { name, dimensions };
}

function resemblanceText(
  { where }: StoredSpace,
  { name, dimensions }: ModelFingerprint,
  { rows, meanCosine }: Resemblance,
): string {
  const found = `${name} (${dimensions} dimensions) makes of ${rows} texts what is stored in ${where} with a mean cosine of ${meanCosine.toFixed(3)}`;
  if (meanCosine < OTHER_MODEL) return `${found}, about 1 is expected: it is not the model of these vectors.`;
  return meanCosine < SAME_MODEL ? `${found}, about 1 is expected: texts are prepared otherwise.` : `${found}.`;
}
