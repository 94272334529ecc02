import { quoteIdentifier } from './identifiers.ts';
import { notEmbeddedSql, notQuarantinedSql } from './pending.ts';
import { tableSql, textHashSql, type VectorTarget } from './target.ts';

/**
 * Counts, of the given rows, those that are pending with the very text that was read: they were locked, not edited. Parameters: one text
 * array a key column, then the hashes (`bytea[]`).
 */
export function countHeldBackSql(target: VectorTarget, modelId: number, migrationId: string): string {
  const arrays = target.key.map((column, i) => `$${i + 1}::text[]::${column.type}[]`);
  const match = target.key.map((column, i) => `t.${quoteIdentifier(column.name)} = i.k${i}`).join(' AND ');
  return [
    `SELECT count(*)::int AS count FROM unnest(${arrays.join(', ')}, $${arrays.length + 1}::bytea[]) AS i(${target.key.map((_, i) => `k${i}`).join(', ')}, hash)`,
    `JOIN ${tableSql(target)} t ON ${match}`,
    `WHERE ${notEmbeddedSql(target, 't', modelId)} AND ${notQuarantinedSql(target, 't', migrationId)}`,
    `  AND ${textHashSql(target.text, 't')} = i.hash`,
  ].join('\n');
}
