import { readFileSync } from 'node:fs';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import type { Queryable } from '../../src/db/types.ts';
import { readKeywordStatus } from '../../src/inspect/keyword-status.ts';
import { type OpenKeywordOptions, openKeyword } from '../../src/search/keyword/open-keyword.ts';
import type { KeywordResult, KeywordSearchOptions } from '../../src/search/keyword/types.ts';
import { where } from '../../src/sql/filter.ts';
import { addToCount, beginCount } from '../../src/state/keyword.ts';
import { cutOver } from '../../src/steps/cut-over.ts';
import { expand } from '../../src/steps/expand.ts';
import { fill } from '../../src/steps/fill.ts';
import { finalize } from '../../src/steps/finalize.ts';
import { buildKeyword } from '../../src/steps/keyword-build.ts';
import { dropKeyword } from '../../src/steps/keyword-drop.ts';
import { refreshKeyword } from '../../src/steps/keyword-refresh.ts';
import { undoExpand } from '../../src/steps/undo-expand.ts';
import reference from '../fixtures/bm25s-lucene.json' with { type: 'json' };
import { refusal } from '../helpers/backup-bed.ts';
import { type Chain, makeSegments, openChain } from '../helpers/chain.ts';

const TABLE = 'odd "docs"';
const PASSAGES = readFileSync(new URL('../../examples/postgres-docs/passages.jsonl', import.meta.url), 'utf8')
  .split('\n', 60)
  .map((line): { id: string; text: string } => JSON.parse(line));

let chain: Chain;
let ctx: ReturnType<Chain['context']>;

beforeAll(async () => {
  chain = await openChain();
  const table = { schema: undefined, name: TABLE };
  ctx = chain.context({ id: 'words', table, text: 'te"xt', column: 'embedding' });
  await chain.db.query(
    `CREATE TABLE "odd ""docs""" (tenant int, "Id" text, "te""xt" varchar, length int, embedding vector(3), PRIMARY KEY (tenant, "Id"))`,
  );
  await chain.db.query(
    `INSERT INTO "odd ""docs""" SELECT 1, p ->> 'id', p ->> 'text', length(p ->> 'text') FROM json_array_elements($1::json) p`,
    [JSON.stringify(PASSAGES)],
  );
});
afterAll(() => chain.close());

async function insert(id: string, text: string | null, tenant = 1): Promise<void> {
  await chain.db.query(`INSERT INTO "odd ""docs""" VALUES ($1, $2, $3::text, length($3::text))`, [tenant, id, text]);
}

type Asked = Partial<KeywordSearchOptions> &
  Pick<Partial<OpenKeywordOptions>, 'candidates' | 'maxEntries' | 'language'>;

function ask(
  query: string,
  { candidates, maxEntries, language, ...options }: Asked = {},
  at = ctx,
): Promise<KeywordResult> {
  const keyword = openKeyword({ migration: at.definition, candidates, maxEntries, language });
  return chain.db.transaction((tx) => keyword.explain(tx, query, { limit: 100, ...options }));
}

const ids = ({ hits }: KeywordResult): (string | undefined)[] => hits.map(({ key }) => key[1]);

/** Every query of the reference, to 1e-9. */
async function compareWithReference(engine: KeywordResult['engine']): Promise<void> {
  const keyword = openKeyword({ migration: ctx.definition, language: 'english' });
  await chain.db.transaction(async (tx) => {
    for (const { query, hits, best } of reference.queries.slice(engine === 'scan' ? 3 : 0)) {
      const result = await keyword.explain(tx, query, { limit: 100 });
      expect(result).toMatchObject({ engine, language: 'pg_catalog.english', complete: true });
      expect(result.hits).toHaveLength(hits);
      const expected = Object.entries(best).map(([id, score]) => [id, expect.closeTo(score, 9)]);
      const found = result.hits.slice(0, expected.length).map(({ key, score }) => [key[1], score]);
      expect([query, found]).toEqual([query, expected]);
    }
  });
}

