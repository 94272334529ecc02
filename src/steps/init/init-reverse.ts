import type { MigrationInput } from '../../config/define-migration.ts';
import { providerOf } from '../../config/define-migration.ts';
import { PROVIDERS } from '../../config/provider-names.ts';
import type { MigrationDefinition, ModelReference, ProviderName } from '../../config/types.ts';
import { PreflightError } from '../../errors.ts';
import type { MigrationContext } from '../../state/context.ts';
import { readModel } from '../../state/models.ts';
import { listRecords, type MigrationRecord } from '../../state/records.ts';
import { resolveMigration } from '../../state/resolve.ts';
import { makeId } from './file-names.ts';
import { type InitPlace, type InitResult, writeMigration } from './init.ts';

export interface ReverseOptions extends InitPlace {
  readonly id?: string | undefined;
  /** The old model, where neither `from` nor an earlier migration tells it. */
  readonly model?: string | undefined;
  readonly dimensions?: number | undefined;
  /** Ids of the configuration, which are taken. */
  readonly taken?: readonly string[] | undefined;
}

/** Beyond these pgvector indexes halfvec only. */
const INDEXABLE_VECTOR = 2_000;

/**
 * Prepares the way back of a swapped or finalized migration as a migration of its own: the old model makes all vectors anew, from a
 * configuration file and migrations of their own. Nothing is asked of a model, and the database is only read.
 *
 * @throws PreflightError `not_swapped`, `old_model_unknown`; ConfigError `file_exists`
 */
export async function initReverse(ctx: MigrationContext, options: ReverseOptions = {}): Promise<InitResult> {
  const { definition } = ctx;
  const { record } = await resolveMigration(ctx);
  if (record.active !== 'new') throw notSwapped(record);
  const records = await listRecords(ctx.db, ctx.runtime.stateSchema);
  const old = await readOldModel(ctx, record, records, options);
  const taken = [...records.map(({ id }) => id), ...(options.taken ?? [])];
  const id = options.id ?? makeId([definition.id.slice(0, 35), 'back'], taken);
  const result = await writeMigration(
    reverseInput({ ...definition, ...(await madeBy(ctx, record)) }, record, old, id),
    options,
    `reembed.${id}.config`,
  );
  const finalizeFirst = record.keptColumn === null ? [] : [`npx reembed finalize --now --migration ${definition.id}`];
  return { ...result, next: [...result.next.slice(0, -1), ...finalizeFirst, ...result.next.slice(-1)] };
}

function reverseInput(
  definition: MigrationDefinition,
  record: MigrationRecord,
  old: ModelReference,
  id: string,
): MigrationInput {
  const { index, oldIndex, oldColumn, retentionDays, userTriggers } = definition;
  const chosen = Object.fromEntries(Object.entries(index).filter(([, value]) => value !== undefined));
  const { provider, model, dimensions } = definition;
  return {
    id,
    table: { schema: definition.table.schema, name: record.table },
    text: record.text,
    column: record.column,
    provider: old.provider,
    model: old.model,
    dimensions: old.dimensions,
    ...(old.dimensions > INDEXABLE_VECTOR && { vectorType: 'halfvec' }),
    index: chosen,
    ...(oldIndex !== 'keep' && { oldIndex }),
    ...(oldColumn !== 'keep' && { oldColumn }),
    retentionDays,
    ...(userTriggers !== 'refuse' && { userTriggers }),
    from: { provider, model, dimensions },
  };
}

/** What was said wins; then `from`, then the model of the migration before this one on the same column. */
async function readOldModel(
  ctx: MigrationContext,
  record: MigrationRecord,
  records: readonly MigrationRecord[],
  { model, dimensions }: ReverseOptions,
): Promise<ModelReference> {
  const known = ctx.definition.from ?? (await readEarlierModel(ctx, record, records));
  if (model !== undefined && dimensions !== undefined) return { provider: providerOf(model), model, dimensions };
  if (known !== undefined && model === undefined) return known;
  throw new PreflightError(
    'old_model_unknown',
    `Which model made the vectors before "${record.id}" is ${model === undefined ? 'not known' : 'known by name only'}: the configuration has no "from", and no earlier migration of this database made them.`,
    {
      step: 'configuration',
      hint: 'Name it: "reembed init --reverse --model <name> --dimensions <number>", or set "from" in the configuration.',
    },
  );
}

async function readEarlierModel(
  ctx: MigrationContext,
  record: MigrationRecord,
  records: readonly MigrationRecord[],
): Promise<ModelReference | undefined> {
  const earlier = records.findLast(
    (other) =>
      other.id !== record.id &&
      other.active === 'new' &&
      other.tableOid === record.tableOid &&
      other.column === record.column &&
      (other.swappedAt ?? '') < (record.swappedAt ?? ''),
  );
  return earlier === undefined ? undefined : readReference(ctx, earlier);
}

/** Of `adapted` the configuration names no provider that makes vectors; the state knows whose they are. */
async function madeBy(ctx: MigrationContext, record: MigrationRecord): Promise<Partial<ModelReference>> {
  return ctx.definition.provider === 'adapted' ? ((await readReference(ctx, record)) ?? {}) : {};
}

/** The model of a migration's vectors, as it was configured. */
async function readReference(
  ctx: MigrationContext,
  { modelId }: Pick<MigrationRecord, 'modelId'>,
): Promise<ModelReference | undefined> {
  if (modelId === null) return undefined;
  const stored = await readModel(ctx.db, ctx.runtime.stateSchema, modelId);
  const { provider, configuredAs: model, dimensions } = stored ?? {};
  if (!isProvider(provider) || typeof model !== 'string' || typeof dimensions !== 'number') return undefined;
  return { provider, model, dimensions };
}

function isProvider(name: unknown): name is ProviderName {
  return PROVIDERS.some((provider) => provider === name);
}

function notSwapped(record: MigrationRecord): PreflightError {
  return new PreflightError(
    'not_swapped',
    `The migration "${record.id}" is ${record.phase}: the old vectors are in use, and there is nothing to go back from.`,
    { step: 'configuration', hint: 'Look at it with "reembed status"; "reembed down" undoes what has been done.' },
  );
}
