import { existsSync } from 'node:fs';
import type { ProjectionEntry } from '../adapters/types.ts';
import { IntegrityError, PreflightError } from '../errors.ts';
import { verify } from '../inspect/verify.ts';
import type { MigrationContext } from '../state/context.ts';
import { resolveMigration } from '../state/resolve.ts';
import { dropUnusedState, ensureStateSchema } from '../state/schema.ts';
import {
  type AdapterHistory,
  type AdapterMark,
  assertMayBegin,
  markBegun,
  markEnded,
  readHistory,
} from './adapter-mark.ts';
import { cutOver } from './cut-over.ts';
import { expand } from './expand.ts';
import { fill } from './fill.ts';
import { backup } from './finalize.ts';
import { findAdapter } from './find-adapter.ts';
import { type MeasuredPreservation, measurePreservation, refusePoor } from './measure-preservation.ts';
import { type LazyProvider, lazyProvider } from './provider.ts';
import { isVerdict, undoAdapter } from './undo-adapter.ts';

export interface MigrateWithAdapterOptions {
  /** Of the registry; the one that REEMBED_ADAPTER names, else the best that fits, unless given. */
  readonly projection?: string | undefined;
  /** Writes the old vectors into a checksummed file before anything is mapped (true). */
  readonly autoBackup?: boolean | undefined;
  /** Recounts, compares and measures before the swap and after it, and takes everything back where that fails (true). */
  readonly verify?: boolean | undefined;
  /** The similarity preservation that is asked for (0.8). */
  readonly minSimilarity?: number | undefined;
}

export interface MigratedWithAdapter {
  /** The application's column holds the new model's space now. */
  readonly migrated: true;
  readonly projection: string;
  /** Of the old vectors; undefined where none was asked for. */
  readonly backupPath: string | undefined;
  /** Correlation of pairwise similarities, adapted against real; undefined only where nobody has measured it and no verification was asked for. */
  readonly similarityPreservation: number | undefined;
  /** Rows of this table that it was measured on; 0: on the projection's holdout. */
  readonly measuredRows: number;
}

const MIN_SIMILARITY = 0.8;

/**
 * Moves a table to the new model by a projection in one call: column, backup, mapped vectors, verification, swap, verification. Where one of them
 * finds the vectors not good enough, everything is taken back, and the table is as it was before. A call that was cut off is gone on with by the
 * next one, or by the ordinary steps; one that was finished and is in service is only told again. The old column is kept, whatever `oldColumn`
 * says: `finalize` drops it.
 *
 * @throws AdapterError `adapter_undone` with what was found as its cause, `undo_failed`, `no_projection`; PreflightError `vectors_there`,
 *   `already_swapped`; InterruptedError, BusyError, DatabaseError, which leave everything to be gone on with
 */
export async function migrateWithAdapter(
  ctx: MigrationContext,
  options: MigrateWithAdapterOptions = {},
): Promise<MigratedWithAdapter> {
  const { minSimilarity = MIN_SIMILARITY } = options;
  if (!(minSimilarity >= 0 && minSimilarity <= 1)) {
    throw new RangeError(`minSimilarity is a number from 0 to 1, got ${minSimilarity}`);
  }
  const history = await readHistory<Omit<MigratedWithAdapter, 'migrated'>>(ctx);
  const { applied } = history;
  const asked = [options.projection, ctx.runtime.adapters.use].find((id) => id !== undefined && id !== 'auto');
  // A deploy says it each time: what is in service is not put to the test, or taken back, once more.
  if (applied !== undefined && (asked ?? applied.projection) === applied.projection) {
    return { ...applied, migrated: true };
  }
  const entry = await findAdapter(ctx, asked ?? history.begun?.projection);
  const own = contextFor(ctx, entry);
  await assertMayBegin(own, history, entry.id);
  const mark = await begin(own, history, entry);
  const provider = lazyProvider(own, own.definition);
  try {
    return await apply(own, { entry, provider, mark }, { ...options, minSimilarity });
  } catch (error) {
    if (!isVerdict(error)) throw error;
    throw await undoAdapter(own, mark, error);
  } finally {
    await provider.close();
  }
}