describe('keyword search', () => {
  it('scores as bm25s does, with nothing prepared and by the index', async () => {
    await compareWithReference('scan');
    expect((await refusal(buildKeyword(ctx, {}))).code).toBe('not_expanded');
    await expand(ctx);
    expect((await refusal(buildKeyword(ctx, { language: 'klingon' }))).message).toContain(
      'no text search configuration "klingon"',
    );
    expect(await buildKeyword(ctx, { language: 'english' })).toMatchObject({
      documents: 60,
      index: 'reembed_words_words_english',
    });
    await compareWithReference('index');
    const [first] = (await ask('How do I vacuum a table without locking it?')).hits;
    expect(first?.key).toEqual(['1', 'pg-00003']);
    expect(first?.text).toBe(PASSAGES[3]?.text);
  });

  it('keeps to a filter and to the rows without the new vector, whose scores stay what they were', async () => {
    const all = await ask('create index on a table');
    await chain.db.query(
      `UPDATE "odd ""docs""" SET embedding_384 = (SELECT array_agg(1) FROM generate_series(1, 384))::vector WHERE "Id" < 'pg-00030'`,
    );
    const lengths = new Map(PASSAGES.map(({ id, text }) => [id, text.length]));
    const short = (id = ''): boolean => (lengths.get(id) ?? 0) < 600;
    for (const engine of ['index', 'scan'] as const) {
      if (engine === 'scan') await dropKeyword(ctx);
      const language = 'english';
      const filter = where`length < ${600} AND tenant = ${'1'}`;
      const filtered = await ask('create index on a table', { filter, language });
      expect(filtered).toEqual({ ...all, engine, hits: all.hits.filter(({ key }) => short(key[1])) });
      const both = await ask('create index on a table', { filter, withoutVector: 'embedding_384', language, limit: 3 });
      const left = filtered.hits.filter(({ key }) => (key[1] ?? '') >= 'pg-00030');
      expect(both.hits).toEqual(left.slice(0, 3));
      expect(left.length).toBeGreaterThan(0);
      expect(filtered.hits.length).toBeGreaterThan(left.length);
    }
    await buildKeyword(ctx, { language: 'english' });
  });

  it('finds by the index alone what a whole look finds, or says that it may not have', async () => {
    let complete = 0;
    let rest = 0;
    for (const { query } of reference.queries.slice(0, 4)) {
      const whole = await ask(query, { limit: 3 });
      for (const [candidates, maxEntries] of [
        [3, 1000],
        [20, 1000],
        [3, 8],
        [60, 1000],
      ]) {
        const found = await ask(query, { limit: 3, candidates, maxEntries });
        expect(found.hits.length).toBeGreaterThan(0);
        if (found.complete === true) expect([query, found.hits]).toEqual([query, whole.hits]);
        if (found.complete === true) complete++;
        else rest++;
      }
    }
    expect([complete > 3, rest > 3]).toEqual([true, true]);
  });

  it('has no hits for stop words, nothing and signs, and takes no word for an operator', async () => {
    for (const query of ['', '   ', 'the and of', '!!! & | <->', '\u0000']) {
      expect((await ask(query)).hits).toEqual([]);
    }
    // A whole book in the place of a question costs no more than its beginning.
    const book = Array.from({ length: 50_000 }, (_, i) => `nothing${i}`).join(' ');
    expect((await ask(`vacuum ${book}`, { limit: 1 })).hits).toHaveLength(1);
    await insert('quoted', `a back\\slash, o'clock and zebra:* & !ant`);
    expect(ids(await ask("o'clock"))).toContain('quoted');
    expect(ids(await ask('zebra:* | !ant'))).toEqual(['quoted']);
    expect(ids(await ask('zeb:*'))).toEqual([]);
  });

  it('finds an edit at once, and counts it with the next refresh', async () => {
    await insert('edited', 'a wombat in the vacuum');
    await insert('blank', '  ');
    await insert('none', null);
    const before = await ask('wombat vacuum');
    expect(ids(before)[0]).toBe('edited');
    // ts_rank knows neither how rare a word is nor how long the other texts are.
    const { rows } = await chain.db.query<{ id: string }>(
      `SELECT t."Id" AS id FROM "odd ""docs""" t, to_tsvector('english', t."te""xt") w WHERE w @@ 'wombat | tabl' ORDER BY ts_rank(w, 'wombat | tabl') DESC LIMIT 1`,
    );
    expect(rows[0]?.id).not.toBe('edited');
    expect(ids(await ask('wombat table'))[0]).toBe('edited');
    expect(await readKeywordStatus(ctx)).toMatchObject({
      index: 'ready',
      documents: 60,
      language: 'pg_catalog.english',
      counting: false,
    });
    // A count that was killed, or is still at it: searches go on with the one before, and the later one is the one that counts.
    const corpus = { language: 'pg_catalog.english', indexName: 'reembed_words_words_english' };
    const earlier = await beginCount(chain.db, 'reembed', 'words', corpus);
    const add = () => chain.db.transaction((tx) => addToCount(tx, 'reembed', earlier, new Map([['wombat', 60]])));
    await add();
    expect(await readKeywordStatus(ctx)).toMatchObject({ documents: 60, counting: true });
    expect(await ask('wombat vacuum')).toEqual(before);
    expect(await refreshKeyword(ctx)).toMatchObject({ documents: 62 });
    expect((await refusal(add())).code).toBe('keyword_recounted');
    const after = await ask('wombat vacuum');
    expect(ids(after)).toEqual(ids(before));
    // A word that is known in one row weighs less than one that was in none.
    expect(after.hits[0]?.score).toBeLessThan(before.hits[0]?.score ?? 0);
    await chain.db.query(`UPDATE "odd ""docs""" SET "te""xt" = 'a numbat' WHERE "Id" = 'edited'`);
    expect(ids(await ask('wombat'))).toEqual([]);
    expect(ids(await ask('numbat'))).toEqual(['edited']);
  });

  it('lets the application write a text of more words than an index of words holds', async () => {
    const huge = `aardvark ${Array.from({ length: 250_000 }, (_, i) => `${i.toString(36)}word`).join(' ')}`;
    await expect(chain.db.query(`SELECT to_tsvector('english', $1)`, [huge])).rejects.toThrow('too long for tsvector');
    await insert('huge', huge);
    expect(ids(await ask('aardvark'))).toEqual(['huge']);
    await chain.db.query(`DELETE FROM "odd ""docs""" WHERE "Id" = 'huge'`);
  });

  it('is asked by its index, of which nothing is analysed', async () => {
    const statements: { text: string; params: readonly unknown[] }[] = [];
    await chain.db.transaction(async (tx) => {
      const watched: Queryable = {
        query(text, params = []) {
          statements.push({ text, params });
          return tx.query(text, params);
        },
      };
      await openKeyword({ migration: ctx.definition }).search(watched, 'vacuum', { limit: 3 });
    });
    const { text, params } = statements.at(-1) ?? { text: '', params: [] };
    const { rows } = await chain.db.transaction(async (tx) => {
      await tx.query('SET LOCAL enable_seqscan = off');
      return tx.query<{ 'QUERY PLAN': string }>(`EXPLAIN ${text}`, params);
    });
    const plan = rows.map((row) => row['QUERY PLAN']).join('\n');
    expect(plan).toContain('Bitmap Index Scan on reembed_words_words_english');
    const { rows: targets } = await chain.db.query(
      `SELECT attstattarget AS target FROM pg_attribute WHERE attrelid = 'reembed_words_words_english'::regclass`,
    );
    expect(targets).toEqual([{ target: 0 }]);
  });

  it('changes its language without being without an index, and is dropped with all that belongs to it', async () => {
    const kept = ctx.events.length;
    await buildKeyword(ctx, {});
    expect(ctx.events.slice(kept)).toContainEqual({
      kind: 'notice',
      message: expect.stringContaining('is there already'),
    });
    expect(await buildKeyword(ctx, { language: 'pg_catalog.simple' })).toMatchObject({
      language: 'simple',
      index: 'reembed_words_words_simple',
    });
    expect((await ask('the')).hits.length).toBeGreaterThan(10);
    expect((await ask('tables')).hits.length).toBeLessThan((await ask('table')).hits.length);
    expect(await wordIndexes()).toEqual(['reembed_words_words_simple']);
    expect(await dropKeyword(ctx)).toEqual({ dropped: ['reembed_words_words_simple'] });
    expect(await dropKeyword(ctx)).toEqual({ dropped: [] });
    expect((await refusal(refreshKeyword(ctx))).code).toBe('keyword_index_missing');
    const { rows } = await chain.db.query(
      `SELECT (SELECT count(*) FROM reembed.keyword_terms)::int + (SELECT count(*) FROM reembed.keyword_corpora)::int AS left`,
    );
    expect(rows).toEqual([{ left: 0 }]);
    await buildKeyword(ctx, { language: 'english' });
    await undoExpand(ctx);
    expect(await wordIndexes()).toEqual([]);
    expect((await ask('vacuum', { language: 'english' })).engine).toBe('scan');
    await chain.db.query(`INSERT INTO "odd ""docs""" SELECT 2, i::text, 'x' FROM generate_series(1, 5000) i`);
    expect(await refusal(ask('vacuum'))).toMatchObject({
      code: 'keyword_index_missing',
      message: expect.stringContaining('more than the 5,000 rows'),
    });
  });
});

