import type { Queryable } from '../../db/types.ts';
import { quoteIdentifier, quoteQualified } from '../../sql/identifiers.ts';
import { keyJsonSql } from '../../sql/pending.ts';
import type { VectorTarget } from '../../sql/target.ts';
import { type TextSource, textSql } from '../../sql/text-source.ts';
import { HAS_LENGTH_ONE, LENGTH_FAULTS, normSql, orderSql, vectorSql } from '../stored-vectors.ts';
import type { SampledRows } from './sample.ts';

/** A number of vectors with the keys of the first ones. */
export interface Counted {
  readonly count: number;
  readonly keys: readonly (readonly string[])[];
}

export interface MeasuredVectors {
  readonly rows: number;
  /** All that occur, ascending. */
  readonly dimensions: readonly number[];
  /** Ids of the models that the provenance names; empty without provenance. */
  readonly models: readonly number[];
  /** Of the vectors of finite length; NaN without any. */
  readonly shortest: number;
  readonly longest: number;
  /** Vectors of length 1. */
  readonly unit: number;
  readonly zero: Counted;
  readonly notFinite: Counted;
  readonly notUnit: Counted;
  /** Vectors that stand under texts which differ by more than case and white space. */
  readonly duplicates: Counted;
}

const SHOWN_KEYS = 11;
const DOUBLED =
  'same IN (SELECT same FROM measured WHERE n > 0 GROUP BY same HAVING pg_catalog.count(DISTINCT said) > 1)';

/**
 * One pass over the rows; only numbers and keys leave the server.
 *
 * @param columns the text and the model's provenance, where they are there
 */
export async function measureVectors(
  tx: Queryable,
  target: VectorTarget,
  sample: SampledRows,
  columns: { readonly text: TextSource | undefined; readonly model: string | undefined },
): Promise<MeasuredVectors> {
  const counted = (condition: string): string =>
    `pg_catalog.json_build_object('count', (SELECT pg_catalog.count(*) FROM measured WHERE ${condition}), 'keys',
       (SELECT COALESCE(pg_catalog.json_agg(key ORDER BY position), '[]') FROM
         (SELECT key, position FROM measured WHERE ${condition} ORDER BY position LIMIT ${SHOWN_KEYS}) first))`;
  const finite = `NOT ${LENGTH_FAULTS['not-finite']}`;
  const { rows } = await tx.query<MeasuredVectors>(
    `WITH measured AS MATERIALIZED (${measuredSql(target, sample, columns)})
     SELECT pg_catalog.count(*)::float8 AS rows, COALESCE(pg_catalog.json_agg(DISTINCT d), '[]') AS dimensions,
       COALESCE(pg_catalog.json_agg(DISTINCT model) FILTER (WHERE model IS NOT NULL), '[]') AS models,
       COALESCE(pg_catalog.min(n) FILTER (WHERE ${finite}), 'NaN') AS shortest,
       COALESCE(pg_catalog.max(n) FILTER (WHERE ${finite}), 'NaN') AS longest,
       pg_catalog.count(*) FILTER (WHERE ${HAS_LENGTH_ONE})::float8 AS unit, ${counted(LENGTH_FAULTS.zero)} AS zero, ${counted(LENGTH_FAULTS['not-finite'])} AS "notFinite",
       ${counted(LENGTH_FAULTS['not-normalised'])} AS "notUnit", ${counted(DOUBLED)} AS duplicates FROM measured`,
    sample.params,
  );
  const measured = rows[0];
  if (measured === undefined) throw new Error(`nothing was measured of ${target.schema}.${target.table}`);
  return measured;
}

function measuredSql(
  target: VectorTarget,
  sample: SampledRows,
  { text, model }: { readonly text: TextSource | undefined; readonly model: string | undefined },
): string {
  const vector = vectorSql(target, 't');
  const call = (name: string): string => `${quoteQualified(target.vectorSchema, name)}(${vector})`;
  const said =
    text === undefined
      ? 'NULL::text'
      : `pg_catalog.md5(pg_catalog.lower(pg_catalog.regexp_replace(pg_catalog.btrim(${textSql(text, 't')}::text COLLATE pg_catalog."C"), '[[:space:]]+', ' ', 'g')))`;
  return (
    `SELECT ${keyJsonSql(target, 't')} AS key, pg_catalog.row_number() OVER (ORDER BY ${orderSql(target)}) AS position, ` +
    `${normSql(target)} AS n, ${call('vector_dims')} AS d, pg_catalog.md5(${call('vector_send')}) AS same, ${said} AS said, ` +
    `${model === undefined ? 'NULL::int' : `t.${quoteIdentifier(model)}`} AS model FROM ${sample.sql}`
  );
}
