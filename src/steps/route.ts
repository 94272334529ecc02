import { PreflightError } from '../errors.ts';
import type { MigrationContext } from '../state/context.ts';
import { recordEvent } from '../state/events.ts';
import type { MigrationRecord } from '../state/records.ts';
import { findRecord, resolveMigration } from '../state/resolve.ts';
import { readRoutePercent, setRoutePercent } from '../state/route.ts';
import { upgradeState } from '../state/state-version.ts';

export interface RouteResult {
  /** Share of the requests in mode `route` that the new vectors serve, 0..100; null where all go to the active model. */
  readonly percent: number | null;
  readonly active: 'old' | 'new';
  /** False once the old column was dropped: the new vectors serve all then, whatever share is set. */
  readonly hasOld: boolean;
}

/** What is set now. @throws PreflightError `not_expanded` before 005 */
export async function readRoute(ctx: MigrationContext): Promise<RouteResult> {
  const record = await findRecord(ctx);
  if (record === undefined) throw notExpanded(ctx);
  const percent = await readRoutePercent(ctx.db, ctx.runtime.stateSchema, ctx.definition.id);
  return { percent, active: record.active, hasOld: hasOld(record) };
}

/**
 * Sets the share of the requests that `createSearch` gives to the new vectors in mode `route`; running clients follow with their next
 * request. Takes no lease.
 *
 * @param percent 0..100, or null for the active model alone
 * @throws RangeError for another number; PreflightError `not_expanded` before 005
 */
export async function setRoute(ctx: MigrationContext, percent: number | null): Promise<RouteResult> {
  if ((await findRecord(ctx)) === undefined) throw notExpanded(ctx);
  await upgradeState(ctx, 'inspect');
  const { record } = await resolveMigration(ctx, { withoutText: true });
  const { stateSchema } = ctx.runtime;
  if (!(await setRoutePercent(ctx.db, stateSchema, record.id, percent))) throw notExpanded(ctx);
  await recordEvent(ctx.db, stateSchema, record.id, 'routed', { percent });
  return { percent, active: record.active, hasOld: hasOld(record) };
}

function hasOld({ active, keptColumn }: MigrationRecord): boolean {
  return active === 'old' || keptColumn !== null;
}

function notExpanded({ definition }: MigrationContext): PreflightError {
  return new PreflightError(
    'not_expanded',
    `The migration "${definition.id}" has not been started in this database: there are no new vectors to route to.`,
    { step: 'inspect', hint: 'Run "npx knex migrate:up" (or "reembed up --to 005") first.' },
  );
}
