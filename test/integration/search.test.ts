import pg from 'pg';
import { afterAll, beforeAll, beforeEach, describe, expect, it } from 'vitest';
import { hashProvider } from '../../src/providers/hash.ts';
import type { EmbeddingProvider } from '../../src/providers/types.ts';
import { type ActiveModelOptions, withActiveModel } from '../../src/search/active-model.ts';
import { knownItemRecall } from '../../src/search/recall.ts';
import { searchTable } from '../../src/search/search.ts';
import { transactionsOf } from '../../src/search/transactions-of.ts';
import { cutOver } from '../../src/steps/cut-over.ts';
import { expand } from '../../src/steps/expand.ts';
import { fill } from '../../src/steps/fill.ts';
import { undoCutOver } from '../../src/steps/undo-cut-over.ts';
import { type Chain, openChain } from '../helpers/chain.ts';

const ROWS = 800;
const OLD_DIMENSIONS = 64;
const open = (dimensions: number) => async (): Promise<EmbeddingProvider> => hashProvider(`hash/${dimensions}`);
const providers = { old: open(OLD_DIMENSIONS), new: open(384) };

function encoder(dimensions: number) {
  return async (texts: readonly string[], options: { readonly kind: 'document' | 'query' }) =>
    (await hashProvider(`hash/${dimensions}`).embed(texts, options)).vectors;
}

const active: ActiveModelOptions = {
  migration: { id: 'segments-hash', column: 'embedding' },
  encoders: { old: encoder(OLD_DIMENSIONS), new: encoder(384) },
};

let chain: Chain;
beforeAll(async () => {
  chain = await openChain();
});
afterAll(() => chain.close());

function textOf(i: number): string {
  return `passage alpha${i} beta${i * 7} gamma${i % 13} about delta${i % 5}`;
}

/** Old vectors are the old hash model's of the same texts, so that both sides can be asked. */
beforeEach(async () => {
  await chain.db.query('DROP TABLE IF EXISTS segments CASCADE');
  await chain.db.query('DROP SCHEMA IF EXISTS reembed CASCADE');
  await chain.db.query(`CREATE TABLE segments (id bigint PRIMARY KEY, text text, embedding vector(${OLD_DIMENSIONS}))`);
  const texts = Array.from({ length: ROWS }, (_, i) => textOf(i + 1));
  const { vectors } = await hashProvider(`hash/${OLD_DIMENSIONS}`).embed(texts, { kind: 'document' });
  await chain.db.query(
    `INSERT INTO segments SELECT n, t, e::vector FROM unnest($1::text[], $2::text[]) WITH ORDINALITY u(t, e, n)`,
    [`{${texts.map((text) => `"${text}"`).join(',')}}`, `{${vectors.map((v) => `"[${v.join(',')}]"`).join(',')}}`],
  );
  await chain.db.query(
    'CREATE INDEX segments_ann ON segments USING ivfflat (embedding vector_cosine_ops) WITH (lists = 40)',
  );
});

async function migrate(): Promise<void> {
  await expand(chain.context());
  await fill(chain.context());
  await cutOver(chain.context());
}

