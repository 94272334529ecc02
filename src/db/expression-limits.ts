import { PreflightError } from '../errors.ts';
import { type TextExpression, textColumns, textName } from '../sql/text-source.ts';
import type { TableInfo } from './catalog-types.ts';
import type { Queryable } from './types.ts';

export type ExpressionTable = Pick<TableInfo, 'schema' | 'name' | 'columns'>;

/** Before it is known whether it is immutable. */
export type ReadExpression = Omit<TextExpression, 'immutable'>;

/** What Postgres made of the expression. */
export interface ParsedExpression {
  /** `SELECT …` with every column behind the alias, and every name outside pg_catalog qualified. */
  readonly definition: string;
  /** The parse tree, as pg_rewrite keeps it. */
  readonly tree: string;
  readonly columns: number;
  readonly type: string;
  readonly typeName: string;
  readonly typeCategory: string;
}

/** STABLE only because they take arguments of any type and write them out: as good as IMMUTABLE where those types are. */
const HARMLESS = new Set(['concat', 'concat_ws', 'format', 'array_to_string', 'textanycat', 'anytextcat']);
/** Types that are no text but have one written form. */
const WRITTEN = new Set(['json', 'jsonb', 'uuid', 'xml', 'inet', 'cidr', 'ltree']);
/** String, number, boolean, enum. */
const TEXT_LIKE = 'SNBE';

/**
 * Refuses what could not be a row's text: it must follow from the row's own columns, all of them seen by a trigger.
 *
 * @throws PreflightError `expression_refused`, `text_generated`, `expression_type`
 */
export function refuseUnfit(
  table: ExpressionTable,
  expression: ReadExpression,
  parsed: ParsedExpression,
  reserved: readonly string[],
): void {
  const refuse = refusalOf(table, expression);
  const shape = shapeProblem(parsed.tree);
  if (shape !== undefined)
    throw refuse('expression_refused', `it has ${shape}`, 'Name columns of the row itself only.');
  const columns = textColumns(expression);
  if (columns.length === 0) {
    throw refuse('expression_refused', 'it names no column of the table', 'Every row would have the same text.');
  }
  const vector = columns.find((column) => reserved.includes(column));
  if (vector !== undefined) {
    throw refuse(
      'expression_refused',
      `it reads "${vector}"`,
      'The vectors and their provenance are made from the text.',
    );
  }
  const generated = table.columns.find((column) => column.generated && columns.includes(column.name));
  if (generated !== undefined) {
    throw refuse(
      'text_generated',
      `column "${generated.name}" is generated, and a trigger does not see its new value`,
      `Write what "${generated.name}" is generated from into the expression instead.`,
    );
  }
  if (!TEXT_LIKE.includes(parsed.typeCategory) && !WRITTEN.has(parsed.typeName)) {
    throw refuse('expression_type', `it makes ${parsed.type}, text was expected`, 'Cast or format it into a text.');
  }
}

type Refuse = (code: string, said: string, hint: string) => PreflightError;

function refusalOf(table: ExpressionTable, expression: ReadExpression): Refuse {
  return (code, said, hint) =>
    new PreflightError(
      code,
      `The text expression of ${table.schema}.${table.name} cannot be used, ${said}: ${textName(expression)}`,
      { hint, context: { expression: expression.source } },
    );
}

function shapeProblem(tree: string): string | undefined {
  // The outermost query's own marks come first in the tree.
  const has = (mark: string): boolean => new RegExp(`:${mark} (true|false)`).exec(tree)?.[1] === 'true';
  if (has('hasSubLinks')) return 'a subquery';
  if (has('hasAggs')) return 'an aggregate';
  if (has('hasWindowFuncs')) return 'a window function';
  if (has('hasTargetSRFs')) return 'a function that returns a set';
  if (/\{VAR :varno \d+ :varattno 0/.test(tree)) return 'the whole row in it';
  if (/\{VAR :varno \d+ :varattno -/.test(tree))
    return "a system column (such as ctid) in it, which changes without the row's text";
  return undefined;
}

/**
 * Of what Postgres does not call immutable, takes only what writes values of types that have one written form. A text that depends on settings or
 * the clock is another one tomorrow, with no write that a trigger could see.
 *
 * @throws PreflightError `expression_not_immutable`, with the function or the type
 */
export async function refuseChanging(
  tx: Queryable,
  table: ExpressionTable,
  expression: ReadExpression,
  { tree }: ParsedExpression,
): Promise<void> {
  const refuse = refusalOf(table, expression);
  const way = 'Leave it out, or wrap what always gives the same text in an IMMUTABLE function of your own.';
  if (tree.includes('{SQLVALUEFUNCTION')) {
    throw refuse('expression_not_immutable', 'CURRENT_DATE and its like change without the row', way);
  }
  const functions = await tx.query<{ name: string; schema: string; kind: string; shown: string }>(
    `SELECT p.proname AS name, n.nspname AS schema, CASE p.provolatile WHEN 'v' THEN 'VOLATILE' ELSE 'STABLE' END AS kind,
       p.oid::pg_catalog.regprocedure::text AS shown
     FROM pg_catalog.pg_proc p JOIN pg_catalog.pg_namespace n ON n.oid = p.pronamespace
     WHERE p.oid = ANY ($1::oid[]) AND p.provolatile <> 'i' ORDER BY p.provolatile DESC, p.oid`,
    [oidsIn(tree, 'funcid|opfuncid')],
  );
  const changing = functions.rows.find(({ name, schema }) => schema !== 'pg_catalog' || !HARMLESS.has(name));
  if (changing !== undefined) {
    const said = `${changing.shown} is ${changing.kind}: its result may change without the row`;
    throw refuse('expression_not_immutable', said, way);
  }
  // A label of an enum may be renamed, which is a change of the schema; verify finds those texts.
  const types = await tx.query<{ name: string }>(
    `SELECT pg_catalog.format_type(t.oid, NULL) AS name FROM pg_catalog.pg_type t
     JOIN pg_catalog.pg_type e ON e.oid = CASE WHEN t.typcategory = 'A' THEN t.typelem ELSE t.oid END
     JOIN pg_catalog.pg_proc o ON o.oid = e.typoutput
     WHERE t.oid = ANY ($1::oid[]) AND o.provolatile <> 'i' AND e.typtype <> 'e' ORDER BY t.oid LIMIT 1`,
    [
      oidsIn(
        tree,
        'vartype|consttype|funcresulttype|opresulttype|resulttype|coalescetype|casetype|minmaxtype|array_typeid',
      ),
    ],
  );
  const [written] = types.rows;
  if (written === undefined) return;
  const said = `how ${written.name} is written depends on each session's settings`;
  throw refuse('expression_not_immutable', said, `${way} For a date: extract(year FROM …)::text.`);
}

function oidsIn(tree: string, marks: string): string {
  const found = [...tree.matchAll(new RegExp(`:(?:${marks}) (\\d+)`, 'g'))].map((match) => match[1]);
  return `{${[...new Set(found)].join(',')}}`;
}
