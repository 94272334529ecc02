import type { TableInfo } from '../db/catalog-types.ts';
import type { Queryable } from '../db/types.ts';
import { BusyError } from '../errors.ts';
import { plural } from '../plural.ts';
import { keptColumnName } from '../sql/exchange.ts';
import { provenanceOf, type VectorTarget } from '../sql/target.ts';
import { createSwappedTriggerSql, dropTriggerSql } from '../sql/trigger.ts';
import type { MigrationContext } from '../state/context.ts';
import { recordEvent } from '../state/events.ts';
import { type MigrationRecord, type NewIndex, updateRecord } from '../state/records.ts';
import { findRecord, oldVectorTarget, type ResolvedMigration, resolveMigration } from '../state/resolve.ts';
import { exchangeColumnsSql, isTriggerAlways } from './exchange-columns.ts';
import { swapIndexNames } from './exchange-indexes.ts';
import { type MissingRows, missingNewVectors } from './missing-rows.ts';
import { readIndexTree } from './partition-index-names.ts';
import { acceptAfterStrictRounds, type ExchangeResult, NOTHING_DONE, settleExchange } from './settle.ts';

const ACCEPT_PENDING = 500;

export interface ExchangeOptions {
  /** Embeds what is pending; called outside any lock. */
  readonly catchUp: () => Promise<void>;
  /** What `buildIndexes` returned; that of the record unless given. */
  readonly newIndexes?: readonly NewIndex[];
  /** Pending rows accepted after eight rounds where the column is nullable (500). */
  readonly acceptPending?: number;
  /** Runs under the lock before anything is changed; a throw stops the exchange. */
  readonly guard?: (tx: Queryable) => Promise<void>;
  /** Stands in the event of the swap beside the columns. */
  readonly noted?: Readonly<Record<string, unknown>> | undefined;
}

/**
 * Exchanges the new column for the old one, in one short transaction under a lock that nobody waits for longer than 50 ms. What belongs
 * to the column's name goes with the name; the trigger watches both columns from then on. Afterwards run `finishExchange`.
 * Does nothing where it has happened already.
 *
 * @throws BusyError `table_locked` when the table stays locked, `cannot_catch_up` when rows keep arriving faster than they are embedded
 */
export async function exchange(
  ctx: MigrationContext,
  resolved: ResolvedMigration,
  options: ExchangeOptions,
): Promise<ExchangeResult> {
  if (resolved.record.active === 'new') return NOTHING_DONE;
  // Indexes were built since the caller read the table.
  const fresh = await resolveMigration(ctx);
  const { record, table, target } = fresh;
  if (record.active === 'new') return NOTHING_DONE;
  await announceStandbys(ctx);
  const notNull = table.columns.find((column) => column.name === record.column)?.notNull === true;
  const missing = async (): Promise<MissingRows> => {
    const modelId = (await findRecord(ctx))?.modelId ?? null;
    return missingNewVectors(target, modelId, { migrationId: record.id, notNull });
  };
  const accept = acceptAfterStrictRounds(notNull ? 0 : (options.acceptPending ?? ACCEPT_PENDING));
  return settleExchange(ctx, table, {
    column: record.column,
    missing,
    catchUp: options.catchUp,
    accept,
    guard: options.guard,
    becomes: 'new',
    apply: (tx, now, present, { missing: left }) => {
      const newIndexes = options.newIndexes ?? present.newIndexes;
      const swapped = { ...fresh, table: now, record: { ...present, newIndexes, hasGaps: left > 0 } };
      return applySwap(ctx, tx, swapped, options.noted);
    },
    refuse: (count, looks) => cannotCatchUp(table, record, { count, looks, notNull }),
  });
}

