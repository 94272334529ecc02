import type { TableInfo } from '../db/catalog-types.ts';
import type { Queryable } from '../db/types.ts';
import { PreflightError } from '../errors.ts';
import { type TextExpression, type TextSource, textColumns } from '../sql/text-source.ts';
import type { MigrationContext } from './context.ts';
import { readText, recordedText } from './read-text.ts';
import type { MigrationRecord } from './records.ts';

/** True for the same SQL over the same columns, however the two were written. */
export function sameExpression(one: TextExpression, other: TextSource): boolean {
  const sql = ({ parts }: TextExpression): string =>
    JSON.stringify(parts.map((part) => (typeof part === 'string' ? part : [part.column])));
  return typeof other !== 'string' && sql(one) === sql(other);
}

/**
 * `followText` for text of several columns: a renamed one is known by its place in the table, as long as the trigger watches that one.
 *
 * @param watched the columns that the trigger's condition reads
 * @throws PreflightError `text_renamed`, `text_gone`; as `readText` for what the configuration says now
 */
export async function followExpression(
  ctx: Pick<MigrationContext, 'db' | 'definition'>,
  record: MigrationRecord,
  expression: TextExpression,
  table: TableInfo,
  watched: () => Promise<readonly string[]>,
): Promise<MigrationRecord> {
  const gone = textColumns(expression).find((name) => !table.columns.some((column) => column.name === name));
  if (gone === undefined) return record;
  const seen = await watched();
  const renamed = renameColumns(expression, table, seen);
  const { text } = ctx.definition;
  if (typeof text !== 'string' && text.expression !== expression.source) {
    const now = await readText(ctx, table);
    // Without a trigger, as after finalize, nothing bears out what is the same.
    const unwatched = record.active === 'new' && seen.length === 0;
    if (unwatched || (renamed !== undefined && sameExpression(renamed, now))) {
      return { ...record, ...recordedText(now) };
    }
  }
  throw renamed === undefined ? columnGone(record, table, gone) : columnRenamed(record, table, expression, renamed);
}

function renameColumns(
  expression: TextExpression,
  table: TableInfo,
  watched: readonly string[],
): TextExpression | undefined {
  const names = new Set(table.columns.map((column) => column.name));
  const byPlace = new Map(table.columns.map((column) => [column.attnum, column.name]));
  const parts = expression.parts.map((part) => {
    if (typeof part === 'string' || names.has(part.column)) return part;
    return { ...part, column: byPlace.get(part.attnum) ?? part.column };
  });
  const renamed = { ...expression, parts };
  // A restored dump counts columns anew: only the trigger tells that these are the same ones.
  const columns = textColumns(renamed);
  const isWatched = columns.length === watched.length && columns.every((column) => watched.includes(column));
  return isWatched ? renamed : undefined;
}

function columnRenamed(
  record: MigrationRecord,
  table: TableInfo,
  expression: TextExpression,
  renamed: TextExpression,
): PreflightError {
  const changes = expression.parts.flatMap((part, i) => {
    const now = renamed.parts[i];
    if (typeof part === 'string' || now === undefined || typeof now === 'string' || now.column === part.column)
      return [];
    return [`"${part.column}" to "${now.column}"`];
  });
  const shown = [...new Set(changes)].join(' and ');
  return new PreflightError(
    'text_renamed',
    `Columns of ${table.schema}.${table.name} that the text of "${record.id}" is made of were renamed since it began: ${shown}.`,
    {
      hint: 'Name them so in text.expression in reembed.config.ts (or REEMBED_TEXT_EXPRESSION), then run the same command again: it goes on where it stopped.',
      context: { was: textColumns(expression), now: textColumns(renamed) },
    },
  );
}

function columnGone(record: MigrationRecord, table: TableInfo, gone: string): PreflightError {
  return new PreflightError(
    'text_gone',
    `${table.schema}.${table.name} has no column "${gone}" any more, of which the text of "${record.id}" is made.`,
    {
      hint: `Name it so again, or undo the migration with "reembed down --migration ${record.id}" and start again with another text.`,
      context: { was: gone },
    },
  );
}

/** What the trigger of a migration watches beside the vector. */
export async function readWatchedColumns(
  db: Queryable,
  table: Pick<TableInfo, 'oid'>,
  trigger: string,
  beside: readonly string[],
): Promise<readonly string[]> {
  const { rows } = await db.query<{ name: string }>(
    `SELECT DISTINCT a.attname AS name FROM pg_catalog.pg_trigger t
     JOIN pg_catalog.pg_depend d ON d.classid = 'pg_catalog.pg_trigger'::pg_catalog.regclass AND d.objid = t.oid
       AND d.refclassid = 'pg_catalog.pg_class'::pg_catalog.regclass AND d.refobjid = t.tgrelid
     JOIN pg_catalog.pg_attribute a ON a.attrelid = t.tgrelid AND a.attnum = d.refobjsubid
     WHERE t.tgrelid = $1 AND t.tgname = $2 AND a.attname <> ALL ($3::text[])`,
    [table.oid, trigger, beside],
  );
  return rows.map((row) => row.name);
}
