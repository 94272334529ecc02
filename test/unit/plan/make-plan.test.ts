import { describe, expect, it } from 'vitest';
import { factsOf, OLD_INDEX, planOf as plan } from './plan-facts.ts';

function sqlOf(step: number, made = plan()): string {
  return made.steps[step]?.sql.join(';\n') ?? '';
}

describe('makePlan', () => {
  it('shows the statements of the three migrations', () => {
    expect(plan().steps.map((step) => step.name)).toEqual([
      '005_add_embedding_384',
      '006_backfill_embedding_384',
      '007_swap_embedding',
    ]);
    expect(sqlOf(0)).toContain('ADD COLUMN "embedding_384" "public"."vector"(384)');
    expect(sqlOf(0)).toContain('CREATE TRIGGER');
    expect(sqlOf(1)).toContain('FOR NO KEY UPDATE OF t SKIP LOCKED');
    expect(sqlOf(2)).toContain('RENAME COLUMN "embedding" TO "embedding_old"');
    expect(sqlOf(2)).toContain('RENAME COLUMN "embedding_384" TO "embedding"');
  });

  it('makes the old index over for the new column, with lists for the rows that are there', () => {
    const [index] = plan().indexes;
    expect(index).toMatchObject({ name: OLD_INDEX.name, kind: 'ivfflat', lists: 316, probes: 18 });
    expect(index?.sql).toContain('CREATE INDEX CONCURRENTLY');
    expect(index?.sql).toContain('vector_cosine_ops');
    expect(index?.sql).toContain("lists = '316'");
  });

  it('keeps the kind and the options of an old HNSW index unless another kind is asked for', () => {
    const hnsw = {
      name: 'old_hnsw',
      method: 'hnsw' as const,
      definition: "CREATE INDEX old_hnsw ON public.segments USING hnsw (embedding vector_ip_ops) WITH (m='32')",
    };
    const [alike] = plan({ annIndexes: [hnsw] }).indexes;
    expect(alike).toMatchObject({ kind: 'hnsw', lists: undefined, notice: undefined });
    expect(alike?.sql).toMatch(/USING hnsw .*vector_ip_ops"?\) WITH \(m = '32'\)/);
    const [asked] = plan({ annIndexes: [hnsw] }, { index: { kind: 'ivfflat' } }).indexes;
    expect(asked).toMatchObject({ kind: 'ivfflat', lists: 316 });
  });

  it('says how much memory the reference formula needs at a million rows', () => {
    const [index] = plan({ rowsEstimate: 1_000_000 }).indexes;
    expect(index?.lists).toBe(1000);
    expect(Math.round((index?.buildMemoryBytes ?? 0) / 2 ** 20)).toBeGreaterThan(250);
  });

  it('gives an empty table an HNSW index and says why', () => {
    const made = plan({ rowsEstimate: 0 });
    expect(made.indexes[0]?.kind).toBe('hnsw');
    expect(made.notes.join(' ')).toContain('at least 500 rows');
    expect(made.storage.newColumnBytes).toBe(0);
  });

  it('estimates the new column and index by their wire and page sizes', () => {
    const { storage } = plan();
    // 384 float4s and headers are 1,544 bytes; five index rows fill a page of 8 KiB.
    expect(storage.newColumnBytes).toBeGreaterThan(100_000 * 1544);
    expect(storage.newColumnBytes).toBeLessThan(100_000 * 1600);
    expect(storage.newIndexBytes).toBe(20_000 * 8192);
    expect(storage.oldColumnBytes).toBe(100_000 * (8 + 4 * 1536));
    const half = { name: 'embedding', type: 'halfvec(1536)', dimensions: 1536 };
    const { storage: ofHalf } = plan({ table: { ...factsOf().table, columns: [half] } });
    expect(ofHalf.oldColumnBytes).toBe(100_000 * (8 + 2 * 1536));
  });

  it('puts the drops where the configuration asks for them', () => {
    const drop = plan({}, { oldIndex: 'drop', oldColumn: 'drop' });
    expect(sqlOf(0, drop)).toContain(`DROP INDEX CONCURRENTLY "public"."${OLD_INDEX.name}"`);
    expect(sqlOf(2, drop)).toContain('DROP COLUMN "embedding"');
    expect(sqlOf(0)).not.toContain('DROP INDEX');
    expect(sqlOf(2)).not.toContain('DROP COLUMN');
  });

  it('tells what keeping an index costs, by its kind', () => {
    const keep = (made = plan()) =>
      made.choices.find((choice) => choice.option === 'oldIndex' && choice.value === 'keep');
    expect(keep()).toMatchObject({ chosen: true, means: expect.stringContaining('7,600 rows/s') });
    const hnsw = {
      ...OLD_INDEX,
      method: 'hnsw' as const,
      definition: OLD_INDEX.definition.replace('ivfflat (', 'hnsw ('),
    };
    expect(keep(plan({ annIndexes: [hnsw] }))?.means).toContain('1,000 rows/s');
  });

  it('takes the distance of the configuration, else that of the old index, else cosine', () => {
    expect(plan({}, { index: { kind: 'hnsw', distance: 'ip' } }).distance).toBe('ip');
    expect(plan({ oldDistance: 'l2' }).distance).toBe('l2');
    expect(plan({ oldDistance: undefined, annIndexes: [] }).distance).toBe('cosine');
  });

  it('plans one index where there was none, and none where none is wanted', () => {
    expect(plan({ annIndexes: [] }).indexes.map((index) => index.name)).toEqual(['segments_embedding_ivfflat_idx']);
    expect(plan({}, { index: { kind: 'none' } }).indexes).toEqual([]);
  });

  it('cannot be changed', () => {
    expect(Object.isFrozen(plan())).toBe(true);
  });
});
