import { quoteIdentifier, quoteLiteral, quoteQualified } from './identifiers.ts';
import { notQuarantinedSql, pendingSql } from './pending.ts';
import { compareRowSql, partitionSql } from './read-window.ts';
import { type AdaptedVectors, type OldVectors, tableSql, type VectorTarget, vectorSendSql } from './target.ts';

/** A target whose rows are mapped from old vectors. */
export interface MappedTarget extends VectorTarget {
  readonly mappedFrom: OldVectors;
  /** Who they are from once they are written. */
  readonly adapted: AdaptedVectors;
}

export function isMapped(target: VectorTarget): target is MappedTarget {
  return target.mappedFrom !== undefined && target.adapted !== undefined;
}

export interface VectorWindow {
  readonly modelId: number;
  readonly migrationId: string;
  /** Leave out rows that are in quarantine. */
  readonly skipQuarantined: boolean;
  /** The key, as text, behind which rows are read; null from the beginning. */
  readonly after: readonly string[] | null;
  /** The key up to which rows are read. */
  readonly upTo: readonly string[];
  readonly rows: number;
}

/**
 * The next window of rows whose old vector is to be mapped, in key order: key columns as text (`k0`, `k1`, …), `version` and `part` as of
 * `readWindowSql`, and `vector`, the old vector's binary form, a halfvec's as that of the vector that it is cast to. Without parameters, as COPY takes none.
 */
export function readVectorsSql(target: MappedTarget, window: VectorWindow): string {
  const names = target.key.map((column) => `t.${quoteIdentifier(column.name)}`);
  const keys = target.key.map((_, i) => `k${i}`);
  const where = [
    ...(window.after === null ? [] : [compareRowSql(target, '>', window.after.map(quoteLiteral))]),
    compareRowSql(target, '<=', window.upTo.map(quoteLiteral)),
    pendingSql(target, 't', window.modelId),
    ...(window.skipQuarantined ? [notQuarantinedSql(target, 't', window.migrationId)] : []),
  ];
  // Vectors are fetched from TOAST outside, of the rows of this window only.
  return [
    `SELECT ${keys.map((key) => `w.${key}::text AS ${key}`).join(', ')}, w.version::text AS version, w.part::text AS part, ${oldBytesSql(target, 'w.old')} AS vector FROM (`,
    `  SELECT ${names.map((name, i) => `${name} AS k${i}`).join(', ')}, t.xmin AS version, ${partitionSql(target)} AS part, t.${quoteIdentifier(target.mappedFrom.column)} AS old`,
    `  FROM ${tableSql(target)} t WHERE ${where.join('\n    AND ')}`,
    `  ORDER BY ${names.join(', ')} LIMIT ${wholeNumber(window.rows)}) w`,
    `ORDER BY ${keys.map((key) => `w.${key}`).join(', ')}`,
  ].join('\n');
}

function oldBytesSql(target: MappedTarget, expression: string): string {
  const vector = quoteQualified(target.vectorSchema, 'vector');
  const cast = target.mappedFrom.vectorType === 'vector' ? expression : `${expression}::${vector}`;
  return vectorSendSql(target, 'vector', cast);
}

/** Counts, of the given rows, those that are pending in the version that was read: they were locked, not edited. Parameters: key arrays, then `xid[]`. */
export function countHeldVersionsSql(target: MappedTarget, modelId: number, migrationId: string): string {
  const arrays = target.key.map((column, i) => `$${i + 1}::text[]::${column.type}[]`);
  const match = target.key.map((column, i) => `t.${quoteIdentifier(column.name)} = i.k${i}`).join(' AND ');
  return [
    `SELECT count(*)::int AS count FROM unnest(${arrays.join(', ')}, $${arrays.length + 1}::xid[]) AS i(${target.key.map((_, i) => `k${i}`).join(', ')}, version)`,
    `JOIN ${tableSql(target)} t ON ${match}`,
    `WHERE ${pendingSql(target, 't', modelId)} AND ${notQuarantinedSql(target, 't', migrationId)} AND t.xmin = i.version`,
  ].join('\n');
}

/** Which models made the vectors of a column with provenance, a row each; vectors that the application wrote, and stale ones, are not told. */
export function readMakersSql(
  target: Pick<VectorTarget, 'schema' | 'table'>,
  from: Pick<OldVectors, 'column'>,
  model: string,
): string {
  return (
    `SELECT t.${quoteIdentifier(model)} AS id, pg_catalog.count(*)::float8 AS rows FROM ${tableSql(target)} t ` +
    `WHERE t.${quoteIdentifier(from.column)} IS NOT NULL AND t.${quoteIdentifier(model)} > 0 GROUP BY 1 ORDER BY 1`
  );
}

/** The dimensions of some vector of a column that is declared without; no row where there is none. */
export function readDimensionsSql(
  old: Pick<VectorTarget, 'schema' | 'table' | 'column' | 'vectorSchema' | 'vectorType'>,
): string {
  const column = `t.${quoteIdentifier(old.column)}`;
  return (
    `SELECT ${quoteQualified(old.vectorSchema, 'vector_dims')}(${column}) AS dimensions FROM ${tableSql(old)} t ` +
    `WHERE ${column} IS NOT NULL LIMIT 1`
  );
}

function wholeNumber(value: number): number {
  if (!Number.isInteger(value)) throw new RangeError(`a number of rows is an integer, got ${value}`);
  return value;
}
