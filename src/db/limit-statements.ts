import type { Database, Queryable } from './types.ts';

/** The same connections, on which a statement is cancelled after so many milliseconds (SQLSTATE 57014); 0 is never. */
export function limitStatements(db: Database, statementTimeoutMs: number): Queryable {
  return { query: (text, params) => db.query(text, params, { statementTimeoutMs }) };
}
