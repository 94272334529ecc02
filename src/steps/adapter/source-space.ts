import type { ProjectionSpace } from '../../adapters/types.ts';
import { PROVIDERS } from '../../config/provider-names.ts';
import type { ModelReference, ProviderName } from '../../config/types.ts';
import { AdapterError } from '../../errors.ts';
import type { SearchSide } from '../../search/search-side.ts';
import type { MigrationContext } from '../../state/context.ts';
import { readModel, type StoredFingerprint } from '../../state/models.ts';
import type { SampledRow } from './sample-rows.ts';

/**
 * Whose the old vectors are: what the column says beside each of them, else the model that was named, else no more than the column's name.
 *
 * @param named by the flags, or by `from` of the definition
 * @throws AdapterError `mixed_models` where the rows say that several models made them
 */
export async function readOldSpace(
  ctx: MigrationContext,
  { target }: SearchSide,
  rows: readonly SampledRow[],
  named: ModelReference | undefined,
): Promise<ProjectionSpace> {
  const { dimensions, schema, table, column } = target;
  const recorded = await recordedModel(ctx, `${schema}.${table}.${column}`, rows);
  if (recorded !== undefined) return { fingerprint: recorded, reference: referenceOf(recorded), dimensions };
  // Not as a name: columns of the same name hold the vectors of any model.
  if (named === undefined) return { fingerprint: { column, dimensions }, reference: undefined, dimensions };
  const { provider, model } = named;
  return { fingerprint: { provider, name: model, dimensions }, reference: named, dimensions };
}

async function recordedModel(
  ctx: MigrationContext,
  column: string,
  rows: readonly SampledRow[],
): Promise<StoredFingerprint | undefined> {
  const counts = new Map<number, number>();
  for (const { madeBy } of rows) if (madeBy !== null) counts.set(madeBy, (counts.get(madeBy) ?? 0) + 1);
  const models = await Promise.all(
    [...counts].map(async ([id, count]) => ({ count, model: await readModel(ctx.db, ctx.runtime.stateSchema, id) })),
  );
  if (models.length > 1) throw mixedModels(column, models);
  return models[0]?.model;
}

/** How it was configured is kept beside a fingerprint in the state. */
function referenceOf({ provider, name, configuredAs, dimensions }: StoredFingerprint): ModelReference | undefined {
  const model = configuredAs ?? name;
  if (!isProvider(provider) || typeof model !== 'string' || typeof dimensions !== 'number') return undefined;
  return { provider, model, dimensions };
}

/** Vectors that an adapter made are of no model that could be asked. */
function isProvider(value: unknown): value is ProviderName {
  return value !== 'adapted' && PROVIDERS.some((provider) => provider === value);
}

function mixedModels(
  column: string,
  models: readonly { readonly count: number; readonly model: StoredFingerprint | undefined }[],
): AdapterError {
  const parts = models.map(({ count, model }) => `${count} rows by ${String(model?.name ?? 'an unknown model')}`);
  return new AdapterError(
    'mixed_models',
    `${column} holds vectors of ${models.length} models, of the sampled ones ${parts.join(' and ')}; a projection maps those of one.`,
    {
      step: 'adapter',
      hint: 'Embed the rows of all models but one again with "reembed backfill", then train.',
      context: { column, models: models.map(({ count, model }) => ({ count, model })) },
    },
  );
}
