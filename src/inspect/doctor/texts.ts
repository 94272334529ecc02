import type { Queryable } from '../../db/types.ts';
import { plural } from '../../plural.ts';
import { embeddableSql, keyJsonSql } from '../../sql/pending.ts';
import type { VectorTarget } from '../../sql/target.ts';
import { textName, textSql } from '../../sql/text-source.ts';
import { warningFinding } from '../finding.ts';
import { describeKeys, orderSql } from '../stored-vectors.ts';
import { type Examined, type Look, seen, unseen } from './look.ts';
import { sampleRows, scopeOf, targetOf } from './sample.ts';

interface Texts {
  readonly rows: number;
  readonly missing: number;
  readonly blank: number;
  /** UTF-8 bytes of the longest one. */
  readonly longest: number | null;
  readonly keys: readonly (readonly string[])[];
}

/** The vector column's place in the target is not used here: texts are looked at whether or not they have a vector. */
export function textTarget(examined: Examined): VectorTarget | undefined {
  const { table, text } = examined;
  const column = table.columns[0];
  return column === undefined || text === undefined || table.kind !== 'r' ? undefined : targetOf(examined, column);
}

/** The text's name in a finding, e.g. `"segments.text"`. */
export function textOf({ table, text }: Pick<VectorTarget, 'table' | 'text'>): string {
  return typeof text === 'string' ? `"${table}.${text}"` : `"${textName(text)}" of "${table}"`;
}

/** Rows that no model can embed: NULL, empty or blank text. */
export async function lookAtTexts(examined: Examined, tx: Queryable): Promise<Look> {
  const target = textTarget(examined);
  if (target === undefined) return unseen('there is no text column to look at');
  const sample = await sampleRows(tx, examined, target, 'true');
  const text = textSql(target.text, 't');
  const none = `(${embeddableSql(target, 't')} IS NOT TRUE)`;
  const { rows } = await tx.query<Texts>(
    `WITH seen AS MATERIALIZED (SELECT ${keyJsonSql(target, 't')} AS key, pg_catalog.row_number() OVER (ORDER BY ${orderSql(target)}) AS position,
       ${none} AS none, ${text} IS NULL AS missing, pg_catalog.octet_length(${text}::text) AS bytes FROM ${sample.sql})
     SELECT pg_catalog.count(*)::float8 AS rows, pg_catalog.count(*) FILTER (WHERE missing)::float8 AS missing,
       pg_catalog.count(*) FILTER (WHERE none AND NOT missing)::float8 AS blank, pg_catalog.max(bytes) AS longest,
       (SELECT COALESCE(pg_catalog.json_agg(key ORDER BY position), '[]') FROM
         (SELECT key, position FROM seen WHERE none ORDER BY position LIMIT 11) first) AS keys FROM seen`,
    sample.params,
  );
  const found = rows[0];
  if (found === undefined) return unseen('the texts were not counted');
  const scope = scopeOf(examined, found.rows, 'row');
  const detail = `${scope.replace(/^of /, '')}, the longest text has ${found.longest ?? 0} bytes`;
  const without = found.missing + found.blank;
  if (without === 0) return seen(detail);
  return seen(detail, [
    warningFinding(
      'texts_missing',
      `${without} ${scope} have no text in ${textOf(target)} (NULL in ${found.missing}, empty or blank in ${found.blank}): ${describeKeys(found.keys)}.`,
      `Give ${plural(without, 'it', 'them')} a text where there should be one; the backfill leaves out and counts the others.`,
    ),
  ]);
}
