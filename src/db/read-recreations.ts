import type { Recreation } from '../sql/recreate-dependent.ts';
import type { TableInfo } from './catalog-types.ts';
import { readRecreation, withBareSearchPath } from './dependent-sql.ts';
import { type Dependent, readBound } from './dependents.ts';
import type { Database, Queryable } from './types.ts';

/** Something bound to a column, and the statements with which it goes and comes back. */
export interface BoundDependent extends Dependent, Recreation {}

/** What is bound to a column, in the order in which it is made; dropped in the other one. */
export async function readBoundDependents(
  db: Database,
  table: Pick<TableInfo, 'oid'>,
  column: string,
): Promise<readonly BoundDependent[]> {
  return db.transaction((tx) => withBareSearchPath(tx, () => readAll(tx, table, column)));
}

async function readAll(tx: Queryable, table: Pick<TableInfo, 'oid'>, column: string): Promise<BoundDependent[]> {
  const found: BoundDependent[] = [];
  for (const dependent of await readBound(tx, table.oid, column)) {
    found.push({ ...dependent, ...(await readRecreation(tx, dependent)) });
  }
  return found;
}
