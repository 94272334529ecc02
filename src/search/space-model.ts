import type { ProjectionEntry, ProjectionSpace } from '../adapters/types.ts';
import { AdapterError } from '../errors.ts';
import { knownDifferences } from '../inspect/model-differences.ts';
import type { ModelFingerprint } from '../providers/types.ts';
import type { VectorTarget } from '../sql/target.ts';
import type { StoredFingerprint } from '../state/models.ts';

/** The space's model as an encoder names its own; what nobody recorded is null or empty. */
export function spaceModel({ fingerprint, dimensions }: ProjectionSpace): ModelFingerprint {
  const { provider, name, revision, dtype, pooling, normalize, prefixes, files } = fingerprint;
  return {
    provider: String(provider),
    name: String(name),
    revision: textOrNull(revision),
    dimensions,
    dtype: textOrNull(dtype),
    pooling: textOrNull(pooling),
    normalize: normalize === true,
    prefixes: { document: prefix(prefixes, 'document'), query: prefix(prefixes, 'query') },
    files: Object.fromEntries(Object.entries(asObject(files)).map(([file, sum]) => [file, String(sum)])),
  };
}

/** E.g. `local all-MiniLM-L6-v2 (384 dimensions)`. */
export function describeSpace({ fingerprint, dimensions }: ProjectionSpace): string {
  return `${fingerprint.provider} ${fingerprint.name} (${dimensions} dimensions)`;
}

/**
 * Vectors of another space would be mapped to something that only looks like an answer.
 *
 * @param end the end of the projection at which `model` is to stand
 * @param asked what the vectors are for, e.g. `the queries are embedded by`
 * @throws AdapterError `spaces_differ` with both spaces and the model
 */
export function assertSpace(
  entry: ProjectionEntry,
  end: 'source' | 'target',
  model: StoredFingerprint & { readonly dimensions: number },
  asked: string,
): void {
  const differences = spaceDifferences(entry[end], model);
  if (differences.length === 0) return;
  const other = end === 'source' ? entry.target : entry.source;
  const turned = spaceDifferences(other, model).length === 0;
  const maps = `${describeSpace(entry.source)} to ${describeSpace(entry.target)}`;
  throw new AdapterError(
    'spaces_differ',
    `The projection "${entry.id}" (${entry.direction}) maps ${maps}, ${asked} ${describeSpace({ fingerprint: model, reference: undefined, dimensions: model.dimensions })}: ${differences.join('; ')}.`,
    {
      step: 'adapter',
      hint: turned
        ? `It goes the other way: train one with "reembed adapter train --direction ${entry.direction === 'query' ? 'document' : 'query'}".`
        : 'Choose one that fits with "reembed adapter list", or train one with "reembed adapter train".',
      context: { projection: entry.id, source: entry.source.fingerprint, target: entry.target.fingerprint, model },
    },
  );
}

/** @throws AdapterError `spaces_differ` when the projection does not end at vectors of the column's dimensions */
export function assertColumn(
  entry: ProjectionEntry,
  column: Pick<VectorTarget, 'schema' | 'table' | 'column' | 'dimensions'>,
): void {
  const { dimensions } = column;
  if (dimensions === 0 || dimensions === entry.target.dimensions) return;
  const name = `${column.schema}.${column.table}.${column.column}`;
  throw new AdapterError(
    'spaces_differ',
    `The projection "${entry.id}" (${entry.direction}) maps ${describeSpace(entry.source)} to ${describeSpace(entry.target)}, ${name} holds vectors of ${dimensions} dimensions.`,
    {
      step: 'adapter',
      hint: 'Choose one that ends there with "reembed adapter list", or train one with "reembed adapter train".',
      context: { projection: entry.id, observed: dimensions, expected: entry.target.dimensions },
    },
  );
}

/** What of a model is not the space's, on all that both know. */
export function spaceDifferences(
  { fingerprint, dimensions }: ProjectionSpace,
  model: StoredFingerprint & { readonly dimensions: number },
): string[] {
  return knownDifferences({ ...fingerprint, dimensions }, model);
}

function textOrNull(value: unknown): string | null {
  return typeof value === 'string' ? value : null;
}

function prefix(prefixes: unknown, kind: 'document' | 'query'): string {
  const value = asObject(prefixes)[kind];
  return typeof value === 'string' ? value : '';
}

function asObject(value: unknown): Readonly<Record<string, unknown>> {
  return typeof value === 'object' && value !== null ? { ...value } : {};
}
