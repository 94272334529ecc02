import type { TableInfo } from '../db/catalog-types.ts';
import { type Dependent, readDependents } from '../db/dependents.ts';
import { PreflightError } from '../errors.ts';
import type { MigrationContext } from '../state/context.ts';

/**
 * Refuses what Postgres ties to the column itself and would silently go on reading it under its other name; warns about functions that
 * mention it.
 *
 * @throws PreflightError `column_has_dependents`
 */
export async function refuseBoundDependents(ctx: MigrationContext, table: TableInfo, column: string): Promise<void> {
  const dependents = await readDependents(ctx.db, table, column);
  const bound = dependents.filter((dependent) => dependent.bound);
  if (bound.length > 0) throw boundError(table, column, bound);
  for (const { name } of dependents) {
    ctx.onProgress({
      kind: 'warning',
      message: `The function ${name} mentions "${column}": see that it suits the vectors that come in.`,
    });
  }
}

function boundError(table: TableInfo, column: string, bound: readonly Dependent[]): PreflightError {
  const list = bound.map(({ kind, name }) => `${kind} ${name}`).join(', ');
  return new PreflightError(
    'column_has_dependents',
    `${table.schema}.${table.name}.${column} is read by ${list}: bound to the column itself, they would go on reading the vectors that leave.`,
    {
      step: 'cut-over',
      hint: 'Drop them before the swap and create them again after it.',
      context: { dependents: bound },
    },
  );
}
