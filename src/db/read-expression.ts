import { randomBytes } from 'node:crypto';
import { messageOf, PreflightError } from '../errors.ts';
import { quoteQualified } from '../sql/identifiers.ts';
import { type TextExpression, textName, textSql } from '../sql/text-source.ts';
import {
  type ExpressionTable,
  type ParsedExpression,
  type ReadExpression,
  refuseChanging,
  refuseUnfit,
} from './expression-limits.ts';
import { SQLSTATE, sqlStateOf } from './sqlstate.ts';
import type { Database, Queryable } from './types.ts';

/** SQLSTATE classes of what is wrong in the SQL itself: feature not supported, data, syntax or name, limits. */
const AT_FAULT = ['0A', '22', '42', '54'];

/**
 * Lets Postgres itself read an expression over a table's columns: as a temporary view in a transaction of which nothing is kept. Names in it
 * are found by the connection's search path now, and come back qualified.
 *
 * @param reserved columns that the text may not be made of: the vectors and what stands beside them
 * @throws PreflightError `expression_invalid` in Postgres's own words, `expression_refused`, `expression_not_immutable`, `expression_type`,
 *   `text_generated`, `expression_denied` where the role may make nothing temporary
 */
export async function readExpression(
  db: Database,
  table: ExpressionTable,
  source: string,
  reserved: readonly string[],
): Promise<TextExpression> {
  // A name that no expression holds, so that every occurrence is a column's.
  const alias = `reembed_row_${randomBytes(8).toString('hex')}`;
  return db.transaction(async (tx) => {
    // A server reads several statements in one text; with a parameter it takes one only.
    await orInvalid(table, source, () => tx.query(`${selectSql(table, source, alias)} WHERE $1::int = 0 LIMIT 0`, [1]));
    await tx.query('SAVEPOINT reembed_expression');
    const parsed = await makeView(tx, table, source, alias);
    const read = toExpression(parsed, table, source, alias);
    refuseUnfit(table, read, parsed, reserved);
    const immutable = await isImmutable(tx, table, read, alias);
    if (!immutable) await refuseChanging(tx, table, read, parsed);
    await tx.query('ROLLBACK TO SAVEPOINT reembed_expression');
    return { ...read, immutable };
  });
}

const PREFIX = 'SELECT (\n';

function selectSql(table: ExpressionTable, source: string, alias: string): string {
  // With a second table in FROM, Postgres puts the alias before every column when it gives the expression back.
  return `${PREFIX}${source}\n) AS ${alias}_text FROM ${quoteQualified(table.schema, table.name)} AS ${alias}, (SELECT) AS ${alias}_more`;
}

async function makeView(
  tx: Queryable,
  table: ExpressionTable,
  source: string,
  alias: string,
): Promise<ParsedExpression> {
  try {
    await orInvalid(table, source, () =>
      tx.query(`CREATE TEMPORARY VIEW ${alias} AS ${selectSql(table, source, alias)}`),
    );
  } catch (cause) {
    const state = sqlStateOf(cause);
    if (state !== SQLSTATE.insufficientPrivilege && state !== SQLSTATE.readOnlyTransaction) throw cause;
    throw new PreflightError(
      'expression_denied',
      `Postgres reads a text expression in a temporary view, which cannot be made here: ${messageOf(cause)}.`,
      {
        hint: 'GRANT TEMPORARY ON DATABASE … to this role, or point DATABASE_URL at the primary; nothing temporary is kept.',
        cause,
      },
    );
  }
  // Only now: names in the expression itself were found as the connection finds them.
  await tx.query('SET LOCAL search_path = pg_catalog');
  const { rows } = await tx.query<ParsedExpression>(
    `SELECT pg_catalog.pg_get_viewdef(c.oid) AS definition, r.ev_action::text AS tree, c.relnatts::int AS columns,
       pg_catalog.format_type(a.atttypid, a.atttypmod) AS type, t.typname AS "typeName", t.typcategory::text AS "typeCategory"
     FROM pg_catalog.pg_class c JOIN pg_catalog.pg_rewrite r ON r.ev_class = c.oid
     JOIN pg_catalog.pg_attribute a ON a.attrelid = c.oid AND a.attnum = 1 JOIN pg_catalog.pg_type t ON t.oid = a.atttypid
     WHERE c.relname = $1 AND c.relnamespace = pg_catalog.pg_my_temp_schema()`,
    [alias],
  );
  const [parsed] = rows;
  if (parsed === undefined) throw new Error(`the view ${alias} is not there`);
  // `a), (b` and `a) UNION SELECT (b` fit between the parentheses, too.
  if (parsed.columns !== 1 || /:setOperations [^<]/.test(parsed.tree)) {
    throw invalid(table, source, 'it is more than one expression');
  }
  return parsed;
}

