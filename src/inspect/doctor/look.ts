import type { TableInfo, VectorExtension } from '../../db/catalog-types.ts';
import { isConnectionLoss, SQLSTATE, sqlStateOf } from '../../db/sqlstate.ts';
import type { Database, Queryable } from '../../db/types.ts';
import { messageOf } from '../../errors.ts';
import type { TextSource } from '../../sql/text-source.ts';
import type { MigrationContext } from '../../state/context.ts';
import type { MigrationRecord } from '../../state/records.ts';
import type { TableFacts } from '../facts.ts';
import type { Finding } from '../finding.ts';

/** What one look came to. What could not be looked at is unknown, never in order. */
export type Look =
  | { readonly findings: readonly Finding[]; readonly detail: string }
  | { readonly findings: readonly Finding[]; readonly unknown: string };

/** What the looks start from. */
export interface Examined {
  readonly ctx: MigrationContext;
  readonly facts: TableFacts;
  readonly table: TableInfo;
  readonly extension: VectorExtension;
  /** Of this migration, as far as the catalog bears it out; undefined before 005. */
  readonly record: MigrationRecord | undefined;
  /** Of every migration in this database. */
  readonly records: readonly MigrationRecord[];
  /** Undefined where it could not be read, which a finding of its own says. */
  readonly text: TextSource | undefined;
  readonly full: boolean;
  readonly seed: number;
}

/** @param detail what was looked at and observed, for a person */
export function seen(detail: string, findings: readonly Finding[] = []): Look {
  return { detail, findings };
}

/** @param reason why nothing can be said */
export function unseen(reason: string, findings: readonly Finding[] = []): Look {
  return { unknown: reason, findings };
}

const STATEMENT_TIMEOUT_MS = 30_000;
const LOCK_TIMEOUT_MS = 5_000;

/**
 * Looks inside a read-only transaction with limits. What the role may not see, or what takes too long, makes the look unknown.
 *
 * @param full lifts the limit of 30 s a statement
 */
export async function lookAtDatabase(
  db: Database,
  full: boolean,
  look: (tx: Queryable) => Promise<Look>,
): Promise<Look> {
  const limits = { lockTimeoutMs: LOCK_TIMEOUT_MS, ...(full ? {} : { statementTimeoutMs: STATEMENT_TIMEOUT_MS }) };
  try {
    return await db.transaction(async (tx) => {
      await tx.query('SET TRANSACTION READ ONLY');
      return look(tx);
    }, limits);
  } catch (error) {
    const state = sqlStateOf(error);
    if (state === undefined || isConnectionLoss(error) || state.startsWith('08') || state.startsWith('57P'))
      throw error;
    return unseen(reasonFor(state, error));
  }
}

function reasonFor(state: string, error: unknown): string {
  if (state === SQLSTATE.queryCanceled) return `it took longer than ${STATEMENT_TIMEOUT_MS / 1000} s`;
  if (state === SQLSTATE.lockNotAvailable) return `a lock was held for longer than ${LOCK_TIMEOUT_MS / 1000} s`;
  return messageOf(error);
}
