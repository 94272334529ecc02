import { setTimeout as sleep } from 'node:timers/promises';
import knexFactory from 'knex';
import pg from 'pg';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import type { RuntimeSettings } from '../../src/config/types.ts';
import { hashProvider } from '../../src/providers/hash.ts';
import { createSearch } from '../../src/search/client/create-search.ts';
import type { SearchAnswer, SearchClientOptions, SearchMode } from '../../src/search/client/types.ts';
import { transactionsOf } from '../../src/search/transactions-of.ts';
import { transactionsOfKnex } from '../../src/search/transactions-of-knex.ts';
import { vectorLiteral } from '../../src/search/vector-literal.ts';
import { where } from '../../src/sql/filter.ts';
import { resolveMigration } from '../../src/state/resolve.ts';
import { cutOver } from '../../src/steps/cut-over.ts';
import { expand } from '../../src/steps/expand.ts';
import { fill } from '../../src/steps/fill.ts';
import { finalize } from '../../src/steps/finalize.ts';
import { readRoute, setRoute } from '../../src/steps/route.ts';
import { undoCutOver } from '../../src/steps/undo-cut-over.ts';
import { exchange } from '../../src/swap/exchange.ts';
import { type Chain, openChain } from '../helpers/chain.ts';

const ROWS = 300;
const DIMENSIONS = 64;
const model = hashProvider(`hash/${DIMENSIONS}`);

/** Two models of one size: their vectors would be compared with each other without an error. */
const newEncoder = async (texts: readonly string[]) => (await model.embed(texts, { kind: 'query' })).vectors;
const oldEncoder = (texts: readonly string[]) => newEncoder(texts.map((text) => [...text].reverse().join('')));

function textOf(i: number): string {
  return `passage alpha${i} beta${i * 7} gamma${i % 13} about delta${i % 5}`;
}

let chain: Chain;
beforeAll(async () => {
  chain = await openChain();
  await chain.db.query(
    `CREATE TABLE segments (id bigint PRIMARY KEY, text text, "langCode" text, embedding vector(${DIMENSIONS}))`,
  );
  const texts = Array.from({ length: ROWS }, (_, i) => textOf(i + 1));
  const rows = (await oldEncoder(texts)).map((vector, i) => ({ text: texts[i], vector: `[${vector.join(',')}]` }));
  await chain.db.query(
    `INSERT INTO segments SELECT n, r ->> 'text', CASE WHEN n % 50 = 7 THEN 'is' ELSE 'en' END, (r ->> 'vector')::vector
     FROM json_array_elements($1::json) WITH ORDINALITY u(r, n)`,
    [JSON.stringify(rows)],
  );
  await chain.db.query(
    'CREATE INDEX segments_ann ON segments USING ivfflat (embedding vector_cosine_ops) WITH (lists = 30); ANALYZE segments',
  );
});
afterAll(() => chain.close());

const context = (runtime: Partial<RuntimeSettings> = {}) =>
  chain.context({ model: `hash/${DIMENSIONS}`, dimensions: DIMENSIONS, target: 'embedding_new' }, runtime);

function options(): SearchClientOptions {
  return { migration: context().definition, encoders: { old: oldEncoder, new: newEncoder } };
}

const ALL_MODES = ['active', 'old', 'new', 'route', 'merge'] as const satisfies readonly SearchMode[];

function first({ hits, served }: SearchAnswer): unknown {
  const [hit] = hits;
  return [hit?.key[0], served, hit?.from, (Object.values(hit?.found ?? {})[0]?.score ?? 0) > 0.999];
}

