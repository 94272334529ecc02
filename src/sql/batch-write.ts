import { quoteIdentifier, quoteQualified } from './identifiers.ts';
import { notEmbeddedSql } from './pending.ts';
import { tableSql, textHashSql, type VectorTarget, vectorTypeSql } from './target.ts';

/**
 * The guarded write of a batch. Parameters, in order: one text array a key column, the hashes (`bytea[]`), the vectors
 * (binary `vector[]`), then, when `fenced`, the migration's id and the lease's token.
 *
 * Rows are first locked in key order with SKIP LOCKED: a row held by the application is left for the next pass instead of making the batch,
 * and everyone behind it, wait. A row is written where it is still pending and its text still has the hash of what was embedded;
 * READ COMMITTED checks both again on the newest version of the row. RETURNING gives the keys that were written.
 */
export function batchWriteSql(target: VectorTarget, modelId: number, options: { readonly fenced: boolean }): string {
  const keys = target.key.map((_, i) => `k${i}`);
  const hashParam = keys.length + 1;
  const vectorParam = keys.length + 2;
  const arrays = target.key.map((column, i) => `$${i + 1}::text[]::${column.type}[]`);
  const vectorArray = `$${vectorParam}::${quoteQualified(target.vectorSchema, 'vector')}[]`;
  const match = target.key.map((column, i) => `t.${quoteIdentifier(column.name)} = i.k${i}`).join(' AND ');
  const order = target.key.map((column) => `t.${quoteIdentifier(column.name)}`).join(', ');
  const lockedKeys = target.key.map((column, i) => `t.${quoteIdentifier(column.name)} AS k${i}`).join(', ');
  const joined = target.key.map((column, i) => `t.${quoteIdentifier(column.name)} = l.k${i}`).join(' AND ');
  const returning = target.key.map((column, i) => `t.${quoteIdentifier(column.name)}::text AS k${i}`).join(', ');
  const inputOfLocked = keys.map((key) => `i.${key} = l.${key}`).join(' AND ');
  return [
    `WITH i AS MATERIALIZED (SELECT * FROM unnest(${arrays.join(', ')}, $${hashParam}::bytea[], ${vectorArray}) AS u(${keys.join(', ')}, hash, embedding)),`,
    `l AS MATERIALIZED (SELECT ${lockedKeys} FROM ${tableSql(target)} t JOIN i ON ${match}`,
    `  ORDER BY ${order} FOR NO KEY UPDATE OF t SKIP LOCKED)`,
    `UPDATE ${tableSql(target)} t SET ${assignments(target, modelId)}`,
    `FROM l JOIN i ON ${inputOfLocked}`,
    `WHERE ${joined} AND ${notEmbeddedSql(target, 't', modelId)} AND ${textHashSql(target.text, 't')} = i.hash`,
    ...(options.fenced ? [`AND ${fenceSql(target, hashParam + 2)}`] : []),
    `RETURNING ${returning}`,
  ].join('\n');
}

function assignments(target: VectorTarget, modelId: number): string {
  const cast = target.vectorType === 'vector' ? '' : `::${declaredTypeSql(target)}`;
  const vector = `${quoteIdentifier(target.column)} = i.embedding${cast}`;
  if (target.provenance === undefined) return vector;
  const { model, hash, at } = target.provenance;
  return (
    `${vector}, ${quoteIdentifier(model)} = ${modelId}, ${quoteIdentifier(hash)} = i.hash, ` +
    `${quoteIdentifier(at)} = pg_catalog.clock_timestamp()`
  );
}

/** A column may be declared without dimensions. */
function declaredTypeSql(target: VectorTarget): string {
  return target.dimensions === 0 ? quoteQualified(target.vectorSchema, target.vectorType) : vectorTypeSql(target);
}

/** A worker whose lease was taken over must not write when it wakes: its token no longer matches. */
function fenceSql(target: VectorTarget, firstParam: number): string {
  return (
    `EXISTS (SELECT 1 FROM ${quoteQualified(target.stateSchema, 'leases')} m ` +
    `WHERE m.migration_id = $${firstParam} AND m.token = $${firstParam + 1}::bigint)`
  );
}
