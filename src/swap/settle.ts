import { readTableByOid } from '../db/catalog.ts';
import type { TableInfo } from '../db/catalog-types.ts';
import type { Queryable } from '../db/types.ts';
import { BusyError, messageOf } from '../errors.ts';
import { quoteQualified } from '../sql/identifiers.ts';
import type { MigrationContext } from '../state/context.ts';
import { type MigrationRecord, readRecord } from '../state/records.ts';
import { dropIndexConcurrently } from './build-index.ts';
import { type Locked, withTableLock } from './lock-table.ts';
import { countMissing, createPendingIndexes, type MissingRows, type PendingIndex } from './missing-rows.ts';
import { createViews, type DroppedView, dropViews, refuseBound } from './recreate-views.ts';

/** Rounds in which nothing may be missing; after them a few rows are accepted where the column is nullable. */
const STRICT_ROUNDS = 8;

/** What an exchange did. */
export interface ExchangeResult {
  /** Tries for the lock, over all rounds; 0 when it had happened before. */
  readonly attempts: number;
  /** How long the table was locked. */
  readonly lockedMs: number;
  /** Rows that came in without a vector, to be embedded right after. */
  readonly stragglers: number;
}

export const NOTHING_DONE: ExchangeResult = { attempts: 0, lockedMs: 0, stragglers: 0 };

export interface Settlement {
  /** The name that is exchanged: plain views over it are dropped and made again. */
  readonly column: string;
  /** Read anew in every round: the first rows of an empty table bring the model with them. */
  readonly missing: () => Promise<MissingRows>;
  /** Fills missing rows, outside any lock; undefined when nothing can. */
  readonly catchUp: (() => Promise<unknown>) | undefined;
  /** Missing rows accepted in a round, 1 and up. */
  readonly accept: (strict: boolean) => number;
  /** Checks the lease, inside the transaction before anything is changed. */
  readonly guard: ((tx: Queryable) => Promise<void>) | undefined;
  /** What `record.active` is when it has happened. */
  readonly becomes: 'old' | 'new';
  /** Whether the name's NOT NULL can stand; asked under the lock while the partial index is still there. Always unless given. */
  readonly keepsNotNull?: (tx: Queryable, missing: MissingRows) => Promise<boolean>;
  readonly apply: (tx: Queryable, table: TableInfo, record: MigrationRecord, left: Left) => Promise<void>;
  /** The error for rows that stay missing. */
  readonly refuse: (count: number, looks: readonly number[]) => Error;
}

/** What an exchange leaves as it is. */
export interface Left {
  readonly keepNotNull: boolean;
  /** Rows without a vector in the column that comes in. */
  readonly missing: number;
}

/** Accepts nothing at first, then `limit`: used by both ways where the column is nullable. */
export function acceptAfterStrictRounds(limit: number): (strict: boolean) => number {
  return (strict) => (strict ? 0 : limit);
}

/**
 * Brings an exchange about: fills what is missing, locks, looks again, and either exchanges or lets go and fills again. What an unknown
 * COMMIT did is read from the record under the next lock.
 */
export async function settleExchange(
  ctx: MigrationContext,
  table: Pick<TableInfo, 'oid' | 'schema' | 'name'>,
  settlement: Settlement,
): Promise<ExchangeResult> {
  let missing = await settlement.missing();
  let indexed = missing.indexed;
  let pendingIndexes = await createPendingIndexes(ctx, missing);
  let happened = false;
  try {
    let attempts = 0;
    let count = 0;
    const looks: number[] = [];
    for (let round = 1; round <= STRICT_ROUNDS + 1; round++) {
      const accepted = settlement.accept(round <= STRICT_ROUNDS);
      count = await countMissing(ctx.db, missing, Math.max(accepted, 1_000) + 1);
      if (count > accepted && settlement.catchUp === undefined) break;
      if (count > 0) await settlement.catchUp?.();
      missing = await settlement.missing();
      if (missing.indexed !== indexed) pendingIndexes = await createPendingIndexes(ctx, missing);
      indexed = missing.indexed;
      const locked = await lockAndTry(ctx, table, settlement, { missing, accepted, pendingIndexes });
      attempts += locked.attempts;
      count = locked.value.missing;
      looks.push(count);
      if (!locked.value.happened) {
        if (settlement.catchUp === undefined) break;
        continue;
      }
      happened = true;
      return { attempts: locked.value.before ? 0 : attempts, lockedMs: locked.lockedMs, stragglers: count };
    }
    throw settlement.refuse(count, looks);
  } finally {
    if (!happened) for (const { schema, name } of pendingIndexes) await dropQuietly(ctx, schema, name);
  }
}

interface Attempt {
  readonly happened: boolean;
  /** It had happened in an earlier try whose COMMIT went unanswered. */
  readonly before: boolean;
  readonly missing: number;
}

interface Look {
  readonly missing: MissingRows;
  readonly accepted: number;
  readonly pendingIndexes: readonly PendingIndex[];
}

/** Views come back whatever became of the attempt: over the old column again where nothing was exchanged. */
async function lockAndTry(
  ctx: MigrationContext,
  table: Pick<TableInfo, 'oid' | 'schema' | 'name'>,
  settlement: Settlement,
  look: Look,
): Promise<Locked<Attempt>> {
  let views: readonly DroppedView[] = [];
  const before = async (tx: Queryable): Promise<boolean> => {
    views = await dropViews(ctx, tx, table, settlement.column);
    return views.length > 0;
  };
  const work = async (tx: Queryable): Promise<Attempt> => {
    // Made between that look and the lock, it would go on reading the vectors that leave.
    await refuseBound(tx, table, settlement.column);
    const attempt = await tryOnce(ctx, tx, settlement, table, look);
    await createViews(tx, views);
    return attempt;
  };
  return withTableLock(ctx, table, 'cut-over', work, before);
}

async function tryOnce(
  ctx: MigrationContext,
  tx: Queryable,
  settlement: Settlement,
  table: Pick<TableInfo, 'oid'>,
  { missing, accepted, pendingIndexes }: Look,
): Promise<Attempt> {
  await settlement.guard?.(tx);
  const record = await readRecord(tx, ctx.runtime.stateSchema, ctx.definition.id);
  if (record === undefined) {
    throw new BusyError('record_gone', `The record of the migration "${ctx.definition.id}" was removed meanwhile.`, {
      step: 'cut-over',
      hint: 'Run "reembed status".',
    });
  }
  if (record.active === settlement.becomes) return { happened: true, before: true, missing: 0 };
  // On a table that has the partial index, its few entries are all there is to read.
  if (pendingIndexes.length > 0) await tx.query('SET LOCAL enable_seqscan = off');
  const count = await countMissing(tx, missing, Math.max(accepted, 1_000) + 1);
  if (count > accepted) return { happened: false, before: false, missing: count };
  const keepNotNull = (await settlement.keepsNotNull?.(tx, missing)) ?? true;
  if (pendingIndexes.length > 0) {
    const names = pendingIndexes.map(({ schema, name }) => quoteQualified(schema, name));
    await tx.query(`DROP INDEX ${names.join(', ')}`);
  }
  await settlement.apply(tx, await readTableByOid(tx, table.oid), record, { keepNotNull, missing: count });
  return { happened: true, before: false, missing: count };
}

async function dropQuietly(ctx: MigrationContext, schema: string, name: string): Promise<void> {
  await dropIndexConcurrently(ctx, schema, name).catch((cause: unknown) =>
    ctx.onProgress({ kind: 'warning', message: `The index ${name} could not be dropped: ${messageOf(cause)}` }),
  );
}
