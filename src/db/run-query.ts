import type pg from 'pg';
import { typeParsers } from './type-parsers.ts';
import type { QueryResult } from './types.ts';

/** What the server may take for its answer to a statement that has run into `statement_timeout`. */
const GRACE_MS = 15_000;

/** Milliseconds after which no answer means that the connection is dead, although nothing has closed it. */
export function answerTime(statementTimeoutMs: number): number | undefined {
  return statementTimeoutMs > 0 ? statementTimeoutMs + GRACE_MS : undefined;
}

/** @param answerWithinMs without an answer by then the connection counts as lost (`ETIMEDOUT`), and is of no more use */
export async function runQuery<R>(
  client: pg.ClientBase,
  text: string,
  params?: readonly unknown[],
  answerWithinMs?: number,
): Promise<QueryResult<R>> {
  const query = {
    text,
    ...(params === undefined ? {} : { values: [...params] }),
    types: typeParsers,
    // Of pg, though its type declarations do not have it.
    ...(answerWithinMs === undefined ? {} : { query_timeout: Math.ceil(answerWithinMs) }),
  };
  try {
    const result = await client.query(query);
    return { rows: result.rows as R[], rowCount: result.rowCount ?? 0 };
  } catch (error) {
    throw asUnanswered(error, answerWithinMs);
  }
}

/** What `pg` throws when no answer came in time, as the lost connection that it is; every other error as it was. */
export function asUnanswered(error: unknown, answerWithinMs: number | undefined): unknown {
  return error instanceof Error && error.message === 'Query read timeout' ? unanswered(answerWithinMs, error) : error;
}

function unanswered(answerWithinMs: number | undefined, cause: Error): Error {
  const message = `Postgres has not answered for ${Math.round((answerWithinMs ?? 0) / 1000)} s: the connection is dead`;
  return Object.assign(new Error(message, { cause }), { code: 'ETIMEDOUT' });
}