async function applySwap(
  ctx: MigrationContext,
  tx: Queryable,
  resolved: ResolvedMigration,
  noted: ExchangeOptions['noted'],
): Promise<void> {
  const { record, table, target, extension } = resolved;
  const { stateSchema } = ctx.runtime;
  const old = oldVectorTarget(record, table, extension, stateSchema);
  const keep = ctx.definition.oldColumn === 'keep';
  const keptColumn = keep ? keptColumnName(record.column) : null;
  const always = await isTriggerAlways(tx, table.oid, record.id);
  const columns = await exchangeColumnsSql(
    tx,
    table,
    {
      outgoing: { column: record.column, provenance: old?.provenance },
      outgoingName: keptColumn ?? undefined,
      incoming: { column: record.target, provenance: target.provenance },
      keepNotNull: true,
    },
    record.id,
  );
  const indexes = swapIndexNames(table, record, keep, await readIndexTree(tx, table));
  const kept = old === undefined || keptColumn === null ? undefined : keptTarget(old, keptColumn);
  const served = { ...target, column: record.column, provenance: provenanceOf(record.column) };
  const trigger = createSwappedTriggerSql({ served, kept }, record.id, { always });
  // One that watches the old column for an adapter's sake would not let it be dropped.
  const watching = target.adapted === undefined ? [] : dropTriggerSql(target, record.id);
  await tx.query([...watching, ...columns, ...indexes.statements, ...trigger].join(';\n'));
  await updateRecord(tx, stateSchema, record.id, {
    phase: 'swapped',
    active: 'new',
    keptColumn,
    newIndexes: record.newIndexes,
    hasGaps: record.hasGaps,
    oldIndexes: indexes.oldIndexes,
    swappedAt: await readNow(tx),
  });
  await recordEvent(tx, stateSchema, record.id, 'swapped', { column: record.column, keptColumn, ...noted });
  warnUnreplaced(ctx, record, indexes.unreplaced);
}

function keptTarget(old: VectorTarget, column: string): VectorTarget {
  return { ...old, column, provenance: old.provenance === undefined ? undefined : provenanceOf(column) };
}

function warnUnreplaced(ctx: MigrationContext, record: MigrationRecord, names: readonly string[]): void {
  if (names.length === 0 || ctx.definition.index.kind === 'none') return;
  ctx.onProgress({
    kind: 'warning',
    message: `Nothing was built in the place of ${names.join(', ')}: made after the other indexes of "${record.column}". Create it anew.`,
  });
}

export async function readNow(tx: Queryable): Promise<string> {
  const { rows } = await tx.query<{ now: string }>('SELECT pg_catalog.now()::text AS now');
  return rows[0]?.now ?? new Date().toISOString();
}

interface Unsettled {
  readonly count: number;
  /** Rows missing at each look under the lock. */
  readonly looks: readonly number[];
  readonly notNull: boolean;
}

function cannotCatchUp(table: TableInfo, record: MigrationRecord, { count, looks, notNull }: Unsettled): BusyError {
  const why = notNull ? `, and "${record.column}" is NOT NULL, so that none may be left over` : '';
  return new BusyError(
    'cannot_catch_up',
    `${table.schema}.${table.name} still had ${count} ${plural(count, 'row')} without a new vector at every look under the lock${why}; the looks found ${looks.join(', ')}.`,
    {
      step: 'cut-over',
      hint: 'Look at them with "reembed status", pause the writers or wait for a quieter hour, then run the same command again.',
      context: { pending: count, looks },
    },
  );
}

/** A standby replays the lock and waits for its own readers with it: that cannot be timed from here. */
async function announceStandbys(ctx: MigrationContext): Promise<void> {
  if (ctx.db.embedded) return;
  const { rows } = await ctx.db.query<{ count: number }>(
    `SELECT pg_catalog.count(*)::float8 AS count FROM pg_catalog.pg_stat_replication r
     LEFT JOIN pg_catalog.pg_replication_slots s ON s.active_pid = r.pid WHERE s.slot_type IS DISTINCT FROM 'logical'`,
  );
  const count = rows[0]?.count ?? 0;
  if (count === 0) return;
  ctx.onProgress({
    kind: 'notice',
    message: `${count} ${plural(count, 'standby replays', 'standbys replay')} the exchange: a long query there makes others on that standby wait for it, up to max_standby_streaming_delay.`,
  });
}
