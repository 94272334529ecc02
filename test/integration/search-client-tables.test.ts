import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { hashProvider } from '../../src/providers/hash.ts';
import type { TransactionSource } from '../../src/search/active-model.ts';
import { createSearch } from '../../src/search/client/create-search.ts';
import { vectorLiteral } from '../../src/search/vector-literal.ts';
import { where } from '../../src/sql/filter.ts';
import { cutOver } from '../../src/steps/cut-over.ts';
import { expand } from '../../src/steps/expand.ts';
import { fill } from '../../src/steps/fill.ts';
import { type Chain, openChain } from '../helpers/chain.ts';

const ROWS = 300;
const model = hashProvider('hash/64');
const newEncoder = async (texts: readonly string[]) => (await model.embed(texts, { kind: 'query' })).vectors;
const oldEncoder = (texts: readonly string[]) => newEncoder(texts.map((text) => [...text].reverse().join('')));

function textOf(n: number): string {
  return `title ${n} alpha${n} beta${n * 7} gamma${n % 13}`;
}

let chain: Chain;
/** A key of two columns, a text of two, partitions, and names that have to be quoted. */
beforeAll(async () => {
  chain = await openChain();
  await chain.db.query(`CREATE TABLE "My Docs" ("Tenant ""T" text, id int, title text, body text, "Vec" vector(64), PRIMARY KEY ("Tenant ""T", id)) PARTITION BY LIST ("Tenant ""T");
    CREATE TABLE docs_a PARTITION OF "My Docs" FOR VALUES IN ('a', 'it''s'); CREATE TABLE docs_b PARTITION OF "My Docs" FOR VALUES IN ('b')`);
  const vectors = (await oldEncoder(Array.from({ length: ROWS }, (_, i) => textOf(i + 1)))).map(vectorLiteral);
  await chain.db.query(
    `INSERT INTO "My Docs" SELECT (ARRAY['a', 'b', 'it''s'])[1 + n % 3], n, 'title ' || n, format('alpha%s beta%s gamma%s', n, n * 7, n % 13), v::vector
     FROM json_array_elements_text($1::json) WITH ORDINALITY u(v, n)`,
    [JSON.stringify(vectors)],
  );
});
afterAll(() => chain.close());

const context = () =>
  chain.context({
    id: 'docs',
    table: '"My Docs"',
    text: { expression: `coalesce(title, '') || ' ' || coalesce(body, '') -- both` },
    column: 'Vec',
    target: 'New Vec',
    model: 'hash/64',
    dimensions: 64,
    index: { kind: 'hnsw', quantization: 'binary', distance: 'cosine' },
  });

function search(db: TransactionSource = chain.db) {
  return createSearch(db, { migration: context().definition, encoders: { old: oldEncoder, new: newEncoder } });
}

/** Searches by the index wherever there is one, and keeps how. */
function watched(plans: string[]): TransactionSource {
  return {
    transaction: (work) =>
      chain.db.transaction(async (tx) => {
        await tx.query('SET LOCAL enable_seqscan = off; SET LOCAL enable_sort = off');
        return work({
          query: async (sql, params) => {
            if (sql.startsWith('SELECT s.mark')) {
              plans.push(JSON.stringify((await tx.query(`EXPLAIN ${sql}`, params)).rows));
            }
            return tx.query(sql, params);
          },
        });
      }),
  };
}

describe('a search of a partitioned table with a key and a text of several columns', () => {
  it('finds a row in every mode, before the migration, through it and after it', async () => {
    const client = search();
    const ask = async (mode: 'active' | 'new' | 'merge' | 'hybrid' | 'keyword', n = 101) => {
      const filter = where`"Tenant ""T" = ${"it's"} -- of one tenant`;
      const { hits } = await client.query(textOf(n), { mode, filter, limit: 3 });
      return hits[0];
    };
    for (const mode of ['active', 'merge', 'hybrid', 'keyword'] as const) {
      expect(await ask(mode), mode).toMatchObject({ key: ["it's", '101'], text: textOf(101) });
    }
    await chain.db.query(`INSERT INTO "My Docs" VALUES ('b', 999, 'title', 'zeros', array_fill(0, ARRAY[64])::vector)`);
    const last = await search().query(textOf(300), { filter: where`id > ${298}` });
    expect(last.hits.map(({ key }) => key[1])).toEqual(['300', '299', '999']);
    expect(last.hits[2]?.score).toBe(-1);
    await chain.db.query(`DELETE FROM "My Docs" WHERE id = 999`);
    await expand(context());
    await fill(context());
    const nulls = ['', '_model', '_hash', '_at'].map((part) => `"New Vec${part}" = NULL`);
    await chain.db.query(`UPDATE "My Docs" SET ${nulls.join(', ')} WHERE id % 2 = 1`);
    expect(await ask('new')).toMatchObject({ key: ["it's", '101'], from: 'old' });
    expect(await ask('new', 104)).toMatchObject({ key: ["it's", '104'], from: 'new' });
    await cutOver(context());
    for (const mode of ['active', 'merge', 'hybrid', 'keyword'] as const) {
      expect(await ask(mode), mode).toMatchObject({ key: ["it's", '101'], text: textOf(101) });
    }
  });

  it.each(['binary', 'halfvec'] as const)('a filter finds all that it leaves by a %s index', async (quantization) => {
    if (quantization === 'halfvec') {
      const { rows } = await chain.db.query<{ name: string }>(
        `SELECT indexrelid::regclass::text AS name FROM pg_index WHERE indrelid = '"My Docs"'::regclass AND NOT indisprimary AND pg_get_indexdef(indexrelid) LIKE '%hnsw%'`,
      );
      await chain.db.query(
        `DROP INDEX ${rows.map(({ name }) => name).join()}; CREATE INDEX by_half ON "My Docs" USING hnsw (("Vec"::halfvec(64)) halfvec_cosine_ops)`,
      );
    }
    const plans: string[] = [];
    const client = search(watched(plans));
    const { hits, asked } = await client.query(textOf(7), { limit: 5, filter: where`id % 50 = ${11}` });
    // Six of 300 rows, far from the question: an index that did not go on looking would find none or one.
    const exact = await search().query(textOf(7), { limit: 5, filter: where`id % 50 = ${11}` });
    expect(hits.map(({ key, score }) => [key, score])).toEqual(exact.hits.map(({ key, score }) => [key, score]));
    expect(hits).toHaveLength(5);
    expect(asked).toMatchObject([{ source: 'new', index: { quantization } }]);
    expect(plans.join()).toMatch(/Index Scan using/);
    const unfiltered = await client.query(textOf(7), { limit: 5 });
    expect(unfiltered.hits[0]).toMatchObject({ key: ['b', '7'], score: expect.closeTo(1, 5) });
  });
});
