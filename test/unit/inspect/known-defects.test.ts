import { expect, test } from 'vitest';
import { pgvectorDefects, postgresDefects } from '../../../src/inspect/doctor/known-defects.ts';

const codes = (version: string, ...methods: string[]): string[] =>
  pgvectorDefects(version, new Set(methods)).map((finding) => finding.code.replace('pgvector_', ''));

test.each([
  ['0.2.6', 'ivfflat', ['ivfflat_build']],
  ['0.3.0', 'ivfflat', ['ivfflat_build', 'ivfflat_insert']],
  ['0.5.1', 'hnsw', ['hnsw_vacuum']],
  ['0.6.0', 'hnsw', ['hnsw_parallel_build', 'hnsw_vacuum']],
  ['0.8.1', 'hnsw', ['hnsw_parallel_build', 'hnsw_vacuum']],
  ['0.8.2', 'hnsw', ['hnsw_vacuum']],
  ['0.8.3', 'hnsw', ['hnsw_vacuum']],
  ['0.8.4', 'hnsw', []],
  ['0.8.6', 'ivfflat', ['ivfflat_build']],
  ['0.8.7', 'ivfflat', []],
  ['0.8.10', 'ivfflat', []],
  ['1.0', 'hnsw', []],
])('pgvector %s with %s indexes has the defects %j', (version, method, expected) => {
  expect(codes(version, method)).toEqual(expected);
});

test('an index method that is not used brings no defect', () => {
  expect(codes('0.5.0')).toEqual([]);
});

test('Postgres 14 before 14.4 may leave rows out of an index that is built CONCURRENTLY', () => {
  const found = (versionNumber: number): number => postgresDefects({ versionNumber, version: '' }).length;
  expect([130_014, 140_000, 140_003, 140_004, 150_000].map(found)).toEqual([0, 1, 1, 0, 0]);
});
