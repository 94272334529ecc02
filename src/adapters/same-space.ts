import type { ModelReference } from '../config/types.ts';
import type { StoredFingerprint } from '../state/models.ts';

/** A space that is looked for: what is known of the model whose vectors it holds. */
export interface WantedSpace {
  readonly dimensions: number;
  /** As recorded, or of an opened model; undefined where nobody knows it. */
  readonly fingerprint?: StoredFingerprint | undefined;
  /** As configured. */
  readonly reference?: ModelReference | undefined;
}

/**
 * `same`: the files are those, or all that both sides know of the model agrees, its name among it. `unsure`: only dimensions can be compared,
 * because one side does not know which model it is. `other`: something differs.
 */
export type SpaceFit = 'same' | 'unsure' | 'other';

/** What makes vectors, besides the files. Revisions are names of files, and say nothing where these are known. */
const COMPARED = ['dtype', 'pooling', 'normalize', 'prefixes'] as const;

/** Compares two spaces by what both know. A difference is a sentence for a person. */
export function compareSpaces(
  a: WantedSpace,
  b: WantedSpace,
): { readonly fit: SpaceFit; readonly difference?: string } {
  if (a.dimensions !== b.dimensions) return other(`${a.dimensions} dimensions against ${b.dimensions}`);
  const [left = {}, right = {}] = [a.fingerprint, b.fingerprint];
  const fields = COMPARED.filter((field) => isKnown(left[field]) && isKnown(right[field]));
  const field = fields.find((each) => canonical(left[each]) !== canonical(right[each]));
  if (field !== undefined) return other(`${field} ${canonical(left[field])} against ${canonical(right[field])}`);
  if (areFiles(left) && areFiles(right)) {
    return canonical(left.files) === canonical(right.files) ? { fit: 'same' } : other('other files');
  }
  if (isKnown(left.revision) && isKnown(right.revision) && left.revision !== right.revision) {
    return other(`revision ${left.revision} against ${right.revision}`);
  }
  return compareNames(namesOf(a), namesOf(b));
}

interface Names {
  readonly provider: string | undefined;
  readonly names: readonly string[];
}

function compareNames(a: Names, b: Names): { readonly fit: SpaceFit; readonly difference?: string } {
  if (a.names.length === 0 || b.names.length === 0) return { fit: 'unsure' };
  if (!a.names.some((name) => b.names.includes(name))) return other(`${a.names[0]} against ${b.names[0]}`);
  const differ = a.provider !== undefined && b.provider !== undefined && a.provider !== b.provider;
  return differ ? other(`provider ${a.provider} against ${b.provider}`) : { fit: 'same' };
}

/** A model has the name that it goes by, and the one that the configuration calls it: a directory often, where the former is the Hub's. */
function namesOf({ fingerprint = {}, reference }: WantedSpace): Names {
  const names = [fingerprint.name, fingerprint.configuredAs, reference?.model];
  const provider = typeof fingerprint.provider === 'string' ? fingerprint.provider : undefined;
  return { provider: provider ?? reference?.provider, names: names.filter((name) => typeof name === 'string') };
}

/** A file of vectors that were computed elsewhere grows, and is the same model all the same. */
function areFiles({ provider, files }: StoredFingerprint): boolean {
  return provider !== 'file' && typeof files === 'object' && files !== null && Object.keys(files).length > 0;
}

function isKnown(value: unknown): boolean {
  return value !== undefined && value !== null;
}

/** jsonb keeps no order of keys. */
function canonical(value: unknown): string {
  if (typeof value !== 'object' || value === null) return String(value);
  return JSON.stringify(Object.entries(value).sort(([a], [b]) => (a < b ? -1 : 1)));
}

function other(difference: string): { readonly fit: SpaceFit; readonly difference: string } {
  return { fit: 'other', difference };
}
