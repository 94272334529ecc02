import { describe, expect, test } from 'vitest';
import { guideLists, indexCandidates } from '../../../src/sql/index-candidates.ts';
import { isSameIndex, parseIndexDefinition } from '../../../src/sql/index-definition.ts';
import { candidatesOf, quantizationOf } from '../../../src/sql/quantization.ts';
import { indexBytes } from '../../../src/sql/storage.ts';
import { retargetVectorIndex, vectorIndexDefinition } from '../../../src/sql/vector-index.ts';

const target = { column: 'em bed', vectorType: 'vector', vectorSchema: 'my ext', dimensions: 384 } as const;
const hnsw = { kind: 'hnsw', options: {} } as const;
// As pg_get_indexdef prints them, Postgres 18, pgvector 0.8.
const PRINTED = {
  none: 'CREATE INDEX x ON public.s USING hnsw ("em bed" "my ext".vector_cosine_ops)',
  halfvec: 'CREATE INDEX x ON public.s USING hnsw ((("em bed")::"my ext".halfvec(384)) "my ext".halfvec_cosine_ops)',
  binary:
    'CREATE INDEX x ON public.s USING hnsw ((("my ext".binary_quantize("em bed"))::bit(384)) "my ext".bit_hamming_ops)',
} as const;

describe('a quantised index', () => {
  test.each(['none', 'halfvec', 'binary'] as const)(
    '%s is known again in what Postgres prints of it',
    (quantization) => {
      const made = vectorIndexDefinition(target, hnsw, 'cosine', quantization);
      const printed = parseIndexDefinition(PRINTED[quantization]);
      expect(isSameIndex(printed, made)).toBe(true);
      expect(quantizationOf(printed, 'em bed')).toBe(quantization);
      expect(quantizationOf(made, 'em bed')).toBe(quantization);
      expect(quantizationOf(printed, 'other')).toBeUndefined();
    },
  );

  test('is not taken for one over another expression', () => {
    const sub = parseIndexDefinition(
      'CREATE INDEX x ON s USING hnsw ((subvector(e, 1, 64)::vector(64)) vector_cosine_ops)',
    );
    expect(quantizationOf(sub, 'e')).toBeUndefined();
    const jaccard = parseIndexDefinition(
      'CREATE INDEX x ON s USING hnsw (((binary_quantize(e))::bit(8)) bit_jaccard_ops)',
    );
    expect(quantizationOf(jaccard, 'e')).toBeUndefined();
  });

  test('takes the place of a plain one, and of one that is quantised otherwise; unasked an old one stays what it was', () => {
    const from = { column: 'e', dimensions: 8 };
    const made = (sql: string, quantization: 'none' | 'halfvec' | 'binary') =>
      retargetVectorIndex(sql, { from, target, choice: hnsw, distance: undefined, quantization });
    const plain = 'CREATE INDEX x ON s USING hnsw (e vector_l2_ops)';
    const half = 'CREATE INDEX x ON s USING hnsw (((e)::halfvec(8)) halfvec_l2_ops)';
    expect(quantizationOf(made(plain, 'halfvec'), 'em bed')).toBe('halfvec');
    expect(made(plain, 'halfvec').keys).toContain('halfvec_l2_ops');
    expect(quantizationOf(made(half, 'binary'), 'em bed')).toBe('binary');
    expect(quantizationOf(made(half, 'none'), 'em bed')).toBe('halfvec');
  });

  test('is asked for more rows than are wanted', () => {
    const index = { kind: 'hnsw', efSearch: 40 } as const;
    expect(candidatesOf({ ...index, quantization: 'none' }, 10)).toBeUndefined();
    expect(candidatesOf({ ...index, quantization: 'binary' }, 10)).toBe(100);
    expect(candidatesOf({ ...index, quantization: 'binary', efSearch: 400 }, 10)).toBe(400);
  });

  test('is smaller', () => {
    const size = (quantization: 'none' | 'halfvec' | 'binary') => indexBytes('ivfflat', 100_000, target, quantization);
    expect(size('halfvec') / size('none')).toBeCloseTo(0.5, 1);
    expect(size('binary') / size('none')).toBeLessThan(0.06);
  });
});

describe('candidates', () => {
  test('have the lists that guides name, and never more than the rows fill', () => {
    expect([100_000, 1_000_000, 10_000_000].map(guideLists)).toEqual([350, 750, 1_500]);
    expect(guideLists(300_000)).toBeGreaterThan(350);
    const [first] = indexCandidates('vector');
    expect(first?.options(1_000)).toEqual({ lists: '20' });
  });
});
