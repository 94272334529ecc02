import type { TableInfo } from '../db/catalog-types.ts';
import { type Dependent, readDependents } from '../db/dependents.ts';
import type { Queryable } from '../db/types.ts';
import { tableTreeSql } from '../sql/relation-size.ts';
import type { MigrationContext } from '../state/context.ts';
import type { MigrationRecord } from '../state/records.ts';
import { errorFinding, type Finding, warningFinding } from './finding.ts';
import { publicationFindings } from './preflight-publications.ts';

/** What else hangs on the table: triggers of the user, replication, poolers. */
export async function surroundingsFindings(
  ctx: MigrationContext,
  table: TableInfo,
  records: readonly MigrationRecord[],
): Promise<Finding[]> {
  const record = records.find((candidate) => candidate.id === ctx.definition.id);
  if (record?.active === 'new') return poolerFindings(ctx);
  return [
    ...(ctx.definition.userTriggers === 'fire' ? [] : await triggerFindings(ctx.db, table)),
    ...(record === undefined ? await publicationFindings(ctx.db, table) : []),
    ...(await subscriptionFindings(ctx.db, table)),
    ...(await dependentFindings(ctx, table)),
    ...(await poolerFindings(ctx)),
  ];
}

/** Triggers that every row of the backfill would fire: those for named columns never see the new one. */
async function triggerFindings(db: Queryable, table: TableInfo): Promise<Finding[]> {
  // tgtype bit 4 (16) is UPDATE; see pg_trigger.h. 'R' fires on replicas only, 'D' never.
  const { rows } = await db.query<{ name: string }>(
    `SELECT DISTINCT t.tgname AS name FROM pg_catalog.pg_trigger t
     WHERE t.tgrelid IN ${tableTreeSql('$1::oid')} AND NOT t.tgisinternal AND t.tgparentid = 0 AND (t.tgtype & 16) <> 0 AND t.tgenabled IN ('O', 'A')
       AND pg_catalog.cardinality(t.tgattr::int2[]) = 0 AND t.tgname NOT LIKE 'zzz\\_reembed\\_%'
     ORDER BY t.tgname`,
    [table.oid],
  );
  if (rows.length === 0) return [];
  const names = rows.map((row) => row.name).join(', ');
  return [
    errorFinding(
      'user_triggers',
      `Every row of the backfill would fire the table's own UPDATE triggers: ${names}.`,
      "Set userTriggers: 'fire' if that is harmless; a trigger declared UPDATE OF <columns> is not concerned.",
    ),
  ];
}

async function subscriptionFindings(db: Queryable, table: TableInfo): Promise<Finding[]> {
  const { rows } = await db.query<{ name: string }>(
    `SELECT DISTINCT s.subname AS name FROM pg_catalog.pg_subscription_rel r JOIN pg_catalog.pg_subscription s ON s.oid = r.srsubid
     WHERE r.srrelid IN ${tableTreeSql('$1::oid')}`,
    [table.oid],
  );
  return rows.map((row) =>
    warningFinding(
      'subscriber',
      `Table "${table.schema}.${table.name}" is filled by the subscription "${row.name}".`,
      'Its trigger is made ENABLE ALWAYS, so that replicated edits of a text are seen too.',
    ),
  );
}

/** What reads the column in use: the exchange changes what it reads, or it goes on reading the old vectors. */
async function dependentFindings(ctx: MigrationContext, table: TableInfo): Promise<Finding[]> {
  const column = `"${table.name}.${ctx.definition.column}"`;
  const dependents = await readDependents(ctx.db, table, ctx.definition.column);
  const recreates = ctx.definition.recreateViews || ctx.runtime.recreateViews;
  const outcome = ({ kind }: Dependent): string =>
    recreates && kind === 'view'
      ? '007 drops it and makes it again within the exchange, as recreateViews asks'
      : '007 refuses while it is there';
  return dependents.map((dependent) =>
    dependent.bound
      ? warningFinding(
          'dependent_bound',
          dependent.depth > 1
            ? `The ${dependent.kind} "${dependent.name}" reads a view that is bound to ${column} and goes with it: ${outcome(dependent)}.`
            : `The ${dependent.kind} "${dependent.name}" is bound to ${column} itself and would go on reading the old vectors: ${outcome(dependent)}.`,
          wayOn(dependent, recreates),
        )
      : warningFinding(
          'dependent_mentions',
          `The ${dependent.kind} "${dependent.name}" mentions ${column} in its source and reads the new vectors after the swap.`,
          `Check that it takes vectors of ${ctx.definition.dimensions} dimensions.`,
        ),
  );
}

function wayOn({ kind }: Dependent, recreates: boolean): string {
  const script =
    '"reembed swap --print-dependents" prints the SQL that drops it before 007 and makes it again after it';
  if (kind === 'view' && recreates)
    return `Nothing, unless something else than plain views is bound to the column; ${script}.`;
  return kind === 'view'
    ? `With --recreate-views (REEMBED_RECREATE_VIEWS=1, recreateViews: true) 007 makes it again itself; ${script}.`
    : `${script}.`;
}

/**
 * Two open sessions that answer with the same backend share it: a pooler hands out connections by transaction, and leases,
 * session settings and CREATE INDEX CONCURRENTLY cannot be trusted behind it.
 */
async function poolerFindings(ctx: MigrationContext): Promise<Finding[]> {
  if (ctx.db.embedded) return [];
  const first = await ctx.db.openSession();
  try {
    const second = await ctx.db.openSession();
    try {
      const { rows } = await first.query<{ pid: number }>('SELECT pg_catalog.pg_backend_pid() AS pid');
      if (first.pid !== second.pid && rows[0]?.pid === first.pid) return [];
    } finally {
      await second.close();
    }
  } finally {
    await first.close();
  }
  return [
    errorFinding(
      'transaction_pooler',
      'DATABASE_URL leads through a pooler in transaction mode: two open connections share one server process.',
      'Set REEMBED_DIRECT_URL to a URL that leads straight to Postgres, or to a pool in session mode.',
    ),
  ];
}
