import { expect, test } from 'vitest';
import { notEmbeddedSql } from '../../../src/sql/pending.ts';
import { markSql, servedSql } from '../../../src/sql/search-list.ts';
import { provenanceOf, type VectorTarget } from '../../../src/sql/target.ts';

const target: VectorTarget = {
  schema: 'public',
  table: 'segments',
  key: [{ name: 'id', type: 'bigint' }],
  text: 'text',
  column: 'embedding_384',
  provenance: provenanceOf('embedding_384'),
  vectorType: 'vector',
  dimensions: 384,
  vectorSchema: 'public',
  stateSchema: 'reembed',
};
const model = 't."embedding_384_model"';

test("an adapter's vectors count as embedded while they are kept, and are all that is pending when they are replaced", () => {
  const kept = { ...target, adapted: { modelId: 8, as: 'kept' } } as const;
  const open = `(${model} IS DISTINCT FROM 7 AND ${model} IS DISTINCT FROM 8)`;
  expect(notEmbeddedSql(kept, 't', 7)).toBe(open);
  expect(servedSql(kept, 7)).toBe(`(t."embedding_384" IS NOT NULL AND NOT (${open}))`);
  const replaced = { ...target, adapted: { modelId: 8, as: 'replaced' }, onlyMissing: true } as const;
  expect(notEmbeddedSql(replaced, 't', 7)).toBe(`${model} IS NOT DISTINCT FROM 8`);
  expect(() => notEmbeddedSql({ ...target, adapted: { modelId: Number.NaN, as: 'kept' } }, 't', 7)).toThrow(RangeError);
});

test('a search names no column that a state of an older version lacks', () => {
  const source = { stateSchema: 'reembed', migrationId: 'segments' };
  expect(markSql({ ...source, columns: ['phase', 'model_id'] })).not.toMatch(/adapted_model_id|has_gaps/);
  expect(markSql({ ...source, columns: ['phase', 'model_id', 'adapted_model_id'] })).toContain('m."adapted_model_id"');
});
