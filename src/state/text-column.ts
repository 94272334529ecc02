import type { TableInfo } from '../db/catalog-types.ts';
import type { Queryable } from '../db/types.ts';
import { PreflightError } from '../errors.ts';
import { provenanceOf } from '../sql/target.ts';
import { triggerName } from '../sql/trigger.ts';
import type { MigrationContext } from './context.ts';
import { type MigrationRecord, readRecord, updateRecord } from './records.ts';
import { followExpression, readWatchedColumns } from './text-expression.ts';

/**
 * The record with the text column's present name: a migration goes on under a new name once the configuration says it. The trigger must
 * bear out that it is the same column; once it is gone for good, with finalize, what the configuration says is all that is known.
 *
 * @throws PreflightError `text_renamed`, or `text_gone` where nothing tells what became of it
 */
export async function followText(
  ctx: Pick<MigrationContext, 'db' | 'definition'>,
  record: MigrationRecord,
  table: TableInfo,
): Promise<MigrationRecord> {
  const has = (name: string): boolean => table.columns.some((column) => column.name === name);
  const { textExpression } = record;
  if (textExpression !== null) {
    return followExpression(ctx, record, textExpression, table, () => readWatched(ctx.db, record, table));
  }
  if (has(record.text)) return record;
  const { text } = ctx.definition;
  const [renamed] = await readWatched(ctx.db, record, table);
  const follows = text === renamed || (record.active === 'new' && renamed === undefined);
  if (typeof text === 'string' && has(text) && follows) return { ...record, text };
  throw renamed === undefined ? textGone(record, table) : textRenamed(record, table, renamed);
}

/** Keeps what `followText` found, for all that reads the record itself. */
export async function keepText(ctx: MigrationContext, record: MigrationRecord): Promise<void> {
  const stored = await readRecord(ctx.db, ctx.runtime.stateSchema, record.id);
  const { text, textExpression } = record;
  if (stored === undefined) return;
  if (stored.text === text && stored.textExpression?.source === textExpression?.source) return;
  await updateRecord(ctx.db, ctx.runtime.stateSchema, record.id, { text, textExpression });
}

/** The columns whose bytes the trigger compares: its condition follows a renaming. */
async function readWatched(db: Queryable, record: MigrationRecord, table: TableInfo): Promise<readonly string[]> {
  const swapped = record.keptColumn === null ? [record.column] : [record.column, record.keptColumn];
  const vectors = record.active === 'new' ? swapped : [record.target];
  const ours = vectors.flatMap((name) => [name, ...Object.values(provenanceOf(name))]);
  return readWatchedColumns(db, table, triggerName(record.id), ours);
}

function textRenamed(record: MigrationRecord, table: TableInfo, now: string): PreflightError {
  return new PreflightError(
    'text_renamed',
    `The text column "${record.text}" of ${table.schema}.${table.name} was renamed to "${now}" since "${record.id}" began.`,
    {
      hint: `Set text: '${now}' in reembed.config.ts (or REEMBED_TEXT_COLUMN), then run the same command again: it goes on where it stopped.`,
      context: { was: record.text, now },
    },
  );
}

function textGone(record: MigrationRecord, table: TableInfo): PreflightError {
  return new PreflightError(
    'text_gone',
    `${table.schema}.${table.name} has no column "${record.text}" any more, whose text "${record.id}" embeds.`,
    {
      hint: `Name it so again, or undo the migration with "reembed down --migration ${record.id}" and start again with another text.`,
      context: { was: record.text },
    },
  );
}
