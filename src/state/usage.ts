import type { Queryable } from '../db/types.ts';
import { quoteIdentifier } from '../sql/identifiers.ts';
import type { MigrationContext } from './context.ts';

/** What a migration has spent at services, in all its runs. */
export interface SpentUsage {
  readonly requests: number;
  readonly tokens: number;
  /** US dollars, of the tokens whose price was known. */
  readonly usd: number;
  /** Tokens whose price nobody knew when they were sent; among `tokens`. */
  readonly unpricedTokens: number;
}

export interface UsageLimits {
  readonly budgetUsd: number | undefined;
  readonly requestsPerMinute: number | undefined;
  readonly tokensPerMinute: number | undefined;
}

/** Whose usage, and at which price. */
export interface UsageAccount {
  readonly stateSchema: string;
  readonly migrationId: string;
  /** US dollars a million tokens; undefined where nobody knows. */
  readonly price: number | undefined;
}

/** Nobody else's minute is counted: it begins with the first request. A clock that was set back begins one too. */
const MINUTE_IS_OVER = `(u.minute_began IS NULL OR pg_catalog.clock_timestamp() >= u.minute_began + interval '1 minute'
  OR u.minute_began > pg_catalog.clock_timestamp())`;

/** Exact in decimal digits; $2 are tokens, $3 is the price. */
const COST = 'coalesce($2::numeric * $3::numeric / 1000000, 0)';

/** The account's row, made where it is missing; tokens that had no price get the present one. False where the state has none: before 005. */
export async function openUsage(db: Queryable, account: UsageAccount): Promise<boolean> {
  const { stateSchema, migrationId, price } = account;
  const table = tableOf(stateSchema);
  if (!(await tableExists(db, table))) return false;
  await db.query(
    `INSERT INTO ${table} (migration_id) SELECT id FROM ${quoteIdentifier(stateSchema)}.migrations WHERE id = $1
     ON CONFLICT DO NOTHING`,
    [migrationId],
  );
  const { rowCount } = await db.query(
    `UPDATE ${table} SET usd = usd + coalesce(unpriced_tokens * $2::numeric / 1000000, 0),
       unpriced_tokens = CASE WHEN $2::numeric IS NULL THEN unpriced_tokens ELSE 0 END WHERE migration_id = $1`,
    [migrationId, decimal(price)],
  );
  return rowCount > 0;
}

/**
 * Takes one request of so many tokens out of what is left, or nothing: one statement, so that no two processes get the same rest. A request that
 * alone is more than a minute's tokens gets a minute of its own.
 *
 * @returns whether it was taken
 */
export async function reserveUsage(
  db: Queryable,
  account: UsageAccount,
  tokens: number,
  limits: UsageLimits,
): Promise<boolean> {
  const { rowCount } = await db.query(
    `UPDATE ${tableOf(account.stateSchema)} u SET requests = u.requests + 1, tokens = u.tokens + $2::bigint, usd = u.usd + ${COST},
       unpriced_tokens = u.unpriced_tokens + CASE WHEN $3::numeric IS NULL THEN $2::bigint ELSE 0 END,
       minute_began = CASE WHEN ${MINUTE_IS_OVER} THEN pg_catalog.clock_timestamp() ELSE u.minute_began END,
       minute_requests = CASE WHEN ${MINUTE_IS_OVER} THEN 0 ELSE u.minute_requests END + 1,
       minute_tokens = CASE WHEN ${MINUTE_IS_OVER} THEN 0 ELSE u.minute_tokens END + $2::bigint
     WHERE u.migration_id = $1 AND ($4::numeric IS NULL OR u.usd + ${COST} <= $4::numeric)
       AND (${MINUTE_IS_OVER} OR (($5::bigint IS NULL OR u.minute_requests < $5::bigint)
         AND ($6::bigint IS NULL OR u.minute_tokens + $2::bigint <= $6::bigint)))`,
    [
      account.migrationId,
      tokens,
      decimal(account.price),
      decimal(limits.budgetUsd),
      limits.requestsPerMinute ?? null,
      limits.tokensPerMinute ?? null,
    ],
  );
  return rowCount > 0;
}

/** What is spent, whether a request of so many tokens would go beyond the budget, and how long the present minute still lasts. */
export async function readRest(
  db: Queryable,
  account: UsageAccount,
  tokens: number,
  budgetUsd: number | undefined,
): Promise<{ readonly usd: number; readonly cost: number; readonly beyondBudget: boolean; readonly minuteMs: number }> {
  const { rows } = await db.query<{ usd: number; cost: number; beyondBudget: boolean; minuteMs: number }>(
    `SELECT u.usd::float8 AS usd, (${COST})::float8 AS cost, coalesce(u.usd + ${COST} > $4::numeric, false) AS "beyondBudget",
       CASE WHEN ${MINUTE_IS_OVER} THEN 0 ELSE 1000 * extract(epoch FROM u.minute_began + interval '1 minute' - pg_catalog.clock_timestamp())::float8
       END AS "minuteMs" FROM ${tableOf(account.stateSchema)} u WHERE u.migration_id = $1`,
    [account.migrationId, tokens, decimal(account.price), decimal(budgetUsd)],
  );
  const row = rows[0];
  if (row === undefined) throw new Error(`no usage is recorded for ${account.migrationId}`);
  return row;
}

/** Adds to what is spent; negative numbers give back. The minute's tokens are not given back: the service has counted them. */
export async function addUsage(
  db: Queryable,
  account: UsageAccount,
  { requests, tokens }: { readonly requests: number; readonly tokens: number },
): Promise<void> {
  await db.query(
    `UPDATE ${tableOf(account.stateSchema)} u SET requests = greatest(0, u.requests + $4::bigint), tokens = greatest(0, u.tokens + $2::bigint),
       usd = greatest(0, u.usd + ${COST}),
       unpriced_tokens = greatest(0, u.unpriced_tokens + CASE WHEN $3::numeric IS NULL THEN $2::bigint ELSE 0 END),
       minute_tokens = u.minute_tokens + greatest(0, $2::bigint)
     WHERE u.migration_id = $1`,
    [account.migrationId, tokens, decimal(account.price), requests],
  );
}

/** Undefined where nothing was spent, and where the state is older than that. */
export async function readUsage(
  ctx: Pick<MigrationContext, 'db' | 'definition' | 'runtime'>,
): Promise<SpentUsage | undefined> {
  const table = tableOf(ctx.runtime.stateSchema);
  if (!(await tableExists(ctx.db, table))) return undefined;
  const { rows } = await ctx.db.query<SpentUsage>(
    `SELECT requests::float8 AS requests, tokens::float8 AS tokens, usd::float8 AS usd, unpriced_tokens::float8 AS "unpricedTokens"
     FROM ${table} WHERE migration_id = $1 AND requests > 0`,
    [ctx.definition.id],
  );
  return rows[0];
}

function tableOf(stateSchema: string): string {
  return `${quoteIdentifier(stateSchema)}.usage`;
}

async function tableExists(db: Queryable, table: string): Promise<boolean> {
  const { rows } = await db.query<{ found: boolean }>('SELECT pg_catalog.to_regclass($1) IS NOT NULL AS found', [
    table,
  ]);
  return rows[0]?.found === true;
}

/** Postgres takes the digits as they are: no binary fraction comes between. */
function decimal(value: number | undefined): string | null {
  return value === undefined ? null : String(value);
}
