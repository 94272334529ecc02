import { readTable, readVectorExtension } from '../db/catalog.ts';
import type { TableInfo, VectorExtension } from '../db/catalog-types.ts';
import { parseIndexDefinition } from '../sql/index-definition.ts';
import type { VectorTarget } from '../sql/target.ts';
import type { MigrationContext } from '../state/context.ts';
import { readLastEvaluation } from '../state/evaluations.ts';
import { readModel } from '../state/models.ts';
import { readOwnerSession } from '../state/owner-session.ts';
import { type Pause, readHold } from '../state/pause.ts';
import { readText, recordedText } from '../state/read-text.ts';
import { listRecords, type MigrationRecord, type SavedBackup } from '../state/records.ts';
import { newVectorTarget, oldVectorTarget } from '../state/resolve.ts';
import { stateExists } from '../state/schema.ts';
import { hasGrown, type TunedSetting, tunedFor } from '../state/search-settings.ts';
import { readSyncMark, type SeenSync } from '../state/sync-mark.ts';
import { followText } from '../state/text-column.ts';
import type { ThrottleLook } from '../state/throttle-look.ts';
import { readUsage, type SpentUsage } from '../state/usage.ts';
import { type AdaptedRows, readAdaptedRows } from './adapted-rows.ts';
import { annIndexesOn } from './facts.ts';
import { listEvents, type MigrationEvent } from './list-events.ts';
import { type ReconciledMigration, reconcile, type StatusPhase } from './reconcile.ts';
import { type RowTally, readProvenance, tallyRows, tallyUntouched } from './row-counts.ts';
import { readWorkingLease } from './working-lease.ts';

export interface StatusIndex {
  readonly name: string;
  readonly kind: 'ivfflat' | 'hnsw';
  readonly valid: boolean;
  /** The column that it is on. */
  readonly column: string;
  /** What to set for a search, as stored with an index that the swap built: `ivfflat.probes` or `hnsw.ef_search`. */
  readonly probes?: number;
  readonly efSearch?: number;
  /** What `reembed tune` measured, while it is still about this index; `grown` where the table has outgrown it. */
  readonly tuned?: TunedSetting & { readonly grown: boolean };
}

/** What `reembed status` shows; `--json` prints it as it is. */
export interface Status {
  readonly migration: string;
  /** Schema and name. */
  readonly table: string;
  readonly phase: StatusPhase;
  readonly rows: RowTally;
  readonly model: { readonly from: string | null; readonly to: string };
  /** Whose vectors the application's column holds. */
  readonly active: 'old' | 'new';
  readonly indexes: readonly StatusIndex[];
  /** The application's column and where the new vectors are; null before 005. */
  readonly column: string;
  readonly newColumn: string | null;
  /** The old column's name after the swap. */
  readonly keptColumn: string | null;
  /** Rows without an old vector, which going back would have to fill; null where there is no old column. */
  readonly missingOld: number | null;
  /** Rows that an adapter filled, counted as done; null where the migration has none. */
  readonly adapted: AdaptedRows | null;
  /** Rows that are served with a vector of a former text, among the pending ones; null before the swap. */
  readonly stale: number | null;
  /** The worker of `reembed sync`; null when none runs, or one ended in order. */
  readonly sync: SeenSync | null;
  /** Who works at present; null when nobody does. */
  readonly lease: {
    readonly holder: string;
    readonly step: string;
    /** Without a heartbeat for `REEMBED_LEASE_SECONDS`. */
    readonly expired: boolean;
    /** The server's pid of the owner's session; null when it is gone. */
    readonly session: number | null;
  } | null;
  /** Who lets the backfill hold; null while nobody does. */
  readonly paused: Pause | null;
  /** What the last run saw of the database's health, each signal with its source and limit; null where none has looked. */
  readonly throttle: ThrottleLook | null;
  readonly backups: readonly SavedBackup[];
  /** The last one of `reembed evaluate` or of 007; null where there is none. */
  readonly evaluation: { readonly at: string; readonly verdict: string; readonly summary: string } | null;
  /** At services, in all runs of this migration; null where nothing was. */
  readonly spent: SpentUsage | null;
  /** Newest first. */
  readonly lastEvents: readonly MigrationEvent[];
  /** Where the state and the catalog do not agree. */
  readonly warnings: readonly string[];
}

const SHOWN_EVENTS = 5;

/**
 * The migration's state as the catalog bears it out. Counts by reading the whole table; changes nothing.
 *
 * @throws PreflightError `table_missing`, `extension_missing`, `text_renamed`, `text_gone`
 */
