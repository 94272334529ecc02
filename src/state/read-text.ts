import type { TableInfo } from '../db/catalog-types.ts';
import { readExpression } from '../db/read-expression.ts';
import { provenanceOf } from '../sql/target.ts';
import { type TextSource, textColumns, textName } from '../sql/text-source.ts';
import type { MigrationContext } from './context.ts';
import type { MigrationRecord } from './records.ts';

/**
 * The text that the configuration names: before 005, and to compare with what 005 kept. A column is not looked for.
 *
 * @throws PreflightError as `readExpression`
 */
export async function readText(
  { db, definition }: Pick<MigrationContext, 'db' | 'definition'>,
  table: Pick<TableInfo, 'schema' | 'name' | 'columns'>,
): Promise<TextSource> {
  const { text, column, target } = definition;
  if (typeof text === 'string') return text;
  const reserved = [column, target].flatMap((name) => [name, ...Object.values(provenanceOf(name))]);
  return readExpression(db, table, text.expression, reserved);
}

/** The same without asking the database where 005 has kept what it read. */
export async function readTextOnce(
  ctx: Pick<MigrationContext, 'db' | 'definition'>,
  table: Pick<TableInfo, 'schema' | 'name' | 'columns'>,
  record: MigrationRecord | undefined,
): Promise<TextSource> {
  const kept = record?.textExpression;
  const { text } = ctx.definition;
  const isKept = kept !== null && kept !== undefined && typeof text !== 'string' && text.expression === kept.source;
  const has = (name: string): boolean => table.columns.some((column) => column.name === name);
  return isKept && textColumns(kept).every(has) ? kept : readText(ctx, table);
}

/** A text as a record has it. */
export function recordedText(text: TextSource): Pick<MigrationRecord, 'text' | 'textExpression'> {
  return { text: textName(text), textExpression: typeof text === 'string' ? null : text };
}