describe('one client from before 005 to behind finalize', () => {
  it('serves before 005 what is there', async () => {
    const client = createSearch(chain.db, options());
    for (const mode of ['active', 'old', 'route', 'merge'] as const) {
      expect(first(await client.query(textOf(77), { mode }))).toEqual(['77', 'old', 'old', true]);
    }
    await expect(client.query(textOf(77), { mode: 'new' })).rejects.toMatchObject({ code: 'not_expanded' });
    await expect(setRoute(context(), 50)).rejects.toMatchObject({ code: 'not_expanded' });
    await expand(context());
    expect(first(await client.query(textOf(77), { mode: 'new' }))).toEqual(['77', 'new', 'old', true]);
    await fill(context());
    expect(first(await client.query(textOf(77), { mode: 'new' }))).toEqual(['77', 'new', 'new', true]);
  });

  it('takes conditions of an application’s knex, whatever that does to names and results', async () => {
    const knex = knexFactory({
      client: 'pg',
      connection: chain.database.url,
      pool: { min: 0, max: 1 },
      wrapIdentifier: (name, wrap) => wrap(name === 'lang_code' ? 'langCode' : name),
      postProcessResponse: () => 'nothing that could be read',
    });
    try {
      const client = createSearch(transactionsOfKnex(knex), options());
      const { hits, asked } = await client.query(textOf(8), {
        limit: 5,
        filter: (builder) => builder.where('lang_code', 'is').whereRaw(`text <> '\\?' AND id > ?`, [50]),
      });
      // Five of 300 rows, in 30 lists of which 6 are looked at: an index that did not go on would find one or two.
      expect(hits.map(({ key }) => Number(key[0])).sort((a, b) => a - b)).toEqual([57, 107, 157, 207, 257]);
      expect(asked[0]?.index).toMatchObject({ name: 'segments_ann', probes: 6 });
      const rest = client.query('x', { filter: (builder) => builder.limit(3) });
      await expect(rest).rejects.toMatchObject({ code: 'not_a_condition' });
      await knex.transaction(async (trx) => {
        expect(() => transactionsOfKnex(trx)).toThrow('transactionsOfKnex was given a transaction');
      });
    } finally {
      await knex.destroy();
    }
  });

  it('says what is wrong with a filter, in Postgres’s words and the application’s', async () => {
    const client = createSearch(chain.db, options());
    await expect(client.query('x', { filter: where`lang = ${'is'}` })).rejects.toMatchObject({
      code: 'filter_failed',
      message: 'Postgres refuses the search with its filter: column "lang" does not exist.',
      hint: 'A filter is SQL over the columns of public.segments, which may be called "t"; it was: lang = $1',
    });
    const callback = createSearch<unknown>(chain.db, options()).query('x', { filter: () => undefined });
    await expect(callback).rejects.toMatchObject({ code: 'no_knex' });
  });

  it('routes a key the same way in every client, and follows a share that is changed with the next request', async () => {
    const [one, other] = [createSearch(chain.db, options()), createSearch(chain.db, options())];
    const newKeys = async (client: typeof one): Promise<string[]> => {
      const keys = Array.from({ length: 16 }, (_, i) => `user ${i}`);
      const served = await Promise.all(
        keys.map(async (key) => (await client.query(textOf(5), { mode: 'route', key })).served),
      );
      return keys.filter((_, i) => served[i] === 'new');
    };
    expect(await newKeys(one)).toEqual([]);
    await setRoute(context(), 30);
    const third = await newKeys(one);
    expect(third.length).toBeGreaterThan(2);
    expect(third.length).toBeLessThan(12);
    expect(await newKeys(other)).toEqual(third);
    await setRoute(context(), 60);
    expect(await newKeys(other)).toEqual(expect.arrayContaining(third));
  });

  it('no request fails, and none mixes models, when a swap and a rollback come in the middle', async () => {
    const { embedded, url } = chain.database;
    const pool = new pg.Pool({ connectionString: url, max: embedded ? 1 : 8 });
    const client = createSearch(transactionsOf(pool), options());
    const wanted = embedded ? 60 : 1_000;
    const [problems, served] = [[] as unknown[], new Set<string>()];
    let [asked, isOver] = [0, false];
    const ask = async (): Promise<void> => {
      const i = asked++;
      const mode = ALL_MODES[i % ALL_MODES.length] ?? 'active';
      const id = 1 + ((i * 37) % ROWS);
      const answer = await client.query(textOf(id), { mode, limit: 3 });
      // Of another model's vectors neither the row nor the score would be right.
      const scores = Object.values(answer.hits[0]?.found ?? {}).map(({ score }) => score > 0.999);
      if (answer.hits[0]?.key[0] !== String(id) || scores.includes(false)) problems.push([mode, id, answer.hits]);
      served.add(`${mode} ${answer.served}`);
    };
    const clients = Array.from({ length: embedded ? 2 : 20 }, async () => {
      while (!isOver || asked < wanted) {
        await ask().catch((error: unknown) => problems.push(error));
        await sleep(1);
      }
    });
    await cutOver(context());
    await undoCutOver(context());
    isOver = true;
    await Promise.all(clients);
    await pool.end();
    expect(problems).toEqual([]);
    expect(asked).toBeGreaterThanOrEqual(wanted);
    if (!embedded) expect([...served]).toEqual(expect.arrayContaining(['active old', 'active new']));
  });

  it('a row that the swap goes ahead without is served by its old vector until it has a new one', async () => {
    const client = createSearch(chain.db, options());
    const text = 'written while the columns were exchanged';
    const [vector] = await oldEncoder([text]);
    await chain.db.query(`INSERT INTO segments VALUES (1001, $1, 'en', $2::vector)`, [
      text,
      vectorLiteral(vector ?? []),
    ]);
    // As under writers that are always one row ahead of the catch-up.
    const swapped = await exchange(context(), await resolveMigration(context()), { catchUp: async () => undefined });
    expect(swapped.stragglers).toBe(1);
    expect(first(await client.query(text))).toEqual(['1001', 'new', 'old', true]);
    expect(first(await client.query(textOf(77)))).toEqual(['77', 'new', 'new', true]);
    // A model that is gone costs those rows, not the request.
    const broken = async () => Promise.reject(new Error('the old model is gone'));
    const alone = createSearch(chain.db, { ...options(), encoders: { old: broken, new: newEncoder } });
    expect(await alone.query(textOf(77))).toMatchObject({
      hits: [{ key: ['77'] }, ...Array(9).fill({})],
      failure: 'the old model is gone',
    });
    await cutOver(context());
    const after = await client.query(text);
    expect([first(after), after.asked.length]).toEqual([['1001', 'new', 'new', true], 1]);
  });

  it('after the swap no row is lost that one of the sides has, and a row with a former vector says so', async () => {
    const client = createSearch(chain.db, options());
    await chain.db.query(`UPDATE segments SET text = 'quite another text' WHERE id = 20`);
    const stale = await client.query(textOf(20));
    expect(stale.hits[0]).toMatchObject({ key: ['20'], text: 'quite another text', stale: true, from: 'new' });
    // The kept old column has lost row 20 with the edit: the new one still ranks it.
    expect((await client.query(textOf(20), { mode: 'old' })).hits.map(({ key }) => key[0])).toContain('20');
    // What a model has refused has no new vector.
    await chain.db.query(
      `UPDATE segments SET embedding = NULL WHERE id = 30;
       INSERT INTO reembed.quarantine VALUES ('segments-hash', '["30"]', '\\x00', 'refused')`,
    );
    const fresh = createSearch(chain.db, options());
    expect(first(await fresh.query(textOf(30)))).toEqual(['30', 'new', 'old', true]);
  });

  it('a role needs the documented rights and no others, and is told them', async (test) => {
    test.skip(chain.db.embedded, 'the embedded database has one role');
    await chain.db.query('DROP ROLE IF EXISTS reembed_search_app; CREATE ROLE reembed_search_app');
    const source: Parameters<typeof createSearch>[0] = {
      transaction: (work) =>
        chain.db.transaction(async (tx) => {
          await tx.query('SET LOCAL ROLE reembed_search_app');
          return work(tx);
        }),
    };
    const ask = async () => first(await createSearch(source, options()).query(textOf(40), { mode: 'hybrid' }));
    await chain.db.query('GRANT SELECT ON segments TO reembed_search_app');
    const grants =
      'GRANT USAGE ON SCHEMA "reembed" TO <role>; GRANT SELECT ON "reembed".migrations, "reembed".models, "reembed".quarantine TO <role>;';
    await expect(ask()).rejects.toMatchObject({ code: 'state_denied', hint: expect.stringContaining(grants) });
    const words = 'GRANT SELECT ON reembed.keyword_corpora, reembed.keyword_terms TO <role>;';
    await chain.db.query(`${grants} ${words}`.replaceAll('<role>', 'reembed_search_app'));
    expect(await ask()).toEqual(['40', 'new', 'new', true]);
    await chain.db.query('DROP OWNED BY reembed_search_app; DROP ROLE reembed_search_app');
  });

  it('serves the new vectors in every mode once the old ones are gone', async () => {
    const client = createSearch(chain.db, options());
    await finalize(context({ backup: 'none' }), { now: true });
    for (const mode of ['active', 'new', 'route', 'merge'] as const) {
      expect(first(await client.query(textOf(77), { mode }))).toEqual(['77', 'new', 'new', true]);
    }
    await expect(client.query(textOf(77), { mode: 'old' })).rejects.toMatchObject({ code: 'old_column_gone' });
    expect(await readRoute(context())).toEqual({ percent: 60, active: 'new', hasOld: false });
  });
});
