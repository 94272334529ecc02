import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { createIndexSql, isSameIndex, parseIndexDefinition } from '../../../src/sql/index-definition.ts';
import {
  chooseVectorIndex,
  distanceOf,
  ivfflatMemoryBytes,
  kindInPlaceOf,
  listsWithinMemory,
  pgvectorLists,
  referenceLists,
  retargetIndex,
  retargetVectorIndex,
  vectorIndexDefinition,
} from '../../../src/sql/vector-index.ts';

const GIB = 2 ** 30;
const settings = { kind: 'ivfflat', lists: 'reference', m: undefined, efConstruction: undefined } as const;
const table = { schema: 'public', table: 'segments' };
const target = { column: 'embedding_384', dimensions: 384, vectorType: 'vector', vectorSchema: 'public' } as const;
const from = { column: 'embedding', dimensions: 1536 };
const ivfflat = { kind: 'ivfflat', options: { lists: '100' } } as const;
const hnsw = { kind: 'hnsw', options: {} } as const;

function retarget(
  sql: string,
  choice: typeof ivfflat | typeof hnsw = ivfflat,
  distance?: 'cosine' | 'l2' | 'ip',
): string {
  return createIndexSql(table, 'i', retargetVectorIndex(sql, { from, target, choice, distance }));
}

describe('list counts', () => {
  it('follow min(1000, max(100, √rows)), or the rule of pgvector', () => {
    expect([0, 10_000, 100_000, 5_000_000].map(referenceLists)).toEqual([100, 100, 316, 1000]);
    expect([100, 100_000, 1_000_000, 4_000_000].map(pgvectorLists)).toEqual([1, 100, 1000, 2000]);
  });

  it('are lowered to 50 rows a list, which is said', () => {
    const choice = chooseVectorIndex(settings, 1_000, 384, GIB);
    expect(choice).toMatchObject({ kind: 'ivfflat', lists: 20, probes: 5, options: { lists: '20' } });
    expect(choice.notice).toContain('20 lists instead of 100');
    expect(chooseVectorIndex(settings, 5_000, 384, GIB).notice).toBeUndefined();
  });

  it('give way to HNSW under 500 rows, an empty table above all', () => {
    for (const rows of [0, 499]) {
      const choice = chooseVectorIndex(settings, rows, 384, GIB);
      expect(choice).toMatchObject({ kind: 'hnsw', efSearch: 40 });
      expect(choice.notice).toContain(`finds ${rows}`);
    }
    expect(chooseVectorIndex(settings, 500, 384, GIB)).toMatchObject({ kind: 'ivfflat', lists: 10 });
  });

  it('never ask for more memory than the limit, and no fewer lists than fit', () => {
    expect(Math.round(ivfflatMemoryBytes(1000, 384) / 1e6)).toBe(286);
    fc.assert(
      fc.property(fc.integer({ min: 1, max: 5000 }), fc.integer({ min: 1, max: 4000 }), (lists, dimensions) => {
        const fitting = listsWithinMemory(lists, dimensions, GIB);
        expect(fitting === 1 || ivfflatMemoryBytes(fitting, dimensions) <= GIB).toBe(true);
        expect(fitting === lists || ivfflatMemoryBytes(fitting + 1, dimensions) > GIB).toBe(true);
      }),
    );
    expect(chooseVectorIndex({ ...settings, lists: 4000 }, 1e7, 2000, GIB).notice).toContain('maintenance_work_mem');
  });
});

describe('a new index', () => {
  it('names its operator class with the schema of the extension and quotes every name', () => {
    const odd = { column: 'Em"bed', vectorType: 'halfvec', vectorSchema: 'my ext', dimensions: 8 } as const;
    const definition = vectorIndexDefinition(odd, { kind: 'hnsw', options: { m: '16' } }, 'ip');
    expect(createIndexSql({ schema: 'S', table: 'T' }, 'I"x', definition)).toBe(
      `CREATE INDEX CONCURRENTLY "I""x" ON "S"."T" USING hnsw ("Em""bed" "my ext"."halfvec_ip_ops") WITH (m = '16')`,
    );
  });
});

