import type { TableInfo } from '../db/catalog-types.ts';
import { PreflightError, type Step } from '../errors.ts';
import { quoteIdentifier } from '../sql/identifiers.ts';
import { textName } from '../sql/text-source.ts';
import type { MigrationContext } from '../state/context.ts';
import { readText } from '../state/read-text.ts';
import type { MigrationRecord } from '../state/records.ts';
import { sameExpression } from '../state/text-expression.ts';

const PINNED = ['column', 'target', 'dimensions', 'vectorType'] as const satisfies readonly (keyof MigrationRecord)[];

/**
 * Refuses to go on with a migration whose columns the configuration names differently than when it was started: what is there was made
 * for the old ones. The model may change as long as none of its vectors is there: see `adopt-model.ts`.
 *
 * @throws PreflightError `definition_changed`
 */
export async function assertSameDefinition(
  ctx: MigrationContext,
  record: MigrationRecord,
  table: TableInfo,
  step: Step,
): Promise<void> {
  const { definition } = ctx;
  const named = definition.table;
  const sameTable = table.name === named.name && (named.schema === undefined || named.schema === table.schema);
  const changes = [
    ...(sameTable ? [] : [tableChange(named, table)]),
    ...(await textChange(ctx, record, table)),
    ...PINNED.filter((field) => record[field] !== definition[field]).map(
      (field) => `${field} ${definition[field]} (was ${record[field]})`,
    ),
  ];
  if (changes.length > 0) throw definitionChanged(record, changes.join(', '), step);
}

/** An expression may be written otherwise as long as it is the same one. */
async function textChange(ctx: MigrationContext, record: MigrationRecord, table: TableInfo): Promise<string[]> {
  const { text } = ctx.definition;
  const { textExpression } = record;
  const written = typeof text === 'string' ? text : text.expression;
  if (written === (textExpression?.source ?? record.text) && (typeof text === 'string') === (textExpression === null))
    return [];
  if (textExpression !== null && sameExpression(textExpression, await readText(ctx, table))) return [];
  return [`text ${textName(text)} (was ${record.text})`];
}

/** The same for a migration whose id is in use on another table that is still there. */
export async function refuseOtherTable(
  ctx: MigrationContext,
  record: MigrationRecord,
  table: { readonly schema: string | undefined; readonly name: string },
): Promise<void> {
  const { rows } = await ctx.db.query<{ schema: string; name: string }>(
    `SELECT n.nspname AS schema, c.relname AS name FROM pg_catalog.pg_class c
     JOIN pg_catalog.pg_namespace n ON n.oid = c.relnamespace WHERE c.oid = $1`,
    [record.tableOid],
  );
  const [present] = rows;
  if (present !== undefined) throw definitionChanged(record, tableChange(table, present), 'expand');
}

function tableChange(
  named: { readonly schema: string | undefined; readonly name: string },
  was: Pick<TableInfo, 'schema' | 'name'>,
): string {
  return `table ${named.schema === undefined ? '' : `${named.schema}.`}${named.name} (was ${was.schema}.${was.name})`;
}

function definitionChanged(record: MigrationRecord, changes: string, step: Step): PreflightError {
  return new PreflightError(
    'definition_changed',
    `The migration "${record.id}" was started with another configuration, which now says ${changes}.`,
    {
      step,
      hint: `Give the new migration an id of its own, or undo this one first: "reembed down --migration ${record.id}".`,
      context: { phase: record.phase },
    },
  );
}

/**
 * The error for a swapped migration whose configuration or files now make another model: its vectors in the column that the application
 * searches would mix with those that are served.
 */
export function servedModelChanged(record: MigrationRecord, served: unknown, now: string): PreflightError {
  return new PreflightError(
    'served_model_changed',
    `"${record.id}" is ${record.phase}: ${record.schema}.${record.table}.${record.column} serves vectors of ${served}, the configuration now makes those of ${now === served ? 'another version of it' : now}.`,
    {
      step: 'fill',
      hint: 'Give the migration to the new model an id of its own, or configure the model of the swap again.',
    },
  );
}

/**
 * Refuses to embed into a column that a later migration has taken over since: it would get vectors of two models, of the same dimensions
 * perhaps.
 *
 * @throws PreflightError `superseded`
 */
export async function refuseSuperseded(ctx: MigrationContext, record: MigrationRecord): Promise<void> {
  if (record.active === 'old') return;
  const migrations = `${quoteIdentifier(ctx.runtime.stateSchema)}.migrations`;
  const { rows } = await ctx.db.query<{ id: string }>(
    `SELECT l.id FROM ${migrations} l JOIN ${migrations} m ON l.table_oid = m.table_oid AND l.source_column = m.source_column
     WHERE m.id = $1 AND l.id <> m.id AND l.active = 'new' AND l.swapped_at > m.swapped_at ORDER BY l.swapped_at DESC LIMIT 1`,
    [record.id],
  );
  const later = rows[0]?.id;
  if (later === undefined) return;
  throw new PreflightError(
    'superseded',
    `${record.schema}.${record.table}.${record.column} serves the vectors of "${later}", which was swapped after "${record.id}": nothing of the earlier model goes there any more.`,
    { step: 'fill', hint: `Run the command with the configuration of "${later}".`, context: { later } },
  );
}