/** The mark stands before the column does: whoever goes on after a crash between the two knows whose column it is. */
async function begin(
  ctx: MigrationContext,
  { record, begun }: Pick<AdapterHistory<unknown>, 'record' | 'begun'>,
  { id }: ProjectionEntry,
): Promise<AdapterMark> {
  const { stateSchema } = ctx.runtime;
  const fresh = { expandedBefore: record !== undefined, backupsBefore: record?.backups.length ?? 0 };
  // Where the state may not be made, 005 says so together with what else stands in the way.
  const { created } = await ensureStateSchema(ctx.db, stateSchema).catch(async (error: unknown) => {
    await expand(ctx);
    throw error;
  });
  try {
    const mark = begun?.projection === id ? begun : await markBegun(ctx, { ...fresh, ...begun, projection: id });
    if (record?.active !== 'new') await expand(ctx);
    return mark;
  } catch (error) {
    if (created && error instanceof PreflightError) await dropUnusedState(ctx.db, stateSchema);
    throw error;
  }
}

/** The steps find the projection in their settings. What may have to be taken back keeps its old column. */
function contextFor(ctx: MigrationContext, { id }: ProjectionEntry): MigrationContext {
  const { definition, runtime } = ctx;
  if (definition.oldColumn === 'drop') {
    const message = 'The old column is kept until its vectors are real ones: "reembed finalize" drops it.';
    ctx.onProgress({ kind: 'notice', message });
  }
  return {
    ...ctx,
    definition: { ...definition, oldColumn: 'keep' },
    runtime: { ...runtime, adapters: { ...runtime.adapters, use: id } },
  };
}

interface Begun {
  readonly entry: ProjectionEntry;
  readonly provider: LazyProvider;
  readonly mark: AdapterMark;
}

async function apply(
  ctx: MigrationContext,
  { entry, provider, mark }: Begun,
  options: MigrateWithAdapterOptions & { readonly minSimilarity: number },
): Promise<MigratedWithAdapter> {
  const { autoBackup = true, verify: verified = true, minSimilarity } = options;
  const backupPath = autoBackup ? await backUpOld(ctx, mark) : undefined;
  await fill(ctx);
  const measured = verified
    ? await verifyAdapted(ctx, entry, provider, minSimilarity)
    : { similarityPreservation: entry.metrics?.similarityPreservation, rows: 0 };
  await cutOver(ctx);
  if (verified) await verifyRows(ctx, provider);
  const { similarityPreservation, rows: measuredRows } = measured;
  const result = { projection: entry.id, backupPath, similarityPreservation, measuredRows };
  await markEnded(ctx, 'adapter-applied', result);
  return { migrated: true, ...result };
}

/** The one that an earlier call has written is of the same vectors as long as they are the application's. */
async function backUpOld(ctx: MigrationContext, mark: AdapterMark): Promise<string> {
  const { record } = await resolveMigration(ctx);
  const earlier = record.backups.slice(mark.backupsBefore).findLast(({ vectors }) => vectors === 'old');
  if (earlier !== undefined && existsSync(earlier.path)) return earlier.path;
  return (await backup(ctx, { side: 'old', reason: 'before-adapter' })).path;
}

async function verifyAdapted(
  ctx: MigrationContext,
  entry: ProjectionEntry,
  provider: LazyProvider,
  minSimilarity: number,
): Promise<MeasuredPreservation> {
  const measured = await measurePreservation(ctx, entry, provider);
  refusePoor(measured, minSimilarity);
  await verifyRows(ctx, provider);
  return measured;
}

/** @throws IntegrityError `not_verified` with the checks that failed */
async function verifyRows(ctx: MigrationContext, provider: LazyProvider): Promise<void> {
  const report = await verify(ctx, { seed: 1, provider: () => provider.get() });
  if (report.ok) return;
  const failed = report.checks.filter(({ ok }) => !ok);
  throw new IntegrityError(
    'not_verified',
    `Verification of ${report.table}.${report.column} failed: ${failed.map(({ name, detail }) => `${name}: ${detail}`).join('; ')}.`,
    { step: 'adapter', hint: 'Correct what the checks name, then run the same command again.', context: { failed } },
  );
}
