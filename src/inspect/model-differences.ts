import { ModelError, type Step } from '../errors.ts';
import type { StoredFingerprint } from '../state/models.ts';

/** Two models that should be one. */
export interface ModelComparison {
  /** The one that made the vectors. */
  readonly stored: StoredFingerprint;
  readonly present: StoredFingerprint;
  /** Of the present one only some fields are known: the others are not compared. */
  readonly partial?: boolean;
}

/** What two fingerprints do not agree on, one line a field: `dtype is int8, was fp32`. Files are named, not shown. */
export function modelDifferences(stored: StoredFingerprint, present: StoredFingerprint): string[] {
  const fields = [...new Set([...Object.keys(stored), ...Object.keys(present)])].filter(isOfTheModel);
  return differencesIn(fields, stored, present);
}

/**
 * The same without what says nothing about the model: a file of vectors that were computed elsewhere grows, when some were missing or queries
 * are added to it.
 */
export function spaceDifferences(stored: StoredFingerprint, present: StoredFingerprint): string[] {
  const growing = stored.provider === 'file' && present.provider === 'file';
  return modelDifferences(stored, growing ? { ...present, files: stored.files } : present);
}

/** How the configuration wrote the name is kept beside the fingerprint; the model itself does not know it. */
function isOfTheModel(field: string): boolean {
  return field !== 'configuredAs';
}

function differencesIn(fields: readonly string[], stored: StoredFingerprint, present: StoredFingerprint): string[] {
  return fields.flatMap((field) => {
    const was = sorted(stored[field]);
    const is = sorted(present[field]);
    if (was === is) return [];
    return [field === 'files' ? 'its files are not the same' : `${field} is ${is}, was ${was}`];
  });
}

/** The refusal to put vectors of one model beside another's, with both models and all differences. `say` is what stands before each of them. */
export function modelDiffers(
  say: readonly [stored: string, present: string],
  { stored, present, partial }: ModelComparison,
  details: { readonly step: Step; readonly hint: string },
): ModelError {
  const differences =
    partial === true
      ? differencesIn(Object.keys(present).filter(isOfTheModel), stored, present)
      : modelDifferences(stored, present);
  return new ModelError(
    'model_differs',
    `${say[0]} ${describeModel(stored)}, ${say[1]} ${describeModel(present)}: ${differences.join('; ')}.`,
    { ...details, context: { stored, present, differences } },
  );
}

/** E.g. `tei BAAI/bge-m3 (1024 dimensions, revision 5617a9f, fp16)`. */
function describeModel({ provider, name, dimensions, revision, dtype, pooling }: StoredFingerprint): string {
  const known = [
    `${dimensions} dimensions`,
    ...(typeof revision === 'string' ? [`revision ${revision}`] : []),
    ...(typeof dtype === 'string' ? [dtype] : []),
    ...(typeof pooling === 'string' ? [`${pooling} pooling`] : []),
  ];
  return `${provider} ${name} (${known.join(', ')})`;
}

/** jsonb keeps no order of keys. */
function sorted(value: unknown): string {
  if (value === null || value === undefined) return 'null';
  if (typeof value !== 'object') return String(value);
  if (Array.isArray(value)) return JSON.stringify(value);
  return JSON.stringify(Object.entries(value).sort(([a], [b]) => (a < b ? -1 : 1)));
}
