import { type ComparedColumn, commonRowsSql } from './evaluation.ts';
import { quoteIdentifier, quoteQualified } from './identifiers.ts';
import { embeddableSql } from './pending.ts';
import type { VectorTarget } from './target.ts';
import { textSql } from './text-source.ts';

/** Rows `t` with a text that have a vector of its own model on every side, and of this very text as far as the provenance tells. */
export function onAllSidesSql(columns: readonly [ComparedColumn, ...ComparedColumn[]]): string {
  return `${commonRowsSql(columns)} AND ${embeddableSql(columns[0].target, 't')}`;
}

/**
 * The text of each row as `text` and its vectors in binary form, as `v0`, `v1`, …
 *
 * @param targets of one table
 * @param from what stands in FROM, its alias `t`
 */
export function sampleVectorsSql(targets: readonly VectorTarget[], from: string): string {
  const vectors = targets.map((target, i) => {
    const column = `t.${quoteIdentifier(target.column)}`;
    const vector = quoteQualified(target.vectorSchema, 'vector');
    const send = quoteQualified(target.vectorSchema, 'vector_send');
    return `${send}(${target.vectorType === 'vector' ? column : `${column}::${vector}`}) AS v${i}`;
  });
  const texts = targets.slice(0, 1).map(({ text }) => `${textSql(text, 't')}::text AS text`);
  return `SELECT ${[...texts, ...vectors].join(', ')} FROM ${from}`;
}
