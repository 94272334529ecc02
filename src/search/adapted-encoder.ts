import type { Adapter } from '../adapters/apply.ts';
import type { ProjectionEntry } from '../adapters/types.ts';
import { AdapterError, ModelError } from '../errors.ts';
import type { EmbeddingProvider } from '../providers/types.ts';
import type { NamedEncoder } from './active-model.ts';
import { assertBeginsAt, spaceModel } from './space-model.ts';

/** An opened projection, as `openAdapter` and `openQueryAdapter` give it. */
export type VectorAdapter = Pick<Adapter, 'entry' | 'apply' | 'applyOnce'>;

/**
 * One model's queries as vectors of another one: `encoders: { old: adaptedEncoder(newModel, adapter) }` searches the old column with the new
 * model. Its `model` is the one that the projection maps to. It is for queries: documents are mapped by the backfill, which marks them.
 *
 * @throws AdapterError `spaces_differ` when the projection does not begin at the encoder's model; from `encodeTexts` `queries_only`
 */
export function adaptedEncoder(encoder: NamedEncoder, adapter: VectorAdapter): NamedEncoder {
  assertBeginsAt(adapter.entry, encoder.model);
  return {
    model: spaceModel(adapter.entry.target),
    async encodeTexts(texts, options) {
      if (options.kind !== 'query') throw queriesOnly(adapter.entry, texts.length);
      return mapVectors(adapter, await encoder.encodeTexts(texts, options), undefined);
    },
  };
}

/** The same for whoever takes a provider. Closing it closes the model, not the adapter. */
export function adaptedQueries(provider: EmbeddingProvider, adapter: VectorAdapter): EmbeddingProvider {
  assertBeginsAt(adapter.entry, provider.model);
  return {
    model: spaceModel(adapter.entry.target),
    device: provider.device,
    maxTokens: provider.maxTokens,
    async embed(texts, options) {
      if (options.kind !== 'query') throw queriesOnly(adapter.entry, texts.length);
      const { vectors, ...rest } = await provider.embed(texts, { ...options, onAnswer: undefined });
      return { ...rest, vectors: await mapVectors(adapter, vectors, options.signal) };
    },
    probe: () => provider.probe(),
    close: () => provider.close(),
  };
}

/** So many are mapped sooner than a thread has started. */
const AT_ONCE = 32;

async function mapVectors(
  adapter: VectorAdapter,
  vectors: readonly ArrayLike<number>[],
  signal: AbortSignal | undefined,
): Promise<Float32Array[]> {
  const { entry } = adapter;
  const columns = entry.source.dimensions;
  if (vectors.length <= AT_ONCE) {
    const mapped: Float32Array[] = [];
    for (const vector of vectors) mapped.push(await adapter.applyOnce(sized(entry, vector)));
    return mapped;
  }
  const data = new Float32Array(vectors.length * columns);
  for (const [row, vector] of vectors.entries()) {
    data.set(sized(entry, vector), row * columns);
  }
  const mapped = await adapter.apply({ rows: vectors.length, columns, data }, signal);
  return vectors.map((_, row) => mapped.data.slice(row * mapped.columns, (row + 1) * mapped.columns));
}

function sized(entry: ProjectionEntry, vector: ArrayLike<number>): Float32Array {
  if (vector.length !== entry.source.dimensions) throw wrongSize(entry, vector.length);
  return Float32Array.from(vector);
}

function wrongSize({ id, source }: ProjectionEntry, got: number): ModelError {
  return new ModelError(
    'dimensions_differ',
    `The projection "${id}" maps vectors of ${source.dimensions} dimensions, the query's has ${got}.`,
    {
      step: 'adapter',
      hint: 'Embed the query with the model that the projection begins at; "reembed adapter show" names it.',
      context: { observed: got, expected: source.dimensions },
    },
  );
}

function queriesOnly({ id, target }: ProjectionEntry, texts: number): AdapterError {
  return new AdapterError(
    'queries_only',
    `The projection "${id}" maps queries, and ${texts} ${texts === 1 ? 'text was' : 'texts were'} to be embedded as documents of ${target.fingerprint.name}: stored, nobody could tell them from real ones.`,
    {
      step: 'adapter',
      hint: 'Write with the model of the column; "reembed backfill --adapter" maps stored vectors and marks each row.',
    },
  );
}