async function wordIndexes(): Promise<string[]> {
  const { rows } = await chain.db.query<{ name: string }>(
    `SELECT relname AS name FROM pg_class WHERE relname LIKE 'reembed\\_words%' ORDER BY 1`,
  );
  return rows.map(({ name }) => name);
}

describe('keyword search of a table on its way', () => {
  it('serves before the backfill, over the swap and after it, with the rights that are documented', async () => {
    await makeSegments(chain.db, { rows: 60 });
    const at = chain.context();
    await expand(at);
    await buildKeyword(at, { language: 'english' });
    const asked = () => ask('topic 7', {}, at);
    const before = await asked();
    expect(before.engine).toBe('index');
    expect(ids0(before).slice(0, 2)).toEqual(['7', '44']);
    const role = `reembed_words_${process.pid}`;
    await chain.db.query(`CREATE ROLE ${role}; GRANT SELECT ON segments TO ${role}`);
    const asRole = () => {
      const keyword = openKeyword({ migration: at.definition });
      return chain.db.transaction(async (tx) => {
        await tx.query(`SET LOCAL ROLE ${role}`);
        return keyword.search(tx, 'topic 7', { limit: 100 });
      });
    };
    try {
      const denied = await refusal(asRole());
      expect(denied).toMatchObject({ code: 'state_denied' });
      await chain.db.query(`${/Run "(.*)"\./.exec(denied.hint ?? '')?.[1]?.replaceAll('<role>', role)}`);
      expect(await asRole()).toEqual(before.hits);
    } finally {
      await chain.db.query(`DROP OWNED BY ${role}; DROP ROLE ${role}`);
    }
    await fill(at);
    await cutOver(at);
    expect(await asked()).toEqual(before);
    await finalize(at, { now: true });
    expect(at.events).toContainEqual({ kind: 'notice', message: expect.stringContaining('"reembed keyword drop"') });
    expect(await asked()).toEqual(before);
    await chain.db.query('DROP TABLE segments');
  });

  it('takes a text of several columns and partitions, and refuses an expression that no index can hold', async () => {
    await chain.db.query(`CREATE TABLE parted (id int PRIMARY KEY, title text, body text, embedding vector(3)) PARTITION BY RANGE (id);
      CREATE TABLE low PARTITION OF parted FOR VALUES FROM (0) TO (51);
      CREATE TABLE high PARTITION OF parted FOR VALUES FROM (51) TO (200) PARTITION BY HASH (id);
      CREATE TABLE high_0 PARTITION OF high FOR VALUES WITH (MODULUS 1, REMAINDER 0);
      INSERT INTO parted SELECT i, 'title ' || i, 'body about ' || CASE i % 3 WHEN 0 THEN 'bees' ELSE 'honey' END, ARRAY[i, 1, 2]::vector FROM generate_series(1, 100) i`);
    const input = (expression: string) => ({ id: 'parted', table: 'parted', text: { expression } });
    const stable = chain.context(input(`concat_ws(' ', title, body) -- of both`));
    expect(ids0(await ask('bees 99', { limit: 1, language: 'english' }, stable))).toEqual(['99']);
    await expand(stable);
    expect(await refusal(buildKeyword(stable, {}))).toMatchObject({
      code: 'words_not_immutable',
      hint: expect.stringContaining('coalesce'),
    });
    expect(ids0(await ask('bees 99', { limit: 1, language: 'english' }, stable))).toEqual(['99']);
    await undoExpand(stable);
    const at = chain.context(input(`coalesce(title, '') || ' ' || coalesce(body, '')`));
    await expand(at);
    const scanned = await ask('bees 99', { language: 'english' }, at);
    expect(await buildKeyword(at, { language: 'english' })).toMatchObject({ documents: 100 });
    expect(await ask('bees 99', {}, at)).toEqual({ ...scanned, engine: 'index' });
    const { rows } =
      await chain.db.query(`SELECT c.relname AS name, i.indisvalid AS valid, a.attstattarget AS target FROM pg_index i
      JOIN pg_class c ON c.oid = i.indexrelid JOIN pg_attribute a ON a.attrelid = c.oid WHERE c.relname LIKE '%reembed\\_words\\_parted%' ORDER BY 1`);
    expect(rows).toEqual(
      [
        'high_0_reembed_words_parted_english',
        'high_reembed_words_parted_english',
        'low_reembed_words_parted_english',
        'reembed_words_parted_english',
      ].map((name) => ({ name, valid: true, target: 0 })),
    );
    await buildKeyword(at, {});
    await dropKeyword(at);
    expect(await wordIndexes()).not.toContain('reembed_words_parted_english');
    await undoExpand(at);
  });
});

const ids0 = ({ hits }: KeywordResult): (string | undefined)[] => hits.map(({ key }) => key[0]);
