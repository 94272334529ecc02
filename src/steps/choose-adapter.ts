import { chooseProjection, noProjection, type ProjectionWish } from '../adapters/choose.ts';
import { openRegistry, type Registry } from '../adapters/registry.ts';
import { compareSpaces, type WantedSpace } from '../adapters/same-space.ts';
import type { ProjectionEntry } from '../adapters/types.ts';
import { AdapterError } from '../errors.ts';
import { plural } from '../plural.ts';
import { readDimensionsSql, readMakersSql } from '../sql/read-vectors.ts';
import type { VectorTarget } from '../sql/target.ts';
import type { MigrationContext } from '../state/context.ts';
import { readModel, type StoredFingerprint } from '../state/models.ts';
import { oldVectorTarget, type ResolvedMigration } from '../state/resolve.ts';

/** The projection that fills a migration's column, and what it maps. */
export interface ChosenAdapter {
  readonly registry: Registry;
  readonly entry: ProjectionEntry;
  readonly old: VectorTarget;
}

/** The id of the projection that the run is to use, or `auto`; undefined where texts are embedded. */
export function adapterInUse({
  runtime,
  definition,
}: Pick<MigrationContext, 'runtime' | 'definition'>): string | undefined {
  return runtime.adapters.use ?? (definition.provider === 'adapted' ? 'auto' : undefined);
}

/**
 * The projection that maps the old column of this migration into its new one; undefined where it holds no vector.
 *
 * @param use an id, or `auto` for the best that fits
 * @throws AdapterError `old_column_missing`, `projection_misfit`, `no_projection`, `mixed_models`; as `Registry.get`
 */
export async function chooseAdapter(
  ctx: MigrationContext,
  resolved: ResolvedMigration,
  use: string,
): Promise<ChosenAdapter | undefined> {
  const { record, table, extension } = resolved;
  const old = oldVectorTarget(record, table, extension, ctx.runtime.stateSchema);
  if (old === undefined) throw oldColumnMissing(resolved);
  const dimensions = old.dimensions > 0 ? old.dimensions : await readDimensions(ctx, old);
  if (dimensions === undefined) return undefined;
  const registry = openRegistry(ctx.runtime.adapters.dir);
  const wish: ProjectionWish = {
    source: { ...(await readSource(ctx, old)), dimensions },
    target: targetOf(ctx),
    direction: 'document',
  };
  if (use !== 'auto') {
    const entry = await registry.get(use);
    const reasons = misfitsOf(entry, wish, old);
    if (reasons.length > 0) throw misfit(ctx, entry, reasons);
    return { registry, entry, old };
  }
  const choice = chooseProjection(await registry.list(), wish);
  if (choice.best === undefined) throw noProjection(wish, choice, registry.dir);
  return { registry, entry: choice.best, old };
}

/** The migration's model. Of one that is configured as `adapted` the provider is not known. */
function targetOf({ definition }: MigrationContext): WantedSpace {
  const { provider, model, dimensions, revision } = definition;
  const named = { name: model, ...(revision === undefined ? {} : { revision }) };
  return { dimensions, fingerprint: provider === 'adapted' ? named : { ...named, provider } };
}

/** Whose the old vectors are: what reembed has recorded of them, else what the configuration says; nothing where nobody has said it. */
async function readSource(ctx: MigrationContext, old: VectorTarget): Promise<Omit<WantedSpace, 'dimensions'>> {
  const maker = await readMaker(ctx, old);
  if (maker !== undefined) return { fingerprint: maker };
  const { from } = ctx.definition;
  if (from === undefined) return {};
  return { fingerprint: { provider: from.provider, name: from.model }, reference: from };
}

/** The model of an earlier migration that made the old vectors; undefined where the application did. */
async function readMaker(ctx: MigrationContext, old: VectorTarget): Promise<StoredFingerprint | undefined> {
  if (old.provenance === undefined) return undefined;
  const { rows } = await ctx.db.query<{ id: number; rows: number }>(readMakersSql(old, old, old.provenance.model));
  const makers = await Promise.all(
    rows.map(async ({ id, rows: count }) => ({ count, model: await readModel(ctx.db, ctx.runtime.stateSchema, id) })),
  );
  if (makers.length > 1) throw mixedModels(old, makers);
  return makers[0]?.model;
}

async function readDimensions(ctx: MigrationContext, old: VectorTarget): Promise<number | undefined> {
  const { rows } = await ctx.db.query<{ dimensions: number }>(readDimensionsSql(old));
  return rows[0]?.dimensions;
}

/** Why a projection that was named does not map this column into the new one; nothing where it does, or nobody can know. */
function misfitsOf({ source, target, direction }: ProjectionEntry, wish: ProjectionWish, old: VectorTarget): string[] {
  const reasons: string[] = [];
  if (direction !== 'document')
    reasons.push('it maps queries into the old space, not the old vectors into the new one');
  const [from, to] = [wish.source, wish.target];
  if (from !== undefined && source.dimensions !== from.dimensions) {
    reasons.push(`it maps ${source.dimensions} dimensions, ${nameOf(old)} has ${from.dimensions}`);
  } else if (from !== undefined && isNamed(source) && isNamed(from)) {
    const { fit, difference } = compareSpaces(source, from);
    if (fit === 'other')
      reasons.push(`it was learned from vectors of another model than ${nameOf(old)} holds (${difference})`);
  }
  if (to === undefined) return reasons;
  if (target.dimensions !== to.dimensions) {
    reasons.push(`it makes ${target.dimensions} dimensions, the migration asks for ${to.dimensions}`);
  } else {
    const { fit, difference } = compareSpaces(target, to);
    if (fit === 'other') reasons.push(`it maps into the space of another model than the migration's (${difference})`);
  }
  return reasons;
}

/** A name without a provider is a column's, and says nothing about a model. */
function isNamed({ fingerprint, reference }: Pick<WantedSpace, 'fingerprint' | 'reference'>): boolean {
  return reference !== undefined || fingerprint?.provider !== undefined;
}

function nameOf({ schema, table, column }: VectorTarget): string {
  return `${schema}.${table}.${column}`;
}

function misfit({ definition }: MigrationContext, entry: ProjectionEntry, reasons: readonly string[]): AdapterError {
  return new AdapterError(
    'projection_misfit',
    `${entry.id} does not fit the migration "${definition.id}": ${reasons.join('; ')}.`,
    {
      step: 'fill',
      hint: 'Name another projection ("reembed adapter list"), or train one for this migration with "reembed adapter train".',
      context: { adapter: entry.id, reasons },
    },
  );
}

function mixedModels(
  old: VectorTarget,
  makers: readonly { readonly count: number; readonly model: StoredFingerprint | undefined }[],
): AdapterError {
  const named = makers.map(
    ({ count, model }) => `${count} ${plural(count, 'row')} of ${String(model?.name ?? 'a model that is not known')}`,
  );
  return new AdapterError(
    'mixed_models',
    `${nameOf(old)} holds vectors of ${makers.length} models (${named.join(', ')}), a projection maps those of one.`,
    {
      step: 'fill',
      hint: 'Make it a column of one model first (after an adapter "reembed backfill --replace-adapted", with the migration that filled it), or run without an adapter: the texts are embedded then.',
      context: { models: makers.map(({ model }) => model?.name) },
    },
  );
}

function oldColumnMissing({ record }: ResolvedMigration): AdapterError {
  return new AdapterError(
    'old_column_missing',
    `${record.schema}.${record.table} has no old vectors any more that an adapter could map.`,
    { step: 'fill', hint: 'Run without an adapter: the texts are embedded then.' },
  );
}
