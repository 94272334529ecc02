import { fitIdentifier, quoteIdentifier, quoteQualified } from './identifiers.ts';
import { tableSql, type VectorTarget } from './target.ts';

type SampledTarget = Pick<VectorTarget, 'schema' | 'table' | 'key' | 'column' | 'vectorSchema'>;

/** From a random part of the table's pages; parameters: their percentage, the seed. The same seed draws the same pages of an unchanged table. */
function sampleFrom(target: SampledTarget): string {
  return `FROM ${tableSql(target)} t TABLESAMPLE SYSTEM ($1::float4) REPEATABLE ($2::float8) WHERE t.${quoteIdentifier(target.column)} IS NOT NULL`;
}

/**
 * Random rows that have a vector: `k0` … the key's values as text, `vector` in pgvector's binary form. Parameters: the percentage of the
 * table's pages, the seed, the number of rows.
 */
export function sampleVectorsSql(target: SampledTarget): string {
  const keys = target.key.map((key) => `t.${quoteIdentifier(key.name)}::text`);
  const vector = quoteQualified(target.vectorSchema, 'vector');
  const send = quoteQualified(target.vectorSchema, 'vector_send');
  return (
    `SELECT ${keys.map((key, i) => `${key} AS k${i}`).join(', ')}, ${send}(t.${quoteIdentifier(target.column)}::${vector}) AS vector ${sampleFrom(target)} ` +
    `ORDER BY pg_catalog.md5($2::text || pg_catalog.concat_ws(',', ${keys.join(', ')})) LIMIT $3::bigint`
  );
}

/** The copy's name, in the state's schema. */
export function sampleTableName(migrationId: string): string {
  return fitIdentifier('tune_sample_', migrationId);
}

/** An unlogged copy of random rows' vectors: columns `id` and `embedding`. Parameters as of `sampleVectorsSql`. */
export function copyVectorsSql(
  target: SampledTarget,
  into: { readonly schema: string; readonly table: string },
): string {
  return (
    `INSERT INTO ${tableSql(into)} (id, embedding) SELECT pg_catalog.row_number() OVER (), s.embedding FROM (` +
    `SELECT t.${quoteIdentifier(target.column)} AS embedding ${sampleFrom(target)} ORDER BY pg_catalog.random() LIMIT $3::bigint) s`
  );
}
