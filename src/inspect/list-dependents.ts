import { readTable } from '../db/catalog.ts';
import { type BoundDependent, readBoundDependents } from '../db/read-recreations.ts';
import { dependentsScript } from '../sql/recreate-dependent.ts';
import type { MigrationContext } from '../state/context.ts';

export interface DependentsReport {
  readonly table: string;
  readonly column: string;
  /** In the order in which they are made; an unknown `drop` is one that a person has to see to. */
  readonly dependents: readonly Pick<BoundDependent, 'kind' | 'name' | 'drop' | 'create'>[];
  /** To be run before the exchange. */
  readonly before: string;
  /** To be run after it; taken before it, while everything is there. */
  readonly after: string;
}

/**
 * What is bound to the column that is exchanged, views over views included, with the SQL that takes each away and makes it again as it is:
 * definition, owner, grants, options, comments, rules, triggers, indexes.
 *
 * @throws PreflightError `table_missing`
 */
export async function listDependents(ctx: Pick<MigrationContext, 'db' | 'definition'>): Promise<DependentsReport> {
  const table = await readTable(ctx.db, ctx.definition.table);
  const bound = await readBoundDependents(ctx.db, table, ctx.definition.column);
  return {
    table: `${table.schema}.${table.name}`,
    column: ctx.definition.column,
    dependents: bound.map(({ kind, name, drop, create }) => ({ kind, name, drop, create })),
    before: dependentsScript(bound, 'before'),
    after: dependentsScript(bound, 'after'),
  };
}
