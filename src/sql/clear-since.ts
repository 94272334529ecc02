import { quoteIdentifier } from './identifiers.ts';
import { tableSql, type VectorTarget } from './target.ts';

/** True for a row `t` whose vector this model made since $1 (timestamptz). Columns without provenance have no such rows. */
export function madeSinceSql(target: VectorTarget, modelId: number): string {
  if (target.provenance === undefined) return 'false';
  if (!Number.isInteger(modelId)) throw new RangeError(`a model id is an integer, got ${modelId}`);
  const { model, at } = target.provenance;
  return `t.${quoteIdentifier(model)} = ${modelId} AND t.${quoteIdentifier(at)} >= $1::timestamptz`;
}

/** Clears vectors and provenance of those rows that nobody holds: they are pending again. */
export function clearSinceSql(target: VectorTarget, modelId: number): string {
  const { model, hash, at } = target.provenance ?? { model: '', hash: '', at: '' };
  const columns = [target.column, model, hash, at].filter((column) => column !== '');
  const clear = columns.map((column) => `${quoteIdentifier(column)} = NULL`).join(', ');
  return (
    `WITH l AS MATERIALIZED (SELECT t.tableoid AS part, t.ctid AS place FROM ${tableSql(target)} t WHERE ${madeSinceSql(target, modelId)} FOR NO KEY UPDATE SKIP LOCKED)\n` +
    `UPDATE ${tableSql(target)} t SET ${clear} FROM l WHERE t.ctid = l.place AND t.tableoid = l.part`
  );
}
