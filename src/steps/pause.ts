import { hostname, userInfo } from 'node:os';
import { readWorkingLease } from '../inspect/working-lease.ts';
import type { MigrationContext } from '../state/context.ts';
import { recordEvent } from '../state/events.ts';
import { clearPause, type Pause, setPause } from '../state/pause.ts';
import { resolveMigration } from '../state/resolve.ts';
import { stateExists } from '../state/schema.ts';
import { upgradeState } from '../state/state-version.ts';

export interface PauseResult {
  /** Who paused it and when: whoever was first. */
  readonly pause: Pause;
  /** The process that holds now; null when none is at work. */
  readonly holder: string | null;
}

export interface ResumeResult {
  /** False when it was not paused. */
  readonly changed: boolean;
  readonly holder: string | null;
}

/**
 * Lets a backfill hold: one at work notices within about a second, writes what is embedded and waits, with its lease; one that starts waits,
 * and under knex refuses. Takes no lease itself.
 *
 * @param by who is told to have paused it; user and host unless said
 * @throws PreflightError `not_expanded` before 005
 */
export async function pause(ctx: MigrationContext, by: string = whoAmI()): Promise<PauseResult> {
  await openState(ctx);
  const { stateSchema } = ctx.runtime;
  const set = await setPause(ctx.db, stateSchema, ctx.definition.id, by);
  if (set === undefined) throw new Error(`the record of "${ctx.definition.id}" went while it was paused`);
  if (set.by === by) await recordEvent(ctx.db, stateSchema, ctx.definition.id, 'paused', { by });
  return { pause: set, holder: await holderOf(ctx) };
}

/**
 * Ends a pause; a run that holds goes on within about a second.
 *
 * @throws PreflightError `not_expanded` before 005
 */
export async function resume(ctx: MigrationContext, by: string = whoAmI()): Promise<ResumeResult> {
  await openState(ctx);
  const { stateSchema } = ctx.runtime;
  const changed = await clearPause(ctx.db, stateSchema, ctx.definition.id);
  if (changed) await recordEvent(ctx.db, stateSchema, ctx.definition.id, 'resumed', { by });
  return { changed, holder: await holderOf(ctx) };
}

async function openState(ctx: MigrationContext): Promise<void> {
  if (await stateExists(ctx.db, ctx.runtime.stateSchema)) await upgradeState(ctx, 'fill');
  await resolveMigration(ctx);
}

async function holderOf({ db, runtime, definition }: MigrationContext): Promise<string | null> {
  const lease = await readWorkingLease(db, runtime.stateSchema, definition.id);
  return lease === undefined || lease.expired ? null : lease.holder;
}

/** A container may run under a number that has no name. */
function whoAmI(): string {
  try {
    return `${userInfo().username}@${hostname()}`;
  } catch {
    return hostname();
  }
}
