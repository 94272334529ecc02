import { DatabaseError, messageOf } from '../errors.ts';
import { sqlStateOf } from './sqlstate.ts';
import type { ConnectionSettings } from './types.ts';

/** `host:port/database`, never user or password. */
export function describeConnection(settings: ConnectionSettings): string {
  if (settings.embedded) return 'the embedded database';
  if (settings.connectionString !== undefined) {
    try {
      const url = new URL(settings.connectionString);
      return `${url.hostname || 'localhost'}:${url.port || '5432'}${url.pathname}`;
    } catch {
      return 'the database of DATABASE_URL';
    }
  }
  return `${settings.host ?? 'localhost'}:${settings.port ?? 5432}/${settings.database ?? ''}`;
}

/** What went wrong while connecting, in one sentence with the next step. */
export function connectionError(settings: ConnectionSettings, cause: unknown): DatabaseError {
  const where = describeConnection(settings);
  const state = sqlStateOf(cause);
  const hint =
    state === '28P01' || state === '28000'
      ? 'Check the user and password in DATABASE_URL.'
      : state === '3D000'
        ? 'Create the database, or correct its name in DATABASE_URL.'
        : 'Check that Postgres runs and that DATABASE_URL is right, then run the same command again: nothing is lost.';
  return new DatabaseError('connection_failed', `Could not connect to Postgres at ${where}: ${reason(cause)}.`, {
    hint,
    cause,
  });
}

/** An AggregateError (one attempt per address) has an empty message of its own. */
function reason(cause: unknown): string {
  if (cause instanceof AggregateError && cause.message === '') return cause.errors.map(messageOf).join('; ');
  return messageOf(cause).replace(/\.$/, '');
}
