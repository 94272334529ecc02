import type { ProjectionSpace } from '../adapters/types.ts';
import { providerOf } from '../config/define-migration.ts';
import type { MigrationDefinition, ModelReference } from '../config/types.ts';
import { AdapterError } from '../errors.ts';
import { spaceDifferences } from '../inspect/model-differences.ts';
import type { ModelFingerprint } from '../providers/types.ts';
import { readSearchSide } from '../search/search-side.ts';
import type { ComparedColumn } from '../sql/evaluation.ts';
import type { VectorTarget } from '../sql/target.ts';
import type { MigrationContext } from '../state/context.ts';
import { readModel } from '../state/models.ts';
import { findRecord } from '../state/resolve.ts';
import { readRowQueries } from './adapter/asked-rows.ts';
import { type Embedder, embedder } from './adapter/embedder.ts';
import { sampleRows } from './adapter/sample-rows.ts';
import { wantedSizes } from './adapter/sizes.ts';
import { readOldSpace } from './adapter/source-space.ts';
import { type GivenSample, trainSample } from './adapter/train-sample.ts';
import type { TrainAdapterOptions, TrainedAdapter } from './adapter/types.ts';
import { refuseOtherTable } from './definition-change.ts';
import { configuredQueries } from './evaluate.ts';
import { type LazyProvider, lazyProvider } from './provider.ts';

/**
 * Learns a map between the spaces of the old and the new model from rows of the table: their old vectors are there, the new ones are made of their
 * texts, unless the new column has them already. Measures it on rows that took no part, and registers it. Writes nothing to the database, and
 * needs no 005.
 *
 * @throws AdapterError `too_few_rows`, `mixed_models`, `no_queries`, `retention_too_low`, and as `trainProjection`; PreflightError `old_column_gone`; as
 *   the providers
 */
export async function trainAdapter(ctx: MigrationContext, options: TrainAdapterOptions = {}): Promise<TrainedAdapter> {
  const { runtime, onProgress, signal } = ctx;
  const dir = options.dir ?? runtime.adapters.dir;
  return withTableSample(ctx, options, (given) =>
    trainSample(given.sample, { ...options, ...given, dir, threads: runtime.threads, onProgress, signal }),
  );
}

/** Draws the rows, opens the models when they are first asked, and closes them behind `work`. */
export async function withTableSample<T>(
  ctx: MigrationContext,
  options: TrainAdapterOptions,
  work: (given: GivenSample) => Promise<T>,
): Promise<T> {
  const reference = options.target ?? realModel(ctx.definition);
  const fresh = lazyProvider(ctx, reference);
  let old: LazyProvider | undefined;
  try {
    const newModel = embedder(() => fresh.get(), ctx);
    const { sample, space, where } = await readSample(ctx, newModel, options);
    // What the column says of its model goes before what the configuration says: it is that one whose queries fit.
    const asked = space.reference && lazyProvider(ctx, space.reference);
    old = asked;
    return await work({
      sample,
      where,
      old: space,
      fresh: async () => spaceOf(await newModel.model(), reference),
      models: { old: asked && embedder(() => asked.get(), ctx), fresh: newModel },
    });
  } finally {
    await fresh.close();
    await old?.close();
  }
}

/** Behind the provider `adapted` stands the model that is named; which provider makes it only a projection could say, and there is none yet. */
function realModel(definition: MigrationDefinition): ModelReference & Pick<MigrationDefinition, 'revision'> {
  const { provider, model } = definition;
  return provider === 'adapted' ? { ...definition, provider: providerOf(model) } : definition;
}

async function readSample(ctx: MigrationContext, newModel: Embedder, options: TrainAdapterOptions) {
  const { seed = 1, source: named = ctx.definition.from } = options;
  const { samples, holdout } = wantedSizes(options);
  const { target } = await readSearchSide(ctx, 'old');
  await refuseUnnamedTable(ctx, target);
  const where = `${target.schema}.${target.table}`;
  refuseWidth(`${where}.${target.column}`, target, named);
  const source = options.queries ?? configuredQueries(ctx);
  // Rows that queries name must not crowd out the others.
  const asked = await readRowQueries(ctx, target, source, { most: Math.floor((samples + holdout) / 3), seed });
  const fresh = await freshColumn(ctx, await newModel.model());
  ctx.onProgress({ kind: 'step', step: 'adapter', message: `Drawing rows of ${where}` });
  const wanted = samples + holdout - asked.keys.length;
  const { old, rows } = await sampleRows(ctx, { wanted, seed, keys: asked.keys, item: asked.item, fresh });
  const space = await readOldSpace(ctx, old, rows, named);
  const byText = asked.item === undefined && asked.ask === undefined;
  const texts = byText ? rows.map((row) => ({ ...row, item: row.text })) : rows;
  return { sample: { texts, asked: asked.ask?.(rows), source: asked.source }, space, where };
}

/** A migration that has begun is read at its own table: a projection for another one must not come of it unnoticed. */
async function refuseUnnamedTable(ctx: MigrationContext, { schema, table }: VectorTarget): Promise<void> {
  const named = ctx.definition.table;
  if (named.name === table && (named.schema === undefined || named.schema === schema)) return;
  const record = await findRecord(ctx);
  if (record !== undefined) await refuseOtherTable(ctx, record, named);
}

/** The new column, as far as it was filled by this very model; undefined where it was not, and before 005. */
async function freshColumn(ctx: MigrationContext, model: ModelFingerprint): Promise<ComparedColumn | undefined> {
  const record = await findRecord(ctx);
  if (record?.modelId == null) return undefined;
  const stored = await readModel(ctx.db, ctx.runtime.stateSchema, record.modelId);
  if (stored === undefined || spaceDifferences(stored, { ...model }).length > 0) return undefined;
  return { target: (await readSearchSide(ctx, 'new')).target, modelId: record.modelId };
}

function spaceOf(model: ModelFingerprint, { provider, model: name, dimensions }: ModelReference): ProjectionSpace {
  return { fingerprint: { ...model }, reference: { provider, model: name, dimensions }, dimensions: model.dimensions };
}

function refuseWidth(where: string, { dimensions }: VectorTarget, named: ModelReference | undefined): void {
  if (named === undefined || named.dimensions === dimensions) return;
  throw new AdapterError(
    'dimensions_differ',
    `${where} has ${dimensions} dimensions, the old model ${named.model} is said to make ${named.dimensions}.`,
    {
      step: 'adapter',
      hint: `Correct "from" in reembed.config.ts (or EMBEDDING_OLD_MODEL and EMBEDDING_OLD_DIMENSIONS, or --source-model and --source-dimensions).`,
      context: { observed: dimensions, expected: named.dimensions },
    },
  );
}