describe('searchTable', () => {
  it('finds a text’s own row by the old vectors, before 005 and after the swap', async () => {
    const before = await searchTable(chain.context(), { query: textOf(77), limit: 3, exact: true, providers });
    expect(before).toMatchObject({ side: 'old', column: 'embedding', distance: 'cosine' });
    expect(before.hits[0]).toMatchObject({ key: ['77'], text: textOf(77) });
    expect(before.hits[0]?.score).toBeCloseTo(1, 5);
    await migrate();
    const after = await searchTable(chain.context(), {
      query: textOf(77),
      limit: 3,
      exact: true,
      side: 'old',
      providers,
    });
    expect(after).toMatchObject({ side: 'old', column: 'embedding_old' });
    expect(after.hits).toEqual(before.hits);
  });

  it('follows the active model to the new vectors', async () => {
    await migrate();
    const result = await searchTable(chain.context(), { query: textOf(500), providers });
    expect(result).toMatchObject({
      side: 'new',
      column: 'embedding',
      index: { name: 'segments_ann', kind: 'ivfflat' },
    });
    expect(result.hits).toHaveLength(10);
    expect(result.hits[0]?.key).toEqual(['500']);
  });

  it('takes a vector for a query and needs no model then', async () => {
    const [vector] = await encoder(OLD_DIMENSIONS)([textOf(9)], { kind: 'query' });
    const result = await searchTable(chain.context(), { query: vector ?? new Float32Array(), providers: {} });
    expect(result.hits[0]?.key).toEqual(['9']);
  });

  it('says which model is missing, that there are no new vectors, and that a query is empty', async () => {
    const search = (options: Partial<Parameters<typeof searchTable>[1]>) =>
      searchTable(chain.context(), { query: 'x', providers, ...options });
    await expect(search({ providers: {} })).rejects.toMatchObject({ code: 'no_provider' });
    await expect(search({ side: 'new' })).rejects.toMatchObject({ code: 'not_expanded' });
    await expect(search({ query: new Float32Array(OLD_DIMENSIONS) })).rejects.toMatchObject({ code: 'zero_query' });
    await expect(search({ limit: 0 })).rejects.toThrow('limit is a whole number from 1, got 0');
  });

  it('refuses a text to another model than the vectors’, with both named; a vector it takes as it is', async () => {
    await migrate();
    await chain.db.query(
      `UPDATE reembed.models SET fingerprint = fingerprint || '{"revision": "0"}', fingerprint_hash = 'other'`,
    );
    await expect(searchTable(chain.context(), { query: textOf(9), providers })).rejects.toMatchObject({
      name: 'ModelError',
      code: 'model_differs',
      message:
        'public.segments.embedding holds vectors of hash hash/384 (384 dimensions, revision 0, fp32), the text would be embedded by hash hash/384 (384 dimensions, revision 1, fp32): revision is 1, was 0.',
    });
    const [vector] = await encoder(384)([textOf(9)], { kind: 'query' });
    const { hits } = await searchTable(chain.context(), { query: vector ?? new Float32Array(), providers });
    expect(hits[0]?.key).toEqual(['9']);
  });

  it('leaves no setting behind', async () => {
    await searchTable(chain.context(), { query: textOf(1), exact: true, providers });
    const { rows } = await chain.db.query(`SELECT current_setting('enable_indexscan') AS value`);
    expect(rows).toEqual([{ value: 'on' }]);
  });
});

describe('knownItemRecall', () => {
  const queries = [3, 90, 177, 264, 351, 438, 525, 612, 699, 786].map((id) => ({
    query: textOf(id),
    relevant: [[String(id)]],
  }));

  it('is 1 for texts that are their own answers, exactly and through the index with its probes', async () => {
    await migrate();
    const exact = await knownItemRecall(chain.context(), { queries, side: 'new', exact: true, providers });
    expect(exact).toMatchObject({ recall: 1, mrr: 1, queries: 10, k: 10, index: undefined });
    const indexed = await knownItemRecall(chain.context(), { queries, side: 'new', exact: false, providers });
    expect(indexed).toMatchObject({ recall: 1, index: { name: 'segments_ann', probes: 4 } });
  });

  it('collapses when the vectors are permuted', async () => {
    await migrate();
    await chain.db.query(
      `UPDATE segments s SET embedding = o.embedding FROM segments o WHERE o.id = (s.id + 399) % ${ROWS} + 1`,
    );
    const exact = await knownItemRecall(chain.context(), { queries, side: 'new', exact: true, providers });
    expect(exact.recall).toBeLessThan(0.2);
  });

  it('asks the index, not the planner: one probe of forty finds less', async () => {
    const wide = { queries, k: 50, side: 'old', providers } as const;
    const relevant = await Promise.all(
      queries.map(async ({ query }) => {
        const { hits } = await searchTable(chain.context(), { query, limit: 50, exact: true, providers });
        return { query, relevant: hits.map((hit) => hit.key) };
      }),
    );
    const exact = await knownItemRecall(chain.context(), { ...wide, queries: relevant, exact: true });
    const indexed = await knownItemRecall(chain.context(), { ...wide, queries: relevant, exact: false });
    expect(exact.recall).toBe(1);
    expect(indexed.recall).toBeLessThan(1);
    expect(indexed.index?.probes).toBe(7);
  });
});

