import { quoteIdentifier } from './identifiers.ts';
import { embeddableSql, STALE_MODEL } from './pending.ts';
import { type ProvenanceColumns, tableSql, type VectorTarget } from './target.ts';

type Served = VectorTarget & { readonly provenance: ProvenanceColumns };

/** Of a row `t`: its vector is of a text that it lost, and there is no other text to embed. */
function blankSql(target: Served): string {
  return `t.${quoteIdentifier(target.provenance.model)} = ${STALE_MODEL} AND NOT COALESCE(${embeddableSql(target, 't')}, false)`;
}

/** Whether there is such a row. */
export function findBlankSql(target: Served): string {
  return `SELECT 1 FROM ${tableSql(target)} t WHERE ${blankSql(target)} LIMIT 1`;
}

/** Takes the vectors of such rows away; a row that somebody holds is left for the next time. */
export function clearBlankSql(target: Served): string {
  const { model, hash, at } = target.provenance;
  const clear = [target.column, model, hash, at].map((name) => `${quoteIdentifier(name)} = NULL`).join(', ');
  return (
    `WITH l AS MATERIALIZED (SELECT t.tableoid AS part, t.ctid AS place FROM ${tableSql(target)} t WHERE ${blankSql(target)} ` +
    `FOR NO KEY UPDATE SKIP LOCKED) ` +
    `UPDATE ${tableSql(target)} t SET ${clear} FROM l WHERE t.ctid = l.place AND t.tableoid = l.part`
  );
}
