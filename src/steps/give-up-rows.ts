import { setTimeout as sleep } from 'node:timers/promises';
import { BusyError } from '../errors.ts';
import { plural } from '../plural.ts';
import { clearSinceSql, madeSinceSql } from '../sql/clear-since.ts';
import { tableSql, type VectorTarget } from '../sql/target.ts';
import type { MigrationContext } from '../state/context.ts';
import { assertLease, type Lease } from '../state/lease.ts';

const LOOKS = 100;
const PAUSE_MS = 300;

/**
 * Clears what a model wrote since `since`. Also when the run is asked to stop: what is not cleared would be taken for the model's own. Never waits
 * for a row that the application holds, but looks again.
 *
 * @returns the number of rows that are pending again
 * @throws BusyError `rows_locked`, `lease_lost`
 */
export async function giveUpRows(
  ctx: MigrationContext,
  lease: Pick<Lease, 'token'>,
  target: VectorTarget,
  modelId: number,
  since: string,
): Promise<number> {
  let cleared = 0;
  for (let look = 1; ; look++) {
    cleared += await ctx.db.transaction(async (tx) => {
      await assertLease(tx, ctx.runtime.stateSchema, ctx.definition.id, lease.token);
      return (await tx.query(clearSinceSql(target, modelId), [since])).rowCount;
    });
    const { rows } = await ctx.db.query<{ n: number }>(
      `SELECT count(*)::int AS n FROM ${tableSql(target)} t WHERE ${madeSinceSql(target, modelId)}`,
      [since],
    );
    const left = rows[0]?.n ?? 0;
    if (left === 0) return cleared;
    if (look === LOOKS) throw rowsLocked(target, left);
    await sleep(PAUSE_MS);
  }
}

function rowsLocked(target: VectorTarget, left: number): BusyError {
  return new BusyError(
    'rows_locked',
    `${left} ${plural(left, 'row')} of ${target.schema}.${target.table} with vectors of another model ${plural(left, 'was', 'were')} locked at every look for ${(LOOKS * PAUSE_MS) / 1000} s.`,
    {
      step: 'fill',
      hint: 'End or wait for the sessions that hold them, then run the same command again: it clears them first.',
      context: { rows: left },
    },
  );
}