describe('an old index made over for the new column', () => {
  it('keeps its distance and its predicate', () => {
    expect(
      retarget(
        "CREATE INDEX old ON public.segments USING ivfflat (embedding vector_l2_ops) WITH (lists='7') WHERE (active AND (embedding IS NOT NULL))",
      ),
    ).toBe(
      `CREATE INDEX CONCURRENTLY "i" ON "public"."segments" USING ivfflat ("embedding_384" "public"."vector_l2_ops") WITH (lists = '100') WHERE (active AND ("embedding_384" IS NOT NULL))`,
    );
  });

  it('knows that IVFFlat without an operator class is l2', () => {
    const sql = "CREATE INDEX old ON public.segments USING ivfflat (embedding) WITH (lists='7')";
    expect(distanceOf(parseIndexDefinition(sql))).toBe('l2');
    expect(retarget(sql, hnsw)).toContain('USING hnsw ("embedding_384" "public"."vector_l2_ops")');
  });

  it('takes a pinned distance', () => {
    expect(retarget('CREATE INDEX o ON s USING hnsw (embedding vector_l2_ops)', hnsw, 'cosine')).toContain(
      'vector_cosine_ops',
    );
  });

  it('goes through casts and calls, whose dimensions become the new ones', () => {
    expect(
      retarget('CREATE INDEX o ON s USING hnsw (((embedding)::halfvec(1536)) halfvec_cosine_ops)', hnsw),
    ).toContain('USING hnsw ((("embedding_384")::halfvec(384)) halfvec_cosine_ops)');
    expect(
      retarget('CREATE INDEX o ON s USING hnsw (((x.binary_quantize(embedding))::bit(1536)) x.bit_hamming_ops)', hnsw),
    ).toContain('(((x.binary_quantize("embedding_384"))::bit(384)) x.bit_hamming_ops)');
  });

  it('leaves other columns, functions, strings and numbers alone', () => {
    const sql = `CREATE INDEX o ON s USING hnsw (embedding vector_ip_ops) WHERE ((kind = 'embedding'::text) AND (embedding(1536) > 1536) AND ("embeddingX" > 0) AND ("Embedding" IS NULL))`;
    expect(retarget(sql, hnsw)).toContain(
      `WHERE ((kind = 'embedding'::text) AND (embedding(1536) > 1536) AND ("embeddingX" > 0) AND ("Embedding" IS NULL))`,
    );
  });

  it('keeps HNSW where only HNSW has the operator class', () => {
    const asked = (sql: string): string => kindInPlaceOf(parseIndexDefinition(sql), 'embedding', 'ivfflat');
    expect(asked('CREATE INDEX o ON s USING hnsw (embedding vector_l1_ops)')).toBe('hnsw');
    expect(asked('CREATE INDEX o ON s USING hnsw (embedding vector_l2_ops)')).toBe('ivfflat');
  });

  it('may be any index that reads the column', () => {
    const sql =
      "CREATE UNIQUE INDEX todo ON public.segments USING btree (id) INCLUDE (text) NULLS NOT DISTINCT WITH (fillfactor='70') WHERE (embedding IS NULL)";
    expect(createIndexSql(table, 'todo', retargetIndex(sql, from, target))).toBe(
      `CREATE UNIQUE INDEX CONCURRENTLY "todo" ON "public"."segments" USING btree (id) INCLUDE (text) NULLS NOT DISTINCT WITH (fillfactor = '70') WHERE ("embedding_384" IS NULL)`,
    );
  });
});

describe('an index left by an interrupted run', () => {
  const wanted = vectorIndexDefinition(target, ivfflat, 'cosine');
  const same = (sql: string): boolean => isSameIndex(parseIndexDefinition(sql), wanted);

  it('is the wanted one however Postgres prints it, also when the table has grown a little', () => {
    expect(same("CREATE INDEX x ON public.s USING ivfflat (embedding_384 vector_cosine_ops) WITH (lists='100')")).toBe(
      true,
    );
    expect(same("CREATE INDEX x ON s USING ivfflat (embedding_384 public.vector_cosine_ops) WITH (lists='99')")).toBe(
      true,
    );
  });

  it('is the wanted one with the default that Postgres does not print', () => {
    const l2 = vectorIndexDefinition(target, ivfflat, 'l2');
    const sql = "CREATE INDEX x ON s USING ivfflat (embedding_384) WITH (lists='100')";
    expect(isSameIndex(parseIndexDefinition(sql), l2)).toBe(true);
    expect(same(sql)).toBe(false);
  });

  it('is not, with another distance, kind, column or list count', () => {
    expect(same("CREATE INDEX x ON s USING ivfflat (embedding_384 vector_l2_ops) WITH (lists='100')")).toBe(false);
    expect(same('CREATE INDEX x ON s USING hnsw (embedding_384 vector_cosine_ops)')).toBe(false);
    expect(same("CREATE INDEX x ON s USING ivfflat (embedding vector_cosine_ops) WITH (lists='100')")).toBe(false);
    expect(same("CREATE INDEX x ON s USING ivfflat (embedding_384 vector_cosine_ops) WITH (lists='50')")).toBe(false);
  });
});
