import { quoteIdentifier, quoteQualified } from './identifiers.ts';
import { notEmbeddedSql } from './pending.ts';
import { tableSql, textHashSql, type VectorTarget, vectorTypeSql } from './target.ts';

export interface BatchWriteOptions {
  /** Write only while the lease still has the given token. */
  readonly fenced: boolean;
  /** The batch says which version of each row was read; see `batchWriteSql`. */
  readonly versioned?: boolean;
}

/**
 * The guarded write of a batch; its row count is the number of rows written. Parameters, in order: one text array a key column, the
 * hashes (`bytea[]`), the vectors (binary `vector[]`), then, when `versioned`, the rows' versions (`xid[]`), then, when `fenced`, the
 * migration's id and the lease's token.
 *
 * Rows are first locked in key order with SKIP LOCKED: a row held by the application is left for the next pass instead of making the
 * batch, and everyone behind it, wait. A row is written where it is still pending and its text is the one that was embedded: its version
 * is the one that was read, or its text has the same hash.
 *
 * Locked rows are updated by their place, not looked up by key again. A row that somebody updated between this statement's snapshot and
 * the lock has a place that the snapshot does not see: it stays pending, for the next pass.
 *
 * Where old vectors are mapped (`mappedFrom`) there are no hashes among the parameters and the version alone counts: the hash that is kept is that
 * of the text as it is in the row, which nobody read.
 */
export function batchWriteSql(target: VectorTarget, modelId: number, options: BatchWriteOptions): string {
  const isMapped = target.mappedFrom !== undefined;
  const vectorParam = target.key.length + (isMapped ? 1 : 2);
  const fenceParam = vectorParam + (options.versioned === true ? 2 : 1);
  const arrays = [
    ...keyArrays(target),
    ...(isMapped ? [] : [`$${vectorParam - 1}::bytea[]`]),
    `$${vectorParam}::${quoteQualified(target.vectorSchema, 'vector')}[]`,
    ...(options.versioned === true ? [`$${vectorParam + 1}::xid[]`] : []),
  ];
  const names = [
    ...[...keyNames(target), ...(isMapped ? [] : ['hash']), 'embedding'],
    ...(options.versioned === true ? ['version'] : []),
  ];
  return [
    `WITH l AS MATERIALIZED (${lockSql(target)})`,
    `UPDATE ${tableSql(target)} t SET ${assignments(target, modelId)}`,
    `FROM unnest(${arrays.join(', ')}) AS i(${names.join(', ')})`,
    // An array is what a TID scan takes. IN looks the same again, but places are unique in a partition only; IS TRUE keeps it a filter.
    'WHERE t.ctid = ANY (ARRAY(SELECT l.place FROM l)) AND ((t.tableoid, t.ctid) IN (SELECT l.part, l.place FROM l)) IS TRUE',
    `  AND ${matchSql(target)} AND ${notEmbeddedSql(target, 't', modelId)}`,
    `  AND ${unchangedSql(target, options)}`,
    ...(options.fenced ? [`  AND ${fenceSql(target, fenceParam)}`] : []),
  ].join('\n');
}

/** xmin is the transaction that wrote this version of the row: another one for every later edit, and no hash to compute for most rows. */
function unchangedSql(target: VectorTarget, { versioned }: BatchWriteOptions): string {
  const sameVersion = 't.xmin = i.version';
  if (target.mappedFrom !== undefined) return sameVersion;
  const sameHash = `${textHashSql(target.text, 't')} = i.hash`;
  return versioned === true ? `(${sameVersion} OR ${sameHash})` : sameHash;
}

function keyArrays(target: VectorTarget): string[] {
  return target.key.map((column, i) => `$${i + 1}::text[]::${column.type}[]`);
}

function keyNames(target: VectorTarget): string[] {
  return target.key.map((_, i) => `k${i}`);
}

function matchSql(target: VectorTarget): string {
  return target.key.map((column, i) => `t.${quoteIdentifier(column.name)} = i.k${i}`).join(' AND ');
}

/** The places of the rows that nobody else holds. One key column is found by `= ANY`, which never reads a small table whole. */
function lockSql(target: VectorTarget): string {
  const [key] = target.key;
  const arrays = keyArrays(target);
  const found =
    target.key.length === 1 && key !== undefined
      ? `WHERE t.${quoteIdentifier(key.name)} = ANY (${arrays[0]})`
      : `JOIN unnest(${arrays.join(', ')}) AS i(${keyNames(target).join(', ')}) ON ${matchSql(target)}`;
  const order = target.key.map((column) => `t.${quoteIdentifier(column.name)}`).join(', ');
  return (
    `SELECT t.ctid AS place, t.tableoid AS part FROM ${tableSql(target)} t ${found}\n` +
    `  ORDER BY ${order} FOR NO KEY UPDATE OF t SKIP LOCKED`
  );
}

function assignments(target: VectorTarget, modelId: number): string {
  const cast = target.vectorType === 'vector' ? '' : `::${declaredTypeSql(target)}`;
  const vector = `${quoteIdentifier(target.column)} = i.embedding${cast}`;
  if (target.provenance === undefined) return vector;
  const { model, hash, at } = target.provenance;
  const isMapped = target.mappedFrom !== undefined;
  const textHash = isMapped ? textHashSql(target.text, 't') : 'i.hash';
  const maker = isMapped ? target.adapted?.modelId : modelId;
  return (
    `${vector}, ${quoteIdentifier(model)} = ${maker}, ${quoteIdentifier(hash)} = ${textHash}, ` +
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
