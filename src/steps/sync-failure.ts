import { isPassingDatabaseError, SQLSTATE, sqlStateOf } from '../db/sqlstate.ts';
import { BusyError, DatabaseError, IntegrityError, ProviderError } from '../errors.ts';

/** Of a service that answers again once it is back. */
const OUTAGES: ReadonlySet<string> = new Set([
  'service_busy',
  'service_failed',
  'service_silent',
  'service_unreachable',
]);

/** Another process works on the migration, exchanges the columns at this moment, or holds the rows: nothing to tell anybody. */
export function isBusy(error: unknown): boolean {
  if (sqlStateOf(error) === SQLSTATE.undefinedColumn) return true;
  return error instanceof BusyError || (error instanceof IntegrityError && error.code === 'rows_kept_back');
}

/**
 * Whether a sync worker waits for better times. A key or a model that is refused ends it while nothing has worked yet; later on
 * somebody is about to mend it.
 */
export function isOutage(error: unknown, hasWorked: boolean): boolean {
  if (error instanceof ProviderError) return hasWorked || error.retryable || OUTAGES.has(error.code);
  if (error instanceof DatabaseError) return hasWorked && error.code === 'connection_failed';
  return isPassingDatabaseError(error);
}
