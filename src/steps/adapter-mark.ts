import { PreflightError } from '../errors.ts';
import { plural } from '../plural.ts';
import { textArrayLiteral } from '../sql/array-literal.ts';
import { quoteIdentifier } from '../sql/identifiers.ts';
import { tableSql } from '../sql/target.ts';
import type { MigrationContext } from '../state/context.ts';
import { recordEvent } from '../state/events.ts';
import type { MigrationRecord } from '../state/records.ts';
import { findRecord, resolveMigration } from '../state/resolve.ts';

/** What a migration by an adapter found when it began, so that an undo takes back no more than that. */
export interface AdapterMark {
  readonly projection: string;
  /** Whether the new column was there before. */
  readonly expandedBefore: boolean;
  /** Backups that the record named then. */
  readonly backupsBefore: number;
}

const BEGUN = 'adapter-begun';
const APPLIED = 'adapter-applied';
const ENDED = ['adapter-undone', APPLIED] as const;

/** What the history says of migrations by an adapter, as far as the migration's record still stands. */
export interface AdapterHistory<Applied> {
  readonly record: MigrationRecord | undefined;
  /** Of a call that was neither finished nor undone. */
  readonly begun: AdapterMark | undefined;
  /** Of a call that was finished and is in service. */
  readonly applied: Applied | undefined;
}

/**
 * Refuses to begin, or to go on, where an undo would take what such a call has not made.
 *
 * @throws PreflightError `vectors_there`, `already_swapped`
 */
export async function assertMayBegin(
  ctx: MigrationContext,
  { record, begun }: Pick<AdapterHistory<unknown>, 'record' | 'begun'>,
  projection: string,
): Promise<void> {
  if (record === undefined) return;
  const name = `${record.schema}.${record.table}`;
  if (record.active === 'new') {
    if (begun?.projection === projection && record.adaptedModelId !== null) return;
    const holds = record.adaptedModelId === null ? 'real vectors' : 'vectors that the application uses';
    throw new PreflightError('already_swapped', `"${record.id}" is swapped: ${name}.${record.column} holds ${holds}.`, {
      step: 'adapter',
      hint: 'Nothing is left to migrate; "reembed status" says what is in service. "reembed rollback" goes back to the old vectors.',
    });
  }
  // Rows without an old vector are embedded by the model, also by the call that is gone on with.
  if (begun !== undefined && record.adaptedModelId !== null) return;
  const real = await countReal(ctx);
  if (real === 0) return;
  throw new PreflightError(
    'vectors_there',
    `${real} ${plural(real, 'row')} of ${name}.${record.target} ${plural(real, 'holds', 'hold')} vectors of the model itself, which an undo would clear.`,
    {
      step: 'adapter',
      hint: 'Fill the rest with "reembed backfill --adapter <id>" and swap; or clear them first with "reembed down --to 005".',
      context: { rows: real },
    },
  );
}

/** Rows that are neither empty nor an adapter's. */
async function countReal(ctx: MigrationContext): Promise<number> {
  const { record, target } = await resolveMigration(ctx, { withoutText: true });
  if (record.modelId === null || target.provenance === undefined) return 0;
  const { rows } = await ctx.db.query<{ n: number }>(
    `SELECT pg_catalog.count(*)::float8 AS n FROM ${tableSql(target)} t WHERE t.${quoteIdentifier(target.provenance.model)} = $1`,
    [record.modelId],
  );
  return rows[0]?.n ?? 0;
}

/** Kept in the history, which outlives the record and every crash. */
export async function markBegun(ctx: MigrationContext, mark: AdapterMark): Promise<AdapterMark> {
  await recordEvent(ctx.db, ctx.runtime.stateSchema, ctx.definition.id, BEGUN, { ...mark });
  return mark;
}

/** @param kind `adapter-undone` or `adapter-applied` */
export async function markEnded(
  ctx: MigrationContext,
  kind: (typeof ENDED)[number],
  detail: Readonly<Record<string, unknown>>,
): Promise<void> {
  await recordEvent(ctx.db, ctx.runtime.stateSchema, ctx.definition.id, kind, detail);
}

/** Where this migration stands. What went before a "down" of 005, which takes the record away, is over. */
export async function readHistory<Applied>(ctx: MigrationContext): Promise<AdapterHistory<Applied>> {
  const { db, definition, runtime } = ctx;
  const s = quoteIdentifier(runtime.stateSchema);
  const record = await findRecord(ctx);
  if (record === undefined) return { record, begun: undefined, applied: undefined };
  const { rows } = await db.query<
    { current: boolean } & (
      | { kind: typeof BEGUN; detail: AdapterMark }
      | { kind: typeof APPLIED; detail: Applied }
      | { kind: 'adapter-undone' }
    )
  >(
    `SELECT e.kind, e.detail, e.at >= m.created_at AS current FROM ${s}.events e JOIN ${s}.migrations m ON m.id = e.migration_id
     WHERE m.id = $1 AND e.kind = ANY ($2::text[]) ORDER BY e.id DESC LIMIT 1`,
    [definition.id, textArrayLiteral([BEGUN, ...ENDED])],
  );
  const [last] = rows;
  const isServed = record.active === 'new' && last?.current === true;
  return {
    record,
    begun: last?.kind === BEGUN ? last.detail : undefined,
    applied: last?.kind === APPLIED && isServed ? last.detail : undefined,
  };
}
