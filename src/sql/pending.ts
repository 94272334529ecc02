import { quoteIdentifier, quoteQualified } from './identifiers.ts';
import { type OldVectors, textHashSql, type VectorTarget, vectorSendSql } from './target.ts';
import { textSql } from './text-source.ts';

/** Stands for a model in the served column after the swap: the text was edited, the vector is of the former one. Ids begin at 1. */
export const STALE_MODEL = 0;

/** Text that a model can embed: neither NULL nor empty nor only white space. "C", because regular expressions refuse nondeterministic collations. */
export function embeddableSql(target: Pick<VectorTarget, 'text'>, alias: string): string {
  return `(${textSql(target.text, alias)}::text COLLATE pg_catalog."C" ~ '[^[:space:]]')`;
}

/**
 * Not yet embedded by the model with this id, nor kept as an adapter's. With provenance columns that is exact, also after an undone swap or a
 * bypassed trigger; a column without them (the application's old one), and one that the application writes itself, is pending where it is
 * NULL, or marked as stale. Where adapted vectors are to be replaced, they alone are pending: a write is then a compare-and-set on provenance.
 */
export function notEmbeddedSql(target: VectorTarget, alias: string, modelId: number): string {
  const missing = `${alias}.${quoteIdentifier(target.column)} IS NULL`;
  if (target.provenance === undefined) return missing;
  const by = `${alias}.${quoteIdentifier(target.provenance.model)}`;
  const { adapted } = target;
  if (adapted?.as === 'replaced') return `${by} IS NOT DISTINCT FROM ${wholeId(adapted.modelId)}`;
  if (target.onlyMissing === true) return `(${missing} OR ${by} IS NOT DISTINCT FROM ${STALE_MODEL})`;
  const open = `${by} IS DISTINCT FROM ${wholeId(modelId)}`;
  return adapted === undefined ? open : `(${open} AND ${by} IS DISTINCT FROM ${wholeId(adapted.modelId)})`;
}

/** A row `t` whose vector the adapter made; false where none is known. */
export function adaptedSql(target: VectorTarget, alias: string): string {
  if (target.provenance === undefined || target.adapted === undefined) return 'false';
  return `(${alias}.${quoteIdentifier(target.provenance.model)} IS NOT DISTINCT FROM ${wholeId(target.adapted.modelId)})`;
}

function wholeId(modelId: number): number {
  if (!Number.isInteger(modelId)) throw new RangeError(`a model id is an integer, got ${modelId}`);
  return modelId;
}

/** Has an old vector that an adapter can map: none of a text that was edited since, as far as a trigger of this migration or an earlier one saw it. */
export function mappableSql(target: Pick<VectorTarget, 'provenance'>, from: OldVectors, alias: string): string {
  const marks = [target.provenance, from.provenance].flatMap((columns) =>
    columns === undefined ? [] : [`${alias}.${quoteIdentifier(columns.model)} IS DISTINCT FROM ${STALE_MODEL}`],
  );
  return `(${[`${alias}.${quoteIdentifier(from.column)} IS NOT NULL`, ...marks].join(' AND ')})`;
}

/** What a quarantined row is known by: its text, or, where it is mapped and has none, the old vector. */
export function quarantineHashSql(target: VectorTarget, alias: string): string {
  const text = textHashSql(target.text, alias);
  if (target.mappedFrom === undefined) return text;
  const { column, vectorType } = target.mappedFrom;
  const bytes = vectorSendSql(target, vectorType, `${alias}.${quoteIdentifier(column)}`);
  return `COALESCE(${text}, pg_catalog.substring(pg_catalog.sha256(${bytes}), 1, 16))`;
}

/** Not quarantined with this very text: an edited row gets another try. */
export function notQuarantinedSql(target: VectorTarget, alias: string, migrationId: string): string {
  return (
    `NOT EXISTS (SELECT 1 FROM ${quoteQualified(target.stateSchema, 'quarantine')} q ` +
    `WHERE q.migration_id = ${literal(migrationId)} AND q.key = ${keyJsonSql(target, alias)} ` +
    `AND q.text_hash = ${quarantineHashSql(target, alias)})`
  );
}

/** The whole definition of pending: what the backfill still has to do. Composed of constants only, so that it can stand in a partial index. */
export function pendingSql(target: VectorTarget, alias: string, modelId: number): string {
  const { mappedFrom } = target;
  const possible = mappedFrom === undefined ? embeddableSql(target, alias) : mappableSql(target, mappedFrom, alias);
  return `${notEmbeddedSql(target, alias, modelId)} AND ${possible}`;
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
