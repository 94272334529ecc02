import { withRetries } from '../backfill/retry.ts';
import type { TextVectorSource } from '../backfill/types.ts';
import { watchedSource } from '../backfill/watched-source.ts';
import { isRemote } from '../config/provider-names.ts';
import { IntegrityError } from '../errors.ts';
import { plural } from '../plural.ts';
import { embedCanary, lowestCosine } from '../providers/canary.ts';
import { cosineLimit } from '../providers/cosine-limit.ts';
import type { EmbeddingProvider } from '../providers/types.ts';
import { markCanary, readCanary, type StoredCanary, saveCanary } from '../state/canaries.ts';
import type { MigrationContext } from '../state/context.ts';
import { recordEvent } from '../state/events.ts';
import type { Lease } from '../state/lease.ts';
import { resolveMigration } from '../state/resolve.ts';
import { updateUnderLease } from '../state/update-under-lease.ts';
import { hasVectorsOf } from './adopt-model.ts';
import { giveUpRows } from './give-up-rows.ts';

/** Looks at a service again and again: it may come to run another model under the same name, and say nothing. */
export interface ModelWatch {
  /** The same source, with a look before every so many batches. */
  watch(source: TextVectorSource): TextVectorSource;
  /** One more look, for what was written since the last one. */
  finish(): Promise<void>;
  /** What a failed look leaves to be done once nobody writes any more; undefined when all looks were good. */
  failure(): Promise<IntegrityError | undefined>;
}

/** Whether a run ended before what it wrote was looked at. */
export async function isUnwatched(ctx: MigrationContext): Promise<boolean> {
  if (!isWatched(ctx, ctx.definition.provider)) return false;
  return (await readCanary(ctx.db, ctx.runtime.stateSchema, ctx.definition.id))?.writtenSince === true;
}

/**
 * Begins with a look. A model that runs on this machine is known by its files, and not watched.
 *
 * @throws IntegrityError `model_changed`; what was written since the last good look is pending again then
 */
export async function watchModel(
  ctx: MigrationContext,
  lease: Lease,
  provider: EmbeddingProvider,
  modelId: number,
  options: { readonly toWrite: boolean },
): Promise<ModelWatch | undefined> {
  if (!isWatched(ctx, provider.model.provider)) return undefined;
  let failed: Changed | undefined;

  async function look(writtenSince: boolean, signal: AbortSignal | undefined): Promise<void> {
    const changed = await lookAt(ctx, provider, modelId, writtenSince, signal);
    if (changed === undefined) return;
    failed ??= changed;
    throw modelChanged(provider, changed, undefined);
  }
  const failure = async (): Promise<IntegrityError | undefined> =>
    failed === undefined
      ? undefined
      : modelChanged(provider, failed, await giveUp(ctx, lease, provider, modelId, failed));
  const tried = (writtenSince: boolean): Promise<void> =>
    withRetries(() => look(writtenSince, ctx.signal), { attempts: ctx.runtime.maxRetries, signal: ctx.signal });

  try {
    await tried(options.toWrite);
  } catch (error) {
    throw (await failure()) ?? error;
  }
  return {
    watch: (source) => watchedSource(source, ctx.runtime.remote.canaryBatches, (signal) => look(true, signal)),
    finish: () => tried(false),
    failure,
  };
}

function isWatched(ctx: MigrationContext, provider: string): boolean {
  return isRemote(provider) && ctx.runtime.remote.canaryBatches > 0;
}

interface Changed {
  readonly lowest: number;
  readonly limit: number;
  readonly stored: StoredCanary;
}

/** @returns what differs; undefined when the model is the same, or is used for the first time */
async function lookAt(
  ctx: MigrationContext,
  provider: EmbeddingProvider,
  modelId: number,
  writtenSince: boolean,
  signal: AbortSignal | undefined,
): Promise<Changed | undefined> {
  const { db, definition, runtime } = ctx;
  // Before the request: what is embedded after it, by whatever model, is written after it.
  const checkedAt = await readClock(ctx);
  const found = await readCanary(db, runtime.stateSchema, definition.id);
  const stored = found?.modelId === modelId ? found : undefined;
  const seen = await embedCanary(provider.kept?.service ?? provider, signal, stored?.texts);
  const limit = cosineLimit(provider.model);
  const lowest = stored === undefined ? 1 : lowestCosine(stored, seen);
  if (stored !== undefined && !(lowest >= limit) && (await isBound(ctx, modelId))) return { lowest, limit, stored };
  if (stored !== undefined && lowest >= limit) {
    await markCanary(db, runtime.stateSchema, definition.id, { checkedAt, writtenSince });
  } else {
    await saveCanary(db, runtime.stateSchema, definition.id, { ...seen, modelId, checkedAt, writtenSince });
  }
  await provider.kept?.agree(seen);
  return undefined;
}

/** Without a vector in the table or in a backup there is nothing that another model's would mix with. */
async function isBound(ctx: MigrationContext, modelId: number): Promise<boolean> {
  const { record, target } = await resolveMigration(ctx);
  return record.backups.length > 0 || hasVectorsOf(ctx, target, modelId);
}

async function giveUp(
  ctx: MigrationContext,
  lease: Lease,
  provider: EmbeddingProvider,
  modelId: number,
  { lowest, limit, stored }: Changed,
): Promise<number> {
  const { record, target } = await resolveMigration(ctx);
  const since = stored.checkedAt;
  const rows = await giveUpRows(ctx, lease, target, modelId, since);
  await provider.kept?.forget();
  const rowsWritten = Math.max(0, record.rowsWritten - rows);
  await updateUnderLease(ctx, lease, { cursor: null, rowsWritten });
  await markCanary(ctx.db, ctx.runtime.stateSchema, record.id, { checkedAt: since, writtenSince: false });
  await recordEvent(ctx.db, ctx.runtime.stateSchema, record.id, 'model-changed', { lowest, limit, rows, since });
  return rows;
}

async function readClock(ctx: MigrationContext): Promise<string> {
  const { rows } = await ctx.db.query<{ now: string }>('SELECT pg_catalog.clock_timestamp()::text AS now');
  return rows[0]?.now ?? '';
}

function modelChanged(provider: EmbeddingProvider, changed: Changed, rows: number | undefined): IntegrityError {
  const { lowest, limit, stored } = changed;
  const { provider: service, name } = provider.model;
  const given =
    rows === undefined
      ? ''
      : ` ${rows} ${plural(rows, 'vector')} written since the last good look, at ${stored.checkedAt}, ${plural(rows, 'was', 'were')} given up.`;
  return new IntegrityError(
    'model_changed',
    `${service} ${name} is not the model any more that made the vectors before: of ${stored.texts.length} fixed texts the lowest cosine is ${Number(lowest.toFixed(4))}, at least ${limit} is expected.${given}`,
    {
      step: 'fill',
      hint: 'Have the service run the former model and run the same command again, or begin anew with this one: "reembed down --to 005", then "reembed up".',
      context: { lowest, limit, rows, lastGoodLook: stored.checkedAt },
    },
  );
}
