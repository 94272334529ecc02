import { quoteIdentifier, quoteQualified } from './identifiers.ts';
import { textHashSql, type VectorTarget } from './target.ts';
import { textSql } from './text-source.ts';

/** Text that a model can embed: neither NULL nor empty nor only white space. "C", because regular expressions refuse nondeterministic collations. */
export function embeddableSql(target: Pick<VectorTarget, 'text'>, alias: string): string {
  return `(${textSql(target.text, alias)}::text COLLATE pg_catalog."C" ~ '[^[:space:]]')`;
}

/**
 * Not yet embedded by the model with this id. With provenance columns that is exact, also after an undone swap or a bypassed trigger;
 * a column without them (the application's old one), and one that the application writes itself, is pending where it is NULL.
 */
export function notEmbeddedSql(target: VectorTarget, alias: string, modelId: number): string {
  if (target.provenance === undefined || target.onlyMissing === true)
    return `${alias}.${quoteIdentifier(target.column)} IS NULL`;
  if (!Number.isInteger(modelId)) throw new RangeError(`a model id is an integer, got ${modelId}`);
  return `${alias}.${quoteIdentifier(target.provenance.model)} IS DISTINCT FROM ${modelId}`;
}

/** Not quarantined with this very text: an edited row gets another try. */
export function notQuarantinedSql(target: VectorTarget, alias: string, migrationId: string): string {
  return (
    `NOT EXISTS (SELECT 1 FROM ${quoteQualified(target.stateSchema, 'quarantine')} q ` +
    `WHERE q.migration_id = ${literal(migrationId)} AND q.key = ${keyJsonSql(target, alias)} ` +
    `AND q.text_hash = ${textHashSql(target.text, alias)})`
  );
}

/** The whole definition of pending: what the backfill still has to do. Composed of constants only, so that it can stand in a partial index. */
export function pendingSql(target: VectorTarget, alias: string, modelId: number): string {
  return `${notEmbeddedSql(target, alias, modelId)} AND ${embeddableSql(target, alias)}`;
}

/** The key as a jsonb array of the text forms of its columns, in key order. */
export function keyJsonSql(target: Pick<VectorTarget, 'key'>, alias: string): string {
  const parts = target.key.map((column) => `${alias}.${quoteIdentifier(column.name)}::text`);
  return `pg_catalog.jsonb_build_array(${parts.join(', ')})`;
}

/** Migration ids match `[a-z][a-z0-9-]*`, which the configuration checks. */
function literal(migrationId: string): string {
  if (!/^[a-z][a-z0-9-]*$/.test(migrationId)) throw new RangeError(`not a migration id: ${migrationId}`);
  return `'${migrationId}'`;
}
