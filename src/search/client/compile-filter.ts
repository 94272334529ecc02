import { SQLSTATE, sqlStateOf } from '../../db/sqlstate.ts';
import { ConfigError, DatabaseError, messageOf } from '../../errors.ts';
import { fragmentSql, type SqlFragment } from '../../sql/filter.ts';
import type { TransactionSource } from '../active-model.ts';
import type { Filter, KnexTransactions } from './types.ts';

/** @throws ConfigError `no_knex` for a callback without a knex that could compile it */
export function compileFilter<Builder>(
  db: TransactionSource | KnexTransactions<Builder>,
  filter: Filter<Builder> | undefined,
): SqlFragment | undefined {
  if (typeof filter !== 'function') return filter;
  if ('compileFilter' in db) return db.compileFilter(filter);
  throw new ConfigError('no_knex', 'The filter is a callback for knex, and the searches run on no knex.', {
    hint: 'Make the search with createSearch(transactionsOfKnex(knex), …), or write the filter with where`…`.',
  });
}

/** SQLSTATE classes of what is wrong in the SQL itself: data, syntax or name. */
const AT_FAULT = ['22', '42'];

/** An error of a statement that holds the application's own SQL, told as that. */
export function filterFailed(cause: unknown, filter: SqlFragment | undefined, table: string): unknown {
  const state = sqlStateOf(cause);
  if (filter === undefined || state === undefined || state === SQLSTATE.insufficientPrivilege) return cause;
  if (!AT_FAULT.some((group) => state.startsWith(group))) return cause;
  return new DatabaseError('filter_failed', `Postgres refuses the search with its filter: ${messageOf(cause)}.`, {
    hint: `A filter is SQL over the columns of ${table}, which may be called "t"; it was: ${fragmentSql(filter, 1)}`,
    context: { sqlState: state },
    cause,
  });
}
