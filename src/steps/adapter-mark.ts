import { PreflightError } from '../errors.ts';
import { plural } from '../plural.ts';
import { textArrayLiteral } from '../sql/array-literal.ts';
import { quoteIdentifier } from '../sql/identifiers.ts';
import { tableSql } from '../sql/target.ts';
import type { MigrationContext } from '../state/context.ts';
import { recordEvent } from '../state/events.ts';
import type { MigrationRecord } from '../state/records.ts';
import { findRecord, resolveMigration } from '../state/resolve.ts';
import { stateExists } from '../state/schema.ts';

/** What a migration by an adapter found when it began, so that an undo takes back no more than that. */
export interface AdapterMark {
  readonly projection: string;
  /** Whether the new column was there before. */
  readonly expandedBefore: boolean;
  /** Backups that the record named then. */
  readonly backupsBefore: number;
}

const BEGUN = 'adapter-begun';
const ENDED = ['adapter-undone', 'adapter-applied'] as const;

/**
 * Where this migration stands: not begun, begun by somebody else without vectors, or by an earlier call that is gone on with.
 *
 * @throws PreflightError `vectors_there`, `already_swapped`: an undo would take what this call has not made
 */
export async function assertMayBegin(ctx: MigrationContext): Promise<MigrationRecord | undefined> {
  const record = await findRecord(ctx);
  if (record === undefined) return undefined;
  const name = `${record.schema}.${record.table}`;
  if (record.active === 'new' && record.adaptedModelId === null) {
    throw new PreflightError(
      'already_swapped',
      `"${record.id}" is swapped: ${name}.${record.column} holds real vectors.`,
      {
        step: 'adapter',
        hint: 'Nothing is left to migrate; "reembed status" says what is in service.',
      },
    );
  }
  const real = record.active === 'old' ? await countReal(ctx) : 0;
  if (real === 0) return record;
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

/** Kept in the history, which outlives the record and every crash. An earlier one that was not ended stands. */
export async function markBegun(ctx: MigrationContext, mark: AdapterMark): Promise<AdapterMark> {
  const earlier = await readMark(ctx);
  if (earlier !== undefined) return earlier;
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

/** Of a call that was neither finished nor undone. */
export async function readMark({ db, definition, runtime }: MigrationContext): Promise<AdapterMark | undefined> {
  if (!(await stateExists(db, runtime.stateSchema))) return undefined;
  const { rows } = await db.query<{ kind: string; detail: AdapterMark }>(
    `SELECT kind, detail FROM ${quoteIdentifier(runtime.stateSchema)}.events
     WHERE migration_id = $1 AND kind = ANY ($2::text[]) ORDER BY id DESC LIMIT 1`,
    [definition.id, textArrayLiteral([BEGUN, ...ENDED])],
  );
  const [last] = rows;
  return last?.kind === BEGUN ? last.detail : undefined;
}
