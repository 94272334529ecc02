import { describe, expect, it } from 'vitest';
import { nearestSql, searchSettings } from '../../../src/search/nearest.ts';
import { scoreQuery } from '../../../src/search/recall.ts';
import type { SearchIndex } from '../../../src/search/search-side.ts';
import { vectorLiteral } from '../../../src/search/vector-literal.ts';
import type { VectorTarget } from '../../../src/sql/target.ts';

const target: VectorTarget = {
  schema: 'My App',
  table: 'seg"ments',
  key: [
    { name: 'doc', type: 'uuid' },
    { name: 'n', type: 'integer' },
  ],
  text: 'text',
  column: 'embedding',
  provenance: undefined,
  vectorType: 'vector',
  dimensions: 3,
  vectorSchema: 'extensions',
  stateSchema: 'reembed',
};

const ivfflat: SearchIndex = { name: 'i', kind: 'ivfflat', lists: 316, probes: 18, efSearch: undefined };
const hnsw: SearchIndex = { name: 'i', kind: 'hnsw', lists: undefined, probes: undefined, efSearch: 40 };

describe('nearestSql', () => {
  it('names operator, type and table in full, wherever the extension lives', () => {
    const sql = nearestSql(target, 'cosine');
    expect(sql).toContain('t."embedding" OPERATOR("extensions".<=>) $1::text::"extensions"."vector"');
    expect(sql).toContain('FROM "My App"."seg""ments" t');
    expect(sql).toContain('t."doc"::text AS k0, t."n"::text AS k1');
  });

  it.each([
    ['l2', '<->'],
    ['ip', '<#>'],
    ['cosine', '<=>'],
  ] as const)('uses the operator of %s', (distance, operator) => {
    expect(nearestSql(target, distance)).toContain(`OPERATOR("extensions".${operator})`);
  });
});

describe('searchSettings', () => {
  it('sets probes and ef_search as stored with the index', () => {
    expect(searchSettings({ index: ivfflat }, 'planner', 10)).toEqual({ 'ivfflat.probes': '18' });
    expect(searchSettings({ index: hnsw }, 'planner', 10)).toEqual({ 'hnsw.ef_search': '40' });
  });

  it('lets HNSW return as many rows as are asked for', () => {
    expect(searchSettings({ index: hnsw }, 'planner', 100)['hnsw.ef_search']).toBe('100');
    expect(searchSettings({ index: hnsw }, 'planner', 5000)['hnsw.ef_search']).toBe('1000');
  });

  it('keeps every index out of an exact search', () => {
    expect(searchSettings({ index: ivfflat }, 'exact', 10)).toMatchObject({
      enable_indexscan: 'off',
      enable_bitmapscan: 'off',
    });
  });

  it('leaves the planner no way around the index where the index is what is measured', () => {
    expect(searchSettings({ index: ivfflat }, 'index', 10)).toMatchObject({
      enable_seqscan: 'off',
      enable_sort: 'off',
      jit: 'off',
    });
    expect(searchSettings({ index: undefined }, 'index', 10)).toEqual({});
  });
});

describe('vectorLiteral', () => {
  it('writes what pgvector reads', () => {
    expect(vectorLiteral(new Float32Array([1, -0.5, 0]))).toBe('[1,-0.5,0]');
    expect(vectorLiteral([1e-10, 2])).toBe('[1e-10,2]');
  });

  it.each([[[]], [[Number.NaN]], [[1, Number.POSITIVE_INFINITY]]])('refuses %j', (values) => {
    expect(() => vectorLiteral(values)).toThrow(RangeError);
  });
});

describe('scoreQuery', () => {
  it('gives the share of relevant rows found and the first one’s rank', () => {
    expect(scoreQuery([['9'], ['3'], ['4']], [['3'], ['7']])).toEqual({ recall: 0.5, reciprocalRank: 0.5 });
    expect(scoreQuery([['9']], [['3']])).toEqual({ recall: 0, reciprocalRank: 0 });
    expect(scoreQuery([['1', '2']], [['1', '2']])).toEqual({ recall: 1, reciprocalRank: 1 });
  });
});
