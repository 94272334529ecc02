import { SQLSTATE, sqlStateOf } from '../db/sqlstate.ts';
import type { MigrationContext } from '../state/context.ts';
import { listRecords, type MigrationRecord } from '../state/records.ts';
import { stateExists } from '../state/schema.ts';

/** All migrations that reembed has recorded in this database; none where this role may not read them, which the rights' own finding says. */
export async function readRecords({ db, runtime }: MigrationContext): Promise<MigrationRecord[]> {
  try {
    return (await stateExists(db, runtime.stateSchema)) ? await listRecords(db, runtime.stateSchema) : [];
  } catch (error) {
    if (sqlStateOf(error) === SQLSTATE.insufficientPrivilege) return [];
    throw error;
  }
}
