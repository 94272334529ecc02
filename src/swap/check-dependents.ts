import type { TableInfo } from '../db/catalog-types.ts';
import { readDependents } from '../db/dependents.ts';
import { type BoundDependent, readBoundDependents } from '../db/read-recreations.ts';
import { PreflightError, type Step } from '../errors.ts';
import type { MigrationContext } from '../state/context.ts';
import { readObstacles, recreatesViews } from './recreate-views.ts';

/**
 * Refuses what Postgres ties to the column itself and would silently go on reading it under its other name, with the SQL to make each
 * again; warns about functions that mention it. Plain views pass where the exchange may recreate them.
 *
 * @throws PreflightError `column_has_dependents`
 */
export async function refuseBoundDependents(
  ctx: MigrationContext,
  table: TableInfo,
  column: string,
  step: Step = 'cut-over',
): Promise<void> {
  const bound = await readBoundDependents(ctx.db, table, column);
  const obstacles = bound.length === 0 ? [] : await readObstacles(ctx.db, bound);
  const recreates = recreatesViews(ctx) && step === 'cut-over';
  if (bound.length > 0 && (obstacles.length > 0 || !recreates)) {
    throw boundError(table, column, bound, { step, obstacles, recreates });
  }
  if (bound.length > 0) {
    const message = `The exchange will drop and make again: ${bound.map(({ kind, name }) => `${kind} ${name}`).join(', ')}.`;
    ctx.onProgress({ kind: 'notice', message });
  }
  for (const { name, bound: tied } of await readDependents(ctx.db, table, column)) {
    if (tied) continue;
    ctx.onProgress({
      kind: 'warning',
      message: `The function ${name} mentions "${column}": see that it suits the vectors that come in.`,
    });
  }
}

interface Refusal {
  readonly step: Step;
  readonly obstacles: readonly string[];
  /** Views were to be recreated. */
  readonly recreates: boolean;
}

function boundError(
  table: TableInfo,
  column: string,
  bound: readonly BoundDependent[],
  { step, obstacles, recreates }: Refusal,
): PreflightError {
  const list = bound.map(({ kind, name }) => `${kind} ${name}`).join(', ');
  const why =
    step === 'finalize'
      ? 'they would be dropped with it.'
      : 'bound to the column itself, they would go on reading the vectors that leave.';
  const kept = recreates ? ` Not recreated, because ${obstacles.join('; ')}.` : '';
  const script =
    '"reembed swap --print-dependents" prints the SQL that drops them before the exchange and makes them again after it';
  const hint =
    step === 'finalize'
      ? 'Drop them, or point them at another column; the SQL of each is in the context of this error (--json).'
      : obstacles.length > 0
        ? `${script}.`
        : `Run it with --recreate-views (REEMBED_RECREATE_VIEWS=1, or recreateViews: true); or ${script}.`;
  return new PreflightError(
    'column_has_dependents',
    `${table.schema}.${table.name}.${column} is read by ${list}: ${why}${kept}`,
    {
      step,
      hint,
      context: {
        dependents: bound.map(({ kind, name, drop, create }) => ({ kind, name, drop: drop ?? null, create })),
      },
    },
  );
}
