import { setTimeout as sleep } from 'node:timers/promises';
import pg from 'pg';
import type { Queryable, QueryResult } from '../../../src/db/types.ts';

/** Where in the chain a fault is thrown. */
export const PHASES = ['expand', 'fill', 'build', 'exchange', 'finish', 'rollback', 'finalize'] as const;
export type Phase = (typeof PHASES)[number];

/** What the server tells about the workers. */
export interface Sight {
  /** The steps of the leases that processes hold at present. */
  readonly steps: readonly string[];
  readonly phase: string | null;
  readonly active: string | null;
  readonly building: boolean;
  readonly queries: readonly string[];
}

/** An observer whose connection is made anew when the server has been restarted. */
export interface Watch extends Queryable {
  look(): Promise<Sight>;
  /** pids of the workers' sessions, knex's own included. */
  sessions(): Promise<readonly number[]>;
  close(): Promise<void>;
}

/** Sessions that are neither the application's nor the harness's. */
const WORKERS = `datname = current_database() AND backend_type = 'client backend' AND application_name NOT IN ('application', 'harness')`;
/** The statements of the transaction that exchanges, from its lock on. */
const EXCHANGING = /^LOCK TABLE .* ACCESS EXCLUSIVE|^SET LOCAL enable_seqscan|^DROP INDEX "|^ALTER TABLE/;

export function isIn(phase: Phase, sight: Sight): boolean {
  const { steps, queries, active } = sight;
  switch (phase) {
    case 'build':
      return sight.building;
    case 'exchange':
      return queries.some((query) => EXCHANGING.test(query));
    case 'finish':
      return steps.includes('cut-over') && active === 'new';
    case 'rollback':
      return steps.includes('cut-over');
    case 'fill':
      return steps.includes('fill') && sight.phase === 'backfilling';
    default:
      return steps.includes(phase);
  }
}

export function openWatch(url: string): Watch {
  let client: Promise<pg.Client> | undefined;
  async function connect(): Promise<pg.Client> {
    const made = new pg.Client({ connectionString: url, application_name: 'harness' });
    made.on('error', () => {
      client = undefined;
    });
    await made.connect();
    return made;
  }
  async function query<R>(text: string, params: readonly unknown[] = []): Promise<QueryResult<R>> {
    client ??= connect();
    try {
      const { rows, rowCount } = await (await client).query(text, [...params]);
      return { rows: rows as R[], rowCount: rowCount ?? 0 };
    } catch (error) {
      const { code } = error as { readonly code?: string };
      if (code !== undefined && /^[0-9A-Z]{5}$/.test(code) && !code.startsWith('57P')) throw error;
      client = undefined;
      await sleep(20);
      return query(text, params);
    }
  }
  return {
    query,
    async look() {
      const { rows } = await query<Sight & { hasState: boolean }>(
        `SELECT EXISTS (SELECT 1 FROM pg_stat_progress_create_index WHERE datname = current_database()) AS building,
           ARRAY(SELECT query FROM pg_stat_activity WHERE ${WORKERS}) AS queries,
           to_regclass('reembed.leases') IS NOT NULL AND to_regclass('reembed.migrations') IS NOT NULL AS "hasState"`,
      );
      const { building = false, queries = [], hasState = false } = rows[0] ?? {};
      const blind: Sight = { steps: [], phase: null, active: null, building, queries };
      if (!hasState) return blind;
      const state = await query<Pick<Sight, 'steps' | 'phase' | 'active'>>(
        `SELECT ARRAY(SELECT step FROM reembed.leases WHERE step IS NOT NULL AND expires > clock_timestamp()) AS steps,
           (SELECT phase FROM reembed.migrations) AS phase, (SELECT active FROM reembed.migrations) AS active`,
      ).catch(() => undefined);
      return { ...blind, ...state?.rows[0] };
    },
    async sessions() {
      const { rows } = await query<{ pid: number }>(`SELECT pid FROM pg_stat_activity WHERE ${WORKERS}`);
      return rows.map((row) => row.pid);
    },
    async close() {
      await (await client)?.end().catch(() => undefined);
    },
  };
}
