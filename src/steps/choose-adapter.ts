import { openRegistry, type Registry } from '../adapters/registry.ts';
import type { ProjectionEntry } from '../adapters/types.ts';
import { AdapterError } from '../errors.ts';
import { modelDifferences } from '../inspect/model-differences.ts';
import { plural } from '../plural.ts';
import { readMakersSql } from '../sql/read-vectors.ts';
import type { VectorTarget } from '../sql/target.ts';
import type { MigrationContext } from '../state/context.ts';
import { readModel, type StoredFingerprint } from '../state/models.ts';
import { oldVectorTarget, type ResolvedMigration } from '../state/resolve.ts';
import { ADAPTED } from './adapter-provenance.ts';

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
  const provider: string = definition.provider;
  return runtime.adapters.use ?? (provider === ADAPTED ? 'auto' : undefined);
}

/**
 * The projection that maps the old column of this migration into its new one.
 *
 * @param use an id, or `auto` for the one that keeps most of the recall
 * @throws AdapterError `old_column_missing`, `projection_misfit`, `no_projection`, `mixed_models`; as `Registry.get`
 */
export async function chooseAdapter(
  ctx: MigrationContext,
  resolved: ResolvedMigration,
  use: string,
): Promise<ChosenAdapter> {
  const { record, table, extension } = resolved;
  const old = oldVectorTarget(record, table, extension, ctx.runtime.stateSchema);
  if (old === undefined) throw oldColumnMissing(resolved);
  const registry = openRegistry(ctx.runtime.adapters.dir);
  const maker = await readMaker(ctx, old);
  const misfits = (entry: ProjectionEntry): string[] => misfitsOf(ctx, entry, old, maker);
  if (use !== 'auto') {
    const entry = await registry.get(use);
    const reasons = misfits(entry);
    if (reasons.length > 0) throw misfit(ctx, entry, reasons);
    return { registry, entry, old };
  }
  const entries = await registry.list();
  const fitting = entries.filter((entry) => entry.metrics !== undefined && misfits(entry).length === 0);
  const [best] = fitting.sort((a, b) => retentionOf(b) - retentionOf(a));
  if (best === undefined) throw noProjection(ctx, old, entries);
  return { registry, entry: best, old };
}

function retentionOf({ metrics }: ProjectionEntry): number {
  return metrics?.recallAt10.retention ?? 0;
}

/** The model of an earlier migration that made the old vectors; undefined where the application did. @throws AdapterError `mixed_models` */
async function readMaker(ctx: MigrationContext, old: VectorTarget): Promise<StoredFingerprint | undefined> {
  if (old.provenance === undefined) return undefined;
  const { rows } = await ctx.db.query<{ id: number; rows: number }>(readMakersSql(old, old, old.provenance.model));
  const makers = await Promise.all(
    rows.map(async ({ id, rows: count }) => ({ count, model: await readModel(ctx.db, ctx.runtime.stateSchema, id) })),
  );
  if (makers.length <= 1) return makers[0]?.model;
  const named = makers.map(
    ({ count, model }) => `${count} ${plural(count, 'row')} of ${model?.name ?? 'a model that is not known'}`,
  );
  throw new AdapterError(
    'mixed_models',
    `${nameOf(old)} holds vectors of ${makers.length} models (${named.join(', ')}), a projection maps those of one.`,
    {
      step: 'fill',
      hint: 'Make it the column of one model first (after an adapter: "reembed backfill --replace-adapted" with the migration that filled it), or embed the texts: run without an adapter.',
      context: { models: makers.map(({ model }) => model?.name) },
    },
  );
}

/** Why a projection does not map this column into the new one; nothing where it does. */
function misfitsOf(
  { definition }: MigrationContext,
  entry: ProjectionEntry,
  old: VectorTarget,
  maker: StoredFingerprint | undefined,
): string[] {
  const { source, target, direction } = entry;
  const reasons: string[] = [];
  if (direction !== 'document') reasons.push(`it maps queries to the old space, not the old vectors to the new one`);
  if (old.dimensions !== 0 && old.dimensions !== source.dimensions) {
    reasons.push(`it maps ${source.dimensions} dimensions, ${nameOf(old)} is ${old.vectorType}(${old.dimensions})`);
  }
  if (target.dimensions !== definition.dimensions) {
    reasons.push(`it makes ${target.dimensions} dimensions, the migration asks for ${definition.dimensions}`);
  } else reasons.push(...targetDifferences(definition, entry));
  const { from } = definition;
  const wrongSource = [
    ...(from === undefined || source.reference === undefined ? [] : differing(source.reference, from)),
    ...(maker === undefined ? [] : differing(source.fingerprint, maker)),
  ];
  if (wrongSource.length > 0)
    reasons.push(`the old vectors are of another model than it has learned from (${wrongSource.join('; ')})`);
  return reasons;
}

function targetDifferences(
  { provider, model, dimensions, revision }: MigrationContext['definition'],
  { target }: ProjectionEntry,
): string[] {
  const named: string = provider;
  const asked = {
    ...(named === ADAPTED ? {} : { provider }),
    dimensions,
    ...(revision === undefined ? {} : { revision }),
  };
  const { reference, fingerprint } = target;
  const known = {
    ...fingerprint,
    ...reference,
    name: reference?.model ?? fingerprint.configuredAs ?? fingerprint.name,
  };
  const differences = differing(known, { ...asked, name: model });
  return differences.length === 0 ? [] : [`it maps into the space of another model (${differences.join('; ')})`];
}

/** What two descriptions of a model say differently, as far as both say it. */
function differing(learned: object, present: object): string[] {
  const known = Object.fromEntries(Object.entries(learned).filter(([field]) => field in present));
  const said = Object.fromEntries(Object.entries(present).filter(([field]) => field in known));
  return modelDifferences(known, said);
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
      hint: `Choose another ("reembed adapter list"), or train one for this migration: "reembed adapter train --migration ${definition.id}".`,
      context: { adapter: entry.id, reasons },
    },
  );
}

function noProjection(ctx: MigrationContext, old: VectorTarget, entries: readonly ProjectionEntry[]): AdapterError {
  const { definition, runtime } = ctx;
  const from = old.dimensions === 0 ? nameOf(old) : `${old.dimensions}D`;
  return new AdapterError(
    'no_projection',
    `No pre-trained projection found for ${from} → ${definition.dimensions}D (${definition.model}): ${entries.length} in ${runtime.adapters.dir}, none of them measured and fitting.`,
    {
      step: 'fill',
      hint: `Train one: "reembed adapter train --migration ${definition.id}"; or run without an adapter, which embeds the texts.`,
      context: { dir: runtime.adapters.dir, projections: entries.map(({ id }) => id) },
    },
  );
}

function oldColumnMissing({ record }: ResolvedMigration): AdapterError {
  return new AdapterError(
    'old_column_missing',
    `${record.schema}.${record.table} has no old vectors any more that an adapter could map.`,
    {
      step: 'fill',
      hint: 'Run without an adapter: the texts are embedded then.',
    },
  );
}
