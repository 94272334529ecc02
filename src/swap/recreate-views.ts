import type { TableInfo } from '../db/catalog-types.ts';
import { withBareSearchPath } from '../db/dependent-sql.ts';
import { type Dependent, readBound } from '../db/dependents.ts';
import { isPassingDatabaseError, sqlStateOf } from '../db/sqlstate.ts';
import type { Queryable } from '../db/types.ts';
import { readViews } from '../db/view-facts.ts';
import { BusyError, messageOf, PreflightError } from '../errors.ts';
import { createViewSql, dropViewSql } from '../sql/recreate-view.ts';
import type { MigrationContext } from '../state/context.ts';

/** A view that is gone for the moment, and what makes it again. */
export interface DroppedView {
  readonly name: string;
  readonly create: readonly string[];
}

export function recreatesViews(ctx: Pick<MigrationContext, 'definition' | 'runtime'>): boolean {
  return ctx.definition.recreateViews || ctx.runtime.recreateViews;
}

/** Why an exchange could not recreate all of these; empty where all are plain views that come back as they were. */
export async function readObstacles(db: Queryable, bound: readonly Dependent[]): Promise<string[]> {
  const others = bound
    .filter(({ kind }) => kind !== 'view')
    .map(({ kind, name }) => `the ${kind} ${name} is no plain view`);
  const views = bound.filter(({ kind }) => kind === 'view');
  const read = await readViews(
    db,
    views.map(({ oid }) => oid),
  );
  return [
    ...others,
    ...views.flatMap(({ name, oid }) => (read.get(oid)?.obstacles ?? []).map((why) => `the view ${name} ${why}`)),
  ];
}

/**
 * Drops the views over a column, those on top first: in the order in which their readers lock them, and before the table is locked. Under
 * it, readers that hold a view and wait for the table would keep the view from being dropped for ever.
 *
 * @returns what makes them again, in order
 * @throws BusyError `dependents_changed` for what has come since the exchange was checked
 */
export async function dropViews(
  ctx: MigrationContext,
  tx: Queryable,
  table: Pick<TableInfo, 'oid'>,
  column: string,
): Promise<readonly DroppedView[]> {
  const bound = await readBound(tx, table.oid, column);
  if (bound.length === 0) return [];
  const obstacles = await readObstacles(tx, bound);
  if (!recreatesViews(ctx) || obstacles.length > 0) throw dependentsChanged(column, bound);
  return withBareSearchPath(tx, async () => {
    const oids = bound.map(({ oid }) => oid);
    const views = await readViews(tx, oids);
    const facts = oids.flatMap((oid) => views.get(oid)?.facts ?? []);
    for (const view of facts.toReversed()) await tx.query(dropViewSql(view));
    return facts.map((view) => ({ name: `${view.schema}.${view.name}`, create: createViewSql(view) }));
  });
}

/** @throws BusyError `dependents_changed` where anything is bound to the column: all that was is dropped by now */
export async function refuseBound(tx: Queryable, table: Pick<TableInfo, 'oid'>, column: string): Promise<void> {
  const bound = await readBound(tx, table.oid, column);
  if (bound.length > 0) throw dependentsChanged(column, bound);
}

/**
 * Makes dropped views again over the column that has the name now.
 *
 * @throws PreflightError `view_unfit` when one cannot read it; the exchange is rolled back with it
 */
export async function createViews(tx: Queryable, views: readonly DroppedView[]): Promise<void> {
  if (views.length === 0) return;
  await withBareSearchPath(tx, async () => {
    for (const { name, create } of views) {
      await tx.query(create.join(';\n')).catch((cause: unknown) => {
        if (sqlStateOf(cause) === undefined || isPassingDatabaseError(cause)) throw cause;
        throw new PreflightError(
          'view_unfit',
          `The view ${name} cannot be made again over the vectors that come in: ${messageOf(cause)}. Nothing was exchanged, the view stands as it was.`,
          {
            step: 'cut-over',
            hint: `Drop it or change it so that it takes both, then run the same command again.`,
            context: { view: name, create },
            cause,
          },
        );
      });
    }
  });
}

function dependentsChanged(column: string, bound: readonly Dependent[]): BusyError {
  const list = bound.map(({ kind, name }) => `${kind} ${name}`).join(', ');
  return new BusyError('dependents_changed', `What reads "${column}" changed before the exchange: ${list}.`, {
    step: 'cut-over',
    hint: 'Run the same command again: it looks at them anew. Nothing was exchanged.',
    context: { dependents: bound },
  });
}
