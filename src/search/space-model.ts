import { compareSpaces, type WantedSpace } from '../adapters/same-space.ts';
import type { ProjectionEntry, ProjectionSpace } from '../adapters/types.ts';
import { AdapterError } from '../errors.ts';
import type { ModelFingerprint } from '../providers/types.ts';
import type { VectorTarget } from '../sql/target.ts';

/** The space's model as an encoder names its own; what nobody recorded is null or empty. */
export function spaceModel({ fingerprint, reference, dimensions }: ProjectionSpace): ModelFingerprint {
  const { provider, name, revision, dtype, pooling, normalize, prefixes, files } = fingerprint;
  return {
    provider: textOrNull(provider) ?? reference?.provider ?? '',
    name: textOrNull(name) ?? reference?.model ?? '',
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
export function describeSpace({ fingerprint, reference, dimensions }: WantedSpace): string {
  const provider = fingerprint?.provider ?? reference?.provider;
  const name = fingerprint?.name ?? reference?.model;
  const model = name === undefined ? 'a model that is not named' : `${provider ?? ''} ${name}`.trim();
  return `${model} (${dimensions} dimensions)`;
}

/**
 * Vectors of another space would be mapped to something that only looks like an answer.
 *
 * @throws AdapterError `spaces_differ` when the projection does not begin at the model
 */
export function assertBeginsAt(entry: ProjectionEntry, model: ModelFingerprint): void {
  const asking: WantedSpace = { dimensions: model.dimensions, fingerprint: { ...model } };
  const { fit, difference = '' } = compareSpaces(entry.source, asking);
  if (fit !== 'other') return;
  const turned = compareSpaces(entry.target, asking).fit === 'same';
  throw spacesDiffer(entry, `the queries are embedded by ${describeSpace(asking)}: ${difference}`, turned);
}

/** @throws AdapterError `spaces_differ` when the projection does not end at vectors of the column's dimensions */
export function assertEndsAt(
  entry: ProjectionEntry,
  column: Pick<VectorTarget, 'schema' | 'table' | 'column' | 'dimensions'>,
): void {
  const { schema, table, column: name, dimensions } = column;
  if (dimensions === 0 || dimensions === entry.target.dimensions) return;
  throw spacesDiffer(entry, `${schema}.${table}.${name} holds vectors of ${dimensions} dimensions`, false);
}

/** @param wanted a clause that says what was asked for */
export function spacesDiffer(entry: ProjectionEntry, wanted: string, turned: boolean): AdapterError {
  const { id, direction, source, target } = entry;
  const other = direction === 'query' ? 'document' : 'query';
  return new AdapterError(
    'spaces_differ',
    `The projection "${id}" maps ${direction === 'query' ? 'queries' : 'stored vectors'} of ${describeSpace(source)} to ${describeSpace(target)}, ${wanted}.`,
    {
      step: 'adapter',
      hint: turned
        ? `It goes the other way: train one with "reembed adapter train --direction ${other}".`
        : 'Choose one that fits with "reembed adapter list", or train one with "reembed adapter train".',
      context: { projection: id, direction, source: source.fingerprint, target: target.fingerprint },
    },
  );
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
