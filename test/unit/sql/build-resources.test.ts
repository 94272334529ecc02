import { describe, expect, test } from 'vitest';
import { type BuildServer, chooseBuildResources } from '../../../src/sql/build-resources.ts';

const MB = 2 ** 20;
const GB = 2 ** 30;
const server: BuildServer = { maintenanceBytes: 64 * MB, cacheBytes: 4 * GB, workers: 2, sharedBytes: undefined };
const none = { memoryBytes: undefined, workers: undefined };

describe('chooseBuildResources', () => {
  test('gives HNSW its graph with a tenth more, but a quarter of effective_cache_size at most', () => {
    expect(chooseBuildResources('hnsw', 500 * MB, server, none).memoryBytes).toBe(550 * MB);
    expect(chooseBuildResources('hnsw', 5 * GB, server, none).memoryBytes).toBe(GB);
    expect(chooseBuildResources('hnsw', 50 * GB, { ...server, cacheBytes: 64 * GB }, none).memoryBytes).toBe(2 * GB);
    expect(chooseBuildResources('hnsw', 5 * GB, server, { ...none, memoryBytes: 4 * GB }).memoryBytes).toBe(4 * GB);
  });

  test('gives IVFFlat what it does not begin without', () => {
    const small = { ...server, cacheBytes: 64 * MB };
    expect(chooseBuildResources('ivfflat', 300 * MB, small, none)).toEqual({
      memoryBytes: 300 * MB,
      workers: undefined,
    });
  });

  test('leaves a server alone that has enough, or an index whose need is not known', () => {
    expect(chooseBuildResources('hnsw', 10 * MB, server, none)).toEqual(none);
    expect(chooseBuildResources('btree', undefined, server, none)).toEqual(none);
  });

  test('builds HNSW without workers where they would not fit into shared memory', () => {
    const container = { ...server, sharedBytes: 64 * MB };
    expect(chooseBuildResources('hnsw', 500 * MB, container, none).workers).toBe(0);
    expect(chooseBuildResources('hnsw', 500 * MB, { ...container, workers: 0 }, none).workers).toBeUndefined();
    expect(chooseBuildResources('ivfflat', 500 * MB, container, none).workers).toBeUndefined();
    expect(chooseBuildResources('hnsw', 500 * MB, server, { ...none, workers: 7 }).workers).toBe(7);
  });
});