export async function readStatus(ctx: MigrationContext): Promise<Status> {
  const { db, definition, runtime } = ctx;
  const table = await readTable(db, definition.table);
  const extension = await readVectorExtension(db);
  const hasState = await stateExists(db, runtime.stateSchema);
  const records = hasState ? await listRecords(db, runtime.stateSchema) : [];
  const found = reconcile(definition, table, records);
  const seen = found.record === undefined ? found : { ...found, record: await followText(ctx, found.record, table) };
  const target = await newTarget(ctx, table, extension, seen.active, seen.record);
  const modelId = seen.record?.modelId ?? null;
  const rows =
    seen.phase === 'none'
      ? await tallyUntouched(db, target)
      : await tallyRows(db, target, modelId, seen.record === undefined ? undefined : definition.id);
  const hold = hasState ? await readHold(db, runtime.stateSchema, definition.id) : undefined;
  const keptColumn = seen.record?.keptColumn ?? seen.keptColumn;
  return {
    migration: definition.id,
    table: `${table.schema}.${table.name}`,
    phase: phaseByRows(seen, rows),
    rows,
    model: await modelNames(ctx, seen.record, records),
    active: seen.active,
    indexes: statusIndexes(table, [definition.column, definition.target, keptColumn], seen, rows.total - rows.skipped),
    column: definition.column,
    newColumn: seen.phase === 'none' ? null : target.column,
    keptColumn,
    missingOld: await missingOld(ctx, table, extension, seen.record),
    adapted: (await readAdaptedRows(ctx, target)) ?? null,
    stale:
      seen.record?.active === 'new' && target.provenance !== undefined
        ? (await readProvenance(db, target, modelId)).stale
        : null,
    sync: (hasState ? await readSyncMark(db, runtime.stateSchema, definition.id) : undefined) ?? null,
    lease: hasState ? await currentLease(ctx) : null,
    paused: hold?.pause ?? null,
    throttle: hold?.throttle ?? null,
    backups: seen.record?.backups ?? [],
    evaluation: hasState ? await lastEvaluation(ctx) : null,
    spent: (hasState ? await readUsage(ctx) : undefined) ?? null,
    lastEvents: hasState ? await listEvents(db, runtime.stateSchema, definition.id, SHOWN_EVENTS) : [],
    warnings: seen.warnings,
  };
}

/** Without a record the rows alone tell how far the new column is. */
function phaseByRows(seen: ReconciledMigration, rows: RowTally): StatusPhase {
  if (seen.record !== undefined || seen.phase !== 'backfilling') return seen.phase;
  if (rows.done === 0) return 'expanded';
  return rows.pending === 0 ? 'backfilled' : 'backfilling';
}

/** Without a record the vectors' model is unknown: then a row is done when it has a vector. */
async function newTarget(
  ctx: MigrationContext,
  table: TableInfo,
  extension: VectorExtension,
  active: 'old' | 'new',
  record: MigrationRecord | undefined,
): Promise<VectorTarget> {
  const described = record ?? { ...ctx.definition, ...recordedText(await readText(ctx, table)), active };
  const target = newVectorTarget(described, table, extension, ctx.runtime.stateSchema);
  return record === undefined ? { ...target, provenance: undefined } : target;
}

async function modelNames(
  ctx: MigrationContext,
  record: MigrationRecord | undefined,
  records: readonly MigrationRecord[],
): Promise<Status['model']> {
  const to = await nameOfModel(ctx, record?.modelId ?? null);
  const before = records.filter(
    (other) =>
      other.id !== ctx.definition.id &&
      other.active === 'new' &&
      other.column === ctx.definition.column &&
      other.tableOid === record?.tableOid &&
      (record.swappedAt === null || (other.swappedAt ?? '') < record.swappedAt),
  );
  const from = ctx.definition.from?.model ?? (await nameOfModel(ctx, before.at(-1)?.modelId ?? null));
  return { from, to: to ?? ctx.definition.model };
}

async function nameOfModel(ctx: MigrationContext, id: number | null): Promise<string | null> {
  if (id === null) return null;
  const fingerprint = await readModel(ctx.db, ctx.runtime.stateSchema, id);
  const name = fingerprint?.name;
  return typeof name === 'string' ? name : null;
}

function statusIndexes(
  table: TableInfo,
  columns: readonly (string | null)[],
  { record, active }: ReconciledMigration,
  rows: number,
): StatusIndex[] {
  return [...new Set(columns)].flatMap((column) => {
    if (column === null) return [];
    return annIndexesOn(table, column).map(({ name, method: kind, valid, definition }) => {
      const stored = record?.newIndexes.find((index) => index.name === name);
      const { options } = parseIndexDefinition(definition);
      const tuned = tunedFor(record?.searchSettings ?? null, { name, kind, side: active, options });
      const probes = kind === 'ivfflat' ? (tuned?.setting ?? stored?.probes) : undefined;
      const efSearch = kind === 'hnsw' ? (tuned?.setting ?? stored?.efSearch) : undefined;
      return {
        name,
        kind,
        valid,
        column,
        ...(probes === undefined ? {} : { probes }),
        ...(efSearch === undefined ? {} : { efSearch }),
        ...(tuned === undefined ? {} : { tuned: { ...tuned, grown: hasGrown(tuned, rows) } }),
      };
    });
  });
}

async function missingOld(
  ctx: MigrationContext,
  table: TableInfo,
  extension: VectorExtension,
  record: MigrationRecord | undefined,
): Promise<number | null> {
  if (record?.active !== 'new') return null;
  const old = oldVectorTarget(record, table, extension, ctx.runtime.stateSchema);
  if (old === undefined) return null;
  // With provenance cleared the vector is cleared as well: IS NULL tells both.
  const tally = await tallyRows(ctx.db, { ...old, provenance: undefined }, null, undefined);
  return tally.pending;
}

async function lastEvaluation({ db, definition, runtime }: MigrationContext): Promise<Status['evaluation']> {
  const last = await readLastEvaluation(db, runtime.stateSchema, definition.id);
  if (last === undefined) return null;
  const { at, verdict, report } = last;
  return { at, verdict, summary: String((report as { readonly summary?: unknown }).summary ?? verdict) };
}

async function currentLease(ctx: MigrationContext): Promise<Status['lease']> {
  const lease = await readWorkingLease(ctx.db, ctx.runtime.stateSchema, ctx.definition.id);
  if (lease === undefined) return null;
  const session = (await readOwnerSession(ctx.db, ctx.runtime.stateSchema, ctx.definition.id)) ?? null;
  return { holder: lease.holder, step: lease.step ?? '', expired: lease.expired, session };
}
