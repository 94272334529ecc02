import { SQLSTATE, sqlStateOf } from '../../db/sqlstate.ts';
import { DatabaseError, PreflightError } from '../../errors.ts';
import type { SqlFragment } from '../../sql/filter.ts';
import { metSwap, stateDenied } from '../active-model.ts';
import { filterFailed } from './compile-filter.ts';
import { ABSENT_SIDE, type SearchLayout } from './layout.ts';
import type { LayoutCache } from './layout-cache.ts';

/** A swap changes what a request knows once, or twice when its index is named just before. */
const ATTEMPTS = 4;

/** What an error is explained by. */
export interface Explanation {
  readonly stateSchema: string;
  readonly filter: SqlFragment | undefined;
}

/** Runs a request by the present layout, and again by a fresh one when it turns out that the migration has gone on. */
export async function untilSettled<T>(
  layouts: LayoutCache,
  explanation: Explanation,
  run: (layout: SearchLayout) => Promise<T>,
): Promise<T> {
  let failedBy: string | undefined;
  for (let attempt = 1; ; attempt++) {
    const layout = await layouts.get();
    try {
      return await run(layout);
    } catch (error) {
      const cause = causeOf(error);
      // What fails by a fresh layout as it did by the former one is not the migration's doing.
      const again = attempt < ATTEMPTS && isOutdated(error) && (cause === undefined || cause !== failedBy);
      if (!again) throw explained(error, explanation, layout);
      failedBy = cause;
      await layouts.replace(layout);
    }
  }
}

/** The table or the extension may have been renamed or moved, the state dropped. */
const MOVED: ReadonlySet<string> = new Set([SQLSTATE.undefinedTable, SQLSTATE.invalidSchemaName, '42704', '42883']);

function isOutdated(error: unknown): boolean {
  if (error instanceof PreflightError) return ABSENT_SIDE.has(error.code);
  return metSwap(error) || MOVED.has(sqlStateOf(error) ?? '');
}

/** What tells a lasting error; undefined for a change of the mark, which may come more than once. */
function causeOf(error: unknown): string | undefined {
  if (error instanceof PreflightError) return error.code;
  const state = sqlStateOf(error);
  return state === undefined || !(error instanceof Error) ? undefined : `${state} ${error.message}`;
}

function explained(error: unknown, { stateSchema, filter }: Explanation, { sides, active }: SearchLayout): unknown {
  if (error instanceof DatabaseError) return error;
  if (sqlStateOf(error) === SQLSTATE.insufficientPrivilege) return stateDenied(stateSchema, error);
  const side = sides[active];
  return filterFailed(error, filter, 'target' in side ? `${side.target.schema}.${side.target.table}` : 'the table');
}