describe('withActiveModel', () => {
  const nearest = (db = chain.db) =>
    withActiveModel(db, active, async ({ side, column, encode, db: tx }) => {
      const { rows } = await tx.query<{ id: string }>(
        `SELECT id FROM segments ORDER BY ${column} <=> $1::vector LIMIT 1`,
        [await encode(textOf(321))],
      );
      return [side, rows[0]?.id];
    });

  it('gives the same answer before, after and back again, without a change in the application', async () => {
    expect(await nearest()).toEqual(['old', '321']);
    await migrate();
    expect(await nearest()).toEqual(['new', '321']);
    await undoCutOver(chain.context());
    expect(await nearest()).toEqual(['old', '321']);
  });

  it('refuses a service of another model than the vectors’, and takes the right one', async () => {
    await migrate();
    const named = (dimensions: number) => ({
      model: hashProvider(`hash/${dimensions}`).model,
      encodeTexts: encoder(dimensions),
    });
    const ask = (dimensions: number) =>
      withActiveModel(
        chain.db,
        { ...active, encoders: { old: active.encoders.old, new: named(dimensions) } },
        async ({ column, encode, db }) => {
          const { rows } = await db.query(`SELECT id FROM segments ORDER BY ${column} <=> $1::vector LIMIT 1`, [
            await encode(textOf(321)),
          ]);
          return rows;
        },
      );
    expect(await ask(384)).toEqual([{ id: '321' }]);
    await expect(ask(64)).rejects.toMatchObject({
      code: 'model_differs',
      message: expect.stringContaining('embedding holds vectors of hash hash/384 (384 dimensions'),
    });
  });

  it('writes rows with the active model', async () => {
    await migrate();
    await withActiveModel(chain.db, active, async ({ column, encode, db }) =>
      db.query(`INSERT INTO segments (id, text, ${column}) VALUES (9001, 'fresh words', $1::vector)`, [
        await encode('fresh words', 'document'),
      ]),
    );
    const { hits } = await searchTable(chain.context(), { query: 'fresh words', exact: true, providers });
    expect(hits[0]?.key).toEqual(['9001']);
  });

  it('an application’s own pool with named statements comes over a swap without an error', async (test) => {
    if (chain.db.embedded) return test.skip('one session for all connections: prepared statements are shared');
    const pool = new pg.Pool({ connectionString: chain.database.url, max: 2 });
    const source = transactionsOf({
      async connect() {
        const client = await pool.connect();
        return {
          query: (text: string, values?: unknown[]) =>
            client.query({
              text,
              values: values ?? [],
              ...(text.startsWith('SELECT id') ? { name: 'by_vector' } : {}),
            }),
          release: (destroy?: boolean) => client.release(destroy),
        };
      },
    });
    const ask = () =>
      withActiveModel(source, active, async ({ encode, db }) => {
        const { rows } = await db.query<{ id: string; embedding: string }>(
          'SELECT id, embedding FROM segments ORDER BY embedding <=> $1::vector LIMIT 1',
          [await encode(textOf(321))],
        );
        return [rows[0]?.id, rows[0]?.embedding.split(',').length];
      });
    try {
      expect(await ask()).toEqual(['321', OLD_DIMENSIONS]);
      await migrate();
      expect(await ask()).toEqual(['321', 384]);
      expect(await ask()).toEqual(['321', 384]);
    } finally {
      await pool.end();
    }
  });

  it('no request fails or mixes models while the swap happens under load', async (test) => {
    if (chain.db.embedded) return test.skip('one session for all connections: nothing runs at once');
    await expand(chain.context());
    await fill(chain.context());
    let stop = false;
    const seen = new Set<string>();
    const clients = Array.from({ length: 4 }, async () => {
      while (!stop) seen.add((await nearest()).join(' '));
    });
    await cutOver(chain.context());
    expect(await nearest()).toEqual(['new', '321']);
    await undoCutOver(chain.context());
    stop = true;
    await Promise.all(clients);
    expect([...seen].sort()).toEqual(['new 321', 'old 321']);
  });

  it('tells a role without rights on the state what to grant', async (test) => {
    if (chain.db.embedded) return test.skip('the embedded database has one role');
    await migrate();
    await chain.db.query(`DROP ROLE IF EXISTS search_app; CREATE ROLE search_app`);
    const source = {
      transaction: <T>(work: (tx: typeof chain.db) => Promise<T>) =>
        chain.db.transaction(async (tx) => {
          await tx.query('SET LOCAL ROLE search_app');
          return work({ ...chain.db, query: tx.query });
        }),
    };
    await expect(withActiveModel(source as never, active, async () => 1)).rejects.toMatchObject({
      code: 'state_denied',
      hint: expect.stringContaining('GRANT USAGE ON SCHEMA "reembed"'),
    });
    await chain.db.query('DROP ROLE search_app');
  });
});
