import type { Queryable } from '../db/types.ts';
import { isStalePlan, type TransactionSource } from './active-model.ts';

/** What is needed of a client of `pg`. */
export interface PoolClientLike {
  query(text: string, params?: unknown[]): Promise<{ rows: unknown[]; rowCount: number | null }>;
  /** With an argument the connection is closed instead of kept. */
  release(destroy?: boolean): void;
  /** Of an event emitter, as a client of `pg` is one. */
  on?(event: 'error', listener: () => void): unknown;
  off?(event: 'error', listener: () => void): unknown;
}

/** What is needed of a pool of `pg`. */
export interface PoolLike {
  connect(): Promise<PoolClientLike>;
}

/**
 * An application's own `pg` pool as a source of transactions. A connection that lost its transaction, or on which a named statement
 * outlived a swap (it would fail for ever), is closed instead of kept.
 */
export function transactionsOf(pool: PoolLike): TransactionSource {
  return {
    async transaction(work) {
      const client = await pool.connect();
      let destroy = true;
      // A pool listens to its idle clients only: without this a connection that breaks during a request ends the whole application.
      client.on?.('error', ignoreBroken);
      try {
        await client.query('BEGIN');
        const result = await work(queryableOf(client));
        await client.query('COMMIT');
        destroy = false;
        return result;
      } catch (error) {
        destroy = isStalePlan(error) || !(await rolledBack(client));
        throw error;
      } finally {
        client.off?.('error', ignoreBroken);
        client.release(destroy);
      }
    },
  };
}

/** The query that was under way rejects with the same error. */
function ignoreBroken(): void {}

async function rolledBack(client: PoolClientLike): Promise<boolean> {
  try {
    await client.query('ROLLBACK');
    return true;
  } catch {
    return false;
  }
}

function queryableOf(client: PoolClientLike): Queryable {
  return {
    async query<R>(text: string, params?: readonly unknown[]) {
      const { rows, rowCount } = await client.query(text, params === undefined ? undefined : [...params]);
      return { rows: rows as R[], rowCount: rowCount ?? 0 };
    },
  };
}
