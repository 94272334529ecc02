import { describe, expect, it } from 'vitest';
import { createIndexSql, parseIndexDefinition } from '../../../src/sql/index-definition.ts';
import { chooseForPartitions, listsOfPartition, partitionIndexName } from '../../../src/sql/partitioned-index.ts';
import { tableSizeSql } from '../../../src/sql/relation-size.ts';

const GB = 2 ** 30;
const ivfflat = { kind: 'ivfflat', lists: 'reference', m: undefined, efConstruction: undefined } as const;

describe('an index over partitions', () => {
  it('is IVFFlat where all rows together are enough for it, with the lists of the largest partition', () => {
    const choice = chooseForPartitions(ivfflat, [40_000, 10_000, 600], 384, GB);
    expect(choice).toMatchObject({ kind: 'ivfflat', lists: 200, options: { lists: '200' }, probes: 15 });
    expect(choice.notice).toBeUndefined();
  });

  it('says how many partitions are too small for it', () => {
    expect(chooseForPartitions(ivfflat, [40_000, 499, 0], 384, GB).notice).toMatch(
      /^2 of 3 partitions have less than 500 rows/,
    );
  });

  it('is HNSW where they are not, and where it has no partition yet', () => {
    expect(chooseForPartitions(ivfflat, [200, 200], 384, GB).kind).toBe('hnsw');
    expect(chooseForPartitions(ivfflat, [], 384, GB).kind).toBe('hnsw');
  });

  it.each([
    [0, 1],
    [49, 1],
    [499, 9],
    [500, 10],
    [40_000, 200],
  ])('a partition of %i rows gets %i lists', (rows, lists) => {
    expect(listsOfPartition(ivfflat, rows, 384, GB)).toMatchObject({
      kind: 'ivfflat',
      lists,
      options: { lists: String(lists) },
    });
  });

  it('has parts that are named after their partition', () => {
    expect(partitionIndexName('segments', 'segments_2024', 'segments_embedding_idx')).toBe(
      'segments_2024_embedding_idx',
    );
    expect(partitionIndexName('segments', 'low', 'ann')).toBe('low_ann');
    expect(partitionIndexName('segments', 'p'.repeat(63), 'ann')).toHaveLength(63);
  });

  it('is made on the table alone, which CONCURRENTLY cannot', () => {
    const definition = parseIndexDefinition('CREATE INDEX a ON ONLY s.t USING hnsw (v vector_l2_ops)');
    expect(createIndexSql({ schema: 's', table: 't' }, 'b', definition, 'only')).toBe(
      'CREATE INDEX "b" ON ONLY "s"."t" USING hnsw (v vector_l2_ops)',
    );
  });
});

it('the size of a table is that of its partitions, or its own without any', () => {
  expect(tableSizeSql('pg_table_size', '$1::oid')).toBe(
    'COALESCE((SELECT pg_catalog.sum(pg_catalog.pg_table_size(s.relid)) FROM pg_catalog.pg_partition_tree($1::oid) s), pg_catalog.pg_table_size($1::oid))',
  );
});