function toExpression(
  { definition }: ParsedExpression,
  table: ExpressionTable,
  source: string,
  alias: string,
): ReadExpression {
  const sql = definition.slice(0, definition.lastIndexOf(` AS ${alias}_text`)).replace(/^\s*SELECT\s+/, '');
  const attnums = new Map(table.columns.map((column) => [column.name, column.attnum]));
  // split gives the SQL between the columns at even places, the columns at odd ones.
  const pieces = sql.split(new RegExp(`${alias}\\.("(?:[^"]|"")+"|[a-z_][a-z0-9_]*|\\*)`));
  const parts = pieces.map((piece, i) => {
    if (i % 2 === 0) return piece;
    const column = piece.startsWith('"') ? piece.slice(1, -1).replaceAll('""', '"') : piece;
    return { column, attnum: attnums.get(column) ?? 0 };
  });
  return { source, parts };
}

/** Postgres says it itself, of an index over an empty table of the same columns. */
async function isImmutable(
  tx: Queryable,
  table: ExpressionTable,
  read: ReadExpression,
  alias: string,
): Promise<boolean> {
  const probe = `${alias}_probe`;
  await tx.query('SAVEPOINT reembed_probe');
  try {
    await tx.query(`CREATE TEMPORARY TABLE ${probe} (LIKE ${quoteQualified(table.schema, table.name)})`);
    const text = textSql({ ...read, immutable: false }, probe);
    await tx.query(`CREATE INDEX ON pg_temp.${probe} ((${text}::text))`);
    return true;
  } catch (error) {
    if (sqlStateOf(error) !== SQLSTATE.invalidObjectDefinition) throw error;
    await tx.query('ROLLBACK TO SAVEPOINT reembed_probe');
    return false;
  }
}

async function orInvalid<T>(table: ExpressionTable, source: string, query: () => Promise<T>): Promise<T> {
  try {
    return await query();
  } catch (cause) {
    const state = sqlStateOf(cause);
    if (state === SQLSTATE.insufficientPrivilege || !AT_FAULT.includes(state?.slice(0, 2) ?? '')) throw cause;
    // Behind the first line stand the quoted rest of the statement and what belongs to this code.
    const [said = ''] = messageOf(cause).split('\n');
    throw invalid(table, source, said + placeOf(cause, source), cause);
  }
}

/** Where in the expression, counted from 1; Postgres counts from the statement's beginning, which depends on the statement. */
function placeOf(error: unknown, source: string): string {
  const position = Number((error as { position?: unknown }).position) - PREFIX.length;
  const inside = position >= 1 && position <= [...source].length;
  return inside ? ` (character ${position})` : '';
}

function invalid(table: ExpressionTable, source: string, said: string, cause?: unknown): PreflightError {
  return new PreflightError(
    'expression_invalid',
    `The text expression of ${table.schema}.${table.name} cannot be used, ${said}: ${textName({ expression: source })}`,
    {
      hint: `Correct text.expression in reembed.config.ts (or REEMBED_TEXT_EXPRESSION): one SQL expression over the columns ${table.columns.map((column) => column.name).join(', ')}, without the table's name.`,
      context: { expression: source },
      ...(cause === undefined ? {} : { cause }),
    },
  );
}
