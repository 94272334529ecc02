import { readFile } from 'node:fs/promises';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { verify } from '../../src/inspect/verify.ts';
import { createProvider } from '../../src/providers/create-provider.ts';
import { cutOver } from '../../src/steps/cut-over.ts';
import { expand } from '../../src/steps/expand.ts';
import { fill } from '../../src/steps/fill.ts';
import { decodeVector } from '../../src/vector/binary.ts';
import { cosine } from '../../src/vector/math.ts';
import { type Chain, openChain } from '../helpers/chain.ts';

interface Golden {
  readonly items: readonly { readonly i: number; readonly text: string; readonly embedding: readonly number[] }[];
}

const MODEL = 'sentence-transformers/all-MiniLM-L6-v2';
/** The least cosine of an int8 vector to sentence-transformers' own: dynamic quantisation depends on the batch. */
const MIN_COSINE = 0.96;
const MIN_MEAN = 0.985;

describe('the bundled model, with the golden texts as rows', () => {
  let chain: Chain;
  let golden: Golden;

  beforeAll(async () => {
    golden = JSON.parse(await readFile(new URL('../fixtures/golden-minilm.json', import.meta.url), 'utf8'));
    chain = await openChain();
    await chain.db.query('CREATE TABLE segments (id int PRIMARY KEY, text text, embedding vector(8))');
    for (const { i, text } of golden.items.filter((item) => !item.text.includes('\u0000'))) {
      await chain.db.query(`INSERT INTO segments VALUES ($1, $2, '[1,2,3,4,5,6,7,8]')`, [i, text]);
    }
    await chain.db.query('CREATE INDEX segments_idx ON segments USING hnsw (embedding vector_cosine_ops)');
  });
  afterAll(() => chain.close());

  it('stores for every text what sentence-transformers makes of it; blank texts are left out, and counted', async () => {
    const ctx = chain.context({ id: 'golden', model: MODEL, index: { kind: 'hnsw' } });
    await expand(ctx);
    const { rows: counts } = await fill(ctx);
    await cutOver(ctx);
    const stored = golden.items.filter((item) => !item.text.includes('\u0000'));
    const blank = stored.filter((item) => item.text.trim() === '');
    expect(counts).toMatchObject({ total: stored.length, skipped: blank.length, done: stored.length - blank.length });
    expect(stored.length - blank.length).toBeGreaterThanOrEqual(20);

    const { rows } = await chain.db.query<{ id: number; bytes: Buffer | null }>(
      'SELECT id, vector_send(embedding) AS bytes FROM segments ORDER BY id',
    );
    const byId = new Map(rows.map((row) => [row.id, row.bytes]));
    const cosines = stored.flatMap(({ i, text, embedding }) => {
      const bytes = byId.get(i) ?? null;
      if (text.trim() === '') {
        expect(bytes).toBeNull();
        return [];
      }
      return [{ i, cosine: bytes === null ? -1 : cosine(decodeVector(bytes), Float32Array.from(embedding)) }];
    });
    expect(cosines.filter((item) => item.cosine < MIN_COSINE)).toEqual([]);
    expect(cosines.reduce((sum, item) => sum + item.cosine, 0) / cosines.length).toBeGreaterThan(MIN_MEAN);
  });

  it('passes its own verification, every row embedded again, and finds two exchanged vectors', async () => {
    const ctx = chain.context({ id: 'golden', model: MODEL, index: { kind: 'hnsw' } });
    const provider = () => createProvider({ provider: 'local', model: MODEL, dimensions: 384 });
    const opened: Awaited<ReturnType<typeof provider>>[] = [];
    const options = {
      full: true,
      provider: async () => {
        const model = await provider();
        opened.push(model);
        return model;
      },
    };
    try {
      expect((await verify(ctx, options)).checks.filter((check) => !check.ok)).toEqual([]);
      const { rows } = await chain.db.query<{ id: number }>(
        'SELECT id FROM segments WHERE length(text) BETWEEN 20 AND 200 ORDER BY id LIMIT 2',
      );
      const [a = 0, b = 0] = rows.map((row) => row.id);
      await chain.db.query(
        `ALTER TABLE segments DISABLE TRIGGER USER;
         UPDATE segments t SET embedding = o.embedding FROM segments o WHERE (t.id, o.id) IN ((${a}, ${b}), (${b}, ${a}));
         ALTER TABLE segments ENABLE TRIGGER USER`,
      );
      const report = await verify(ctx, options);
      expect(report.ok).toBe(false);
      expect(report.mismatches.map((mismatch) => mismatch.key)).toEqual([[String(a)], [String(b)]]);
    } finally {
      for (const model of opened) await model.close();
    }
  });
});
