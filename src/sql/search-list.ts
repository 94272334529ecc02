import { fragmentSql, type SqlFragment } from './filter.ts';
import { quoteIdentifier, quoteLiteral, quoteQualified } from './identifiers.ts';
import { notEmbeddedSql, STALE_MODEL } from './pending.ts';
import { type Quantization, quantizedSql } from './quantization.ts';
import { tableSql, type VectorTarget } from './target.ts';
import { textSql } from './text-source.ts';
import type { IndexDistance } from './vector-index.ts';

const OPERATORS: Readonly<Record<Exclude<IndexDistance, 'l1'>, string>> = { cosine: '<=>', l2: '<->', ip: '<#>' };

/** The distance of a row's vector from the parameter that holds one in text form, as an index can order by it. */
export function distanceSql(
  target: Pick<VectorTarget, 'column' | 'vectorSchema' | 'vectorType'>,
  distance: keyof typeof OPERATORS,
  parameter: string,
): string {
  const type = quoteQualified(target.vectorSchema, target.vectorType);
  const operator = `OPERATOR(${quoteIdentifier(target.vectorSchema)}.${OPERATORS[distance]})`;
  return `t.${quoteIdentifier(target.column)} ${operator} ${parameter}::text::${type}`;
}

export interface RankedRows {
  readonly target: VectorTarget;
  readonly distance: keyof typeof OPERATORS;
  /** What is selected; the exact distance goes by the name `distance`. */
  readonly columns: readonly string[];
  readonly where: string;
  /** Of the index that is asked, and how many rows of it are put in order by their exact distance; undefined for one that holds the vectors as they are. */
  readonly quantized: { readonly by: Exclude<Quantization, 'none'>; readonly candidates: number } | undefined;
}

/** Rows of the table `t` in order of their distance, in a form that an index can answer. Parameters: the vector in text form, the limit. */
export function rankedRowsSql({ target, distance, columns, where, quantized }: RankedRows): string {
  const select = `SELECT ${columns.join(', ')} FROM ${tableSql(target)} t WHERE ${where} ORDER BY `;
  if (quantized === undefined) return `${select}${distanceSql(target, distance, '$1')} LIMIT $2::bigint`;
  const { by, candidates } = quantized;
  const type = quoteQualified(target.vectorSchema, target.vectorType);
  const [held, asked] = [`t.${quoteIdentifier(target.column)}`, `$1::text::${type}`].map((of) =>
    quantizedSql(target, by, of),
  );
  const operator = by === 'binary' ? '<~>' : OPERATORS[distance];
  const near = `OPERATOR(${quoteIdentifier(target.vectorSchema)}.${operator})`;
  return `SELECT * FROM (${select}${held} ${near} ${asked} LIMIT ${Math.ceil(candidates)}) c ORDER BY c.distance LIMIT $2::bigint`;
}

/**
 * Holds for a row `t` that this column can serve. Before the swap those are the rows that this run's model (or its adapter) has embedded, whatever else may
 * stand there; in a column that the application writes, every row with a vector, a stale one too.
 */
export function servedSql(target: VectorTarget, modelId: number | null): string {
  const present = `t.${quoteIdentifier(target.column)} IS NOT NULL`;
  if (target.provenance === undefined || target.onlyMissing === true) return present;
  if (modelId === null) return 'false';
  return `(${present} AND NOT (${notEmbeddedSql(target, 't', modelId)}))`;
}

/** What tells that a migration has gone on: whoever read its columns under another mark has to read them again. */
export interface MarkSource {
  readonly stateSchema: string;
  readonly migrationId: string;
  /** Columns of the state's table; undefined where it is not there. */
  readonly columns: readonly string[] | undefined;
}

const MARKED = ['phase', 'active', 'model_id', 'source_column', 'target_column', 'kept_column', 'text_column'];
/** A state of an older version has fewer columns. */
const MARKED_LATER = ['adapted_model_id', 'route_percent', 'has_gaps'];
/** Of any size, so by their hash. */
const MARKED_BY_HASH = ['new_indexes', 'text_expression', 'search_settings'];

/** A scalar of type text, as a subquery of any statement; NULL where the migration has no record. */
export function markSql({ stateSchema, migrationId, columns }: MarkSource): string {
  const table = quoteQualified(stateSchema, 'migrations');
  if (columns === undefined)
    return `(CASE WHEN pg_catalog.to_regclass(${quoteLiteral(table)}) IS NULL THEN 'none' ELSE 'begun' END)`;
  const column = (name: string): string => `m.${quoteIdentifier(name)}`;
  const parts = [
    ...MARKED.map(column),
    `${column('table_oid')}::oid`,
    ...MARKED_LATER.filter((name) => columns.includes(name)).map(column),
    ...MARKED_BY_HASH.filter((name) => columns.includes(name)).map(
      (name) => `pg_catalog.hashtextextended(${column(name)}::text, 0)`,
    ),
  ];
  const mark = `pg_catalog.jsonb_build_array(${parts.join(', ')})::text`;
  return `(SELECT ${mark} FROM ${table} m WHERE m.id = ${quoteLiteral(migrationId)})`;
}

export interface SearchListSpec {
  readonly target: VectorTarget;
  readonly distance: keyof typeof OPERATORS;
  /** Which rows are ranked: `servedSql`. */
  readonly served: string;
  /** Which rows the other column can serve; undefined where nobody asks. */
  readonly otherServed: string | undefined;
  readonly filter: SqlFragment | undefined;
  readonly quantized: RankedRows['quantized'];
  readonly mark: string;
}

/**
 * The nearest rows of one column, together with the migration's mark, in one statement. The statement's lock on the table is taken before
 * its snapshot, and the swap holds the table exclusively until it commits: columns and mark are of the same side of a swap.
 *
 * All values come as text, so that no type parser of an application's driver matters. Parameters: vector, limit, then the filter's. Without
 * hits one row comes, whose `distance` is NULL.
 */
export function searchListSql(spec: SearchListSpec): string {
  const { target, distance, served, otherServed, filter, quantized, mark } = spec;
  const by = distanceSql(target, distance, '$1');
  const columns = [
    ...target.key.map((key, i) => `t.${quoteIdentifier(key.name)}::text AS k${i}`),
    `${textSql(target.text, 't')}::text AS text`,
    `${by} AS distance`,
    `${otherServed === undefined ? 'true' : otherServed} AS other`,
    `${staleSql(target)} AS stale`,
  ];
  const where = [served, ...(filter === undefined ? [] : [`(${fragmentSql(filter, 3)}\n)`])].join(' AND ');
  const list = rankedRowsSql({ target, distance, columns, where, quantized });
  const out = [
    ...target.key.map((_, i) => `h.k${i}`),
    'h.text',
    ...['distance', 'other', 'stale'].map((name) => `h.${name}::text AS ${name}`),
  ];
  return `SELECT s.mark, ${out.join(', ')} FROM (SELECT ${mark} AS mark) s LEFT JOIN (${list}) h ON true`;
}

/** After the swap an edited row keeps its vector, marked, until it is embedded again. */
function staleSql({ provenance, onlyMissing }: VectorTarget): string {
  if (provenance === undefined || onlyMissing !== true) return 'false';
  return `(t.${quoteIdentifier(provenance.model)} IS NOT DISTINCT FROM ${STALE_MODEL})`;
}
