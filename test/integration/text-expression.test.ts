import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, beforeEach, describe, expect, it } from 'vitest';
import { readTable } from '../../src/db/catalog.ts';
import { doctor } from '../../src/inspect/doctor.ts';
import { preflight } from '../../src/inspect/preflight.ts';
import { readStatus } from '../../src/inspect/status.ts';
import { verify } from '../../src/inspect/verify.ts';
import { hashProvider } from '../../src/providers/hash.ts';
import { searchTable } from '../../src/search/search.ts';
import { textSql } from '../../src/sql/text-source.ts';
import { readText } from '../../src/state/read-text.ts';
import { findRecord, resolveMigration } from '../../src/state/resolve.ts';
import { cutOver } from '../../src/steps/cut-over.ts';
import { expand } from '../../src/steps/expand.ts';
import { fill } from '../../src/steps/fill.ts';
import { backup } from '../../src/steps/finalize.ts';
import { planMigration } from '../../src/steps/plan-migration.ts';
import { restore } from '../../src/steps/restore.ts';
import { undoCutOver } from '../../src/steps/undo-cut-over.ts';
import { undoExpand } from '../../src/steps/undo-expand.ts';
import { countMissing, createPendingIndexes, missingNewVectors } from '../../src/swap/missing-rows.ts';
import { refusal } from '../helpers/backup-bed.ts';
import { type Chain, openChain } from '../helpers/chain.ts';
import { wrongVectors } from '../helpers/oracle.ts';

/** STABLE to Postgres, as it takes values of any type, and the first thing that anybody writes. */
const JOINED = { expression: `concat_ws(E'\\n', title, "Body")` };
const COALESCED = { expression: `coalesce(title, '') || E'\\n' || coalesce("Body", '')` };
const watched = { table: 'segments', key: 'id', text: `(concat_ws(E'\\n', title, "Body"))` };
const provider = async () => hashProvider('hash/384');

let chain: Chain;
let directory: string;
beforeAll(async () => {
  chain = await openChain();
  directory = await mkdtemp(join(tmpdir(), 'reembed-expression-'));
});
afterAll(async () => {
  await chain.close();
  await rm(directory, { recursive: true, force: true });
});

/** Of 40 rows one has only a title, one only a body and one neither. */
beforeEach(async () => {
  await chain.db.query(`DROP SCHEMA IF EXISTS reembed CASCADE; DROP TABLE IF EXISTS segments;
    CREATE TABLE segments (id serial PRIMARY KEY, title text, "Body" varchar(80), day timestamptz DEFAULT '2026-01-01', tags text[],
      loud text GENERATED ALWAYS AS (upper(title)) STORED, seen int, embedding vector(3));
    INSERT INTO segments (title, "Body", embedding) SELECT 'title ' || i, 'body about topic ' || md5(i::text), ARRAY[i, 1, 2]::vector
      FROM generate_series(1, 40) i;
    UPDATE segments SET title = CASE WHEN id = 2 THEN title END, "Body" = CASE WHEN id = 1 THEN "Body" END WHERE id <= 3`);
});

describe('text of several columns', () => {
  it('goes through the whole chain, and an edit of any of its columns is seen before and after the swap', async () => {
    const ctx = chain.context({ text: JOINED });
    const sql = (statement: string) => chain.db.query(statement);
    expect(await readStatus(ctx)).toMatchObject({ phase: 'none' });
    expect(await planMigration(ctx)).toMatchObject({ text: JOINED.expression, texts: { texts: { value: 39 } } });
    await expand(ctx);
    await editBeforeWrite(ctx);
    expect(await wrongVectors(chain.db, { ...watched, table: EMBEDDED }, 'embedding_384')).toEqual([]);
    await fill(ctx);
    await sql(`UPDATE segments SET title = 'another' WHERE id = 5; UPDATE segments SET "Body" = NULL WHERE id = 6;
      UPDATE segments SET seen = 1 WHERE id = 7`);
    expect(await readStatus(ctx)).toMatchObject({ rows: { done: 37, pending: 2, skipped: 1 } });
    const report = await doctor(ctx, { full: true });
    expect(report.findings.find(({ code }) => code === 'texts_missing')?.message).toContain(
      `1 of all 40 rows have no text in "${JOINED.expression}" of "segments"`,
    );
    await cutOver(ctx);
    expect(await wrongVectors(chain.db, watched, 'embedding')).toEqual([]);
    expect(await verify(ctx, { provider, full: true })).toMatchObject({ ok: true });
    const found = await searchTable(ctx, { query: 'title 9', limit: 3, providers: { new: provider, old: provider } });
    expect(JSON.stringify(found)).toContain('title 9\\nbody about');
    // Past the trigger: only the whole text of the row tells.
    await sql(`SET session_replication_role = replica; UPDATE segments SET "Body" = 'unseen' WHERE id = 8;
      RESET session_replication_role`);
    expect(JSON.stringify(await verify(ctx, { provider, full: true }))).toContain('"8"');
    // What was edited after the swap has no old vector that still fits.
    await sql(`UPDATE segments SET title = 'later' WHERE id = 9`);
    expect(await readStatus(ctx)).toMatchObject({ missingOld: 1 });
    await sql(`UPDATE segments SET embedding_old = '[1,2,3]' WHERE embedding_old IS NULL`);
    await undoCutOver(ctx);
    await undoExpand(ctx);
  });

  it('is what a backup compares rows by, and is read anew from its file', async () => {
    const ctx = chain.context({ text: COALESCED });
    await expand(ctx);
    await fill(ctx);
    const { path } = await backup(ctx, { side: 'new', reason: 'test', directory });
    await chain.db.query(`UPDATE segments SET title = 'edited' WHERE id = 4; UPDATE segments SET embedding_384 = NULL`);
    const result = await restore(ctx, { path });
    expect(result).toMatchObject({ edited: 1, restored: 39 });
    await chain.db.query('ALTER TABLE segments RENAME COLUMN "Body" TO content');
    const error = await refusal(restore(ctx, { path, dryRun: true }));
    expect(error).toMatchObject({
      code: 'backup_mismatch',
      message: expect.stringContaining('column "Body" does not exist'),
    });
  });

  it('follows columns that were renamed, and no other change of its definition', async () => {
    const ctx = chain.context({ text: COALESCED });
    await expand(ctx);
    await fill(ctx);
    const spaced = { expression: `coalesce(title,'')||E'\\n'||coalesce("Body",'') -- as it was` };
    expect((await fill(chain.context({ text: spaced }))).run).toBeUndefined();
    expect((await refusal(fill(chain.context({ text: JOINED })))).code).toBe('definition_changed');
    expect((await refusal(fill(chain.context({ text: 'title' })))).message).toContain(
      'says text title (was coalesce(title',
    );
    await chain.db.query(
      'ALTER TABLE segments RENAME COLUMN title TO headline; ALTER TABLE segments RENAME "Body" TO content',
    );
    for (const run of [fill, cutOver, readStatus]) {
      expect(await refusal(run(ctx))).toMatchObject({
        code: 'text_renamed',
        message: expect.stringContaining('"title" to "headline" and "Body" to "content"'),
      });
    }
    const crossed = { expression: `coalesce(content, '') || E'\\n' || coalesce(headline, '')` };
    expect((await refusal(fill(chain.context({ text: crossed })))).code).toBe('text_renamed');
    const now = chain.context({ text: { expression: `coalesce(headline, '') || E'\\n' || coalesce(content, '')` } });
    await chain.db.query(`UPDATE segments SET content = 'edited' WHERE id = 5`);
    expect(await fill(now)).toMatchObject({ run: { written: 1 } });
    expect((await findRecord(now))?.textExpression?.source).toContain('headline');
    await chain.db.query('ALTER TABLE segments DROP COLUMN content CASCADE');
    expect(await refusal(fill(now))).toMatchObject({
      code: 'text_gone',
      message: expect.stringContaining('"content"'),
    });
    expect(await undoExpand(now)).toMatchObject({ changed: true });
  });

  it('asks no right of the application beyond those that its own writes need, after the swap either', async () => {
    const role = `reembed_writer_${process.pid}`;
    await chain.db.query(`DROP SCHEMA IF EXISTS hidden CASCADE; CREATE SCHEMA hidden; CREATE FUNCTION hidden.loud(text) RETURNS text
      LANGUAGE sql IMMUTABLE AS 'SELECT upper($1)'; CREATE ROLE ${role}; GRANT SELECT, UPDATE ON segments TO ${role}`);
    const write = (sql: string) =>
      chain.db.transaction(async (tx) => {
        await tx.query(`SET LOCAL ROLE ${role}`);
        await tx.query(sql);
      });
    try {
      const ctx = chain.context({ text: { expression: 'hidden.loud(title)' } });
      for (const step of [expand, fill, cutOver]) await step(ctx);
      const vector = 'array_fill(0.5::real, ARRAY[384])::vector';
      await write(`UPDATE segments SET title = 'edited' WHERE id = 5`);
      await write(`UPDATE segments SET title = 'edited', embedding = ${vector} WHERE id = 6`);
      await write(`UPDATE segments SET embedding = ${vector} WHERE id = 7`);
      await write(`UPDATE segments SET "Body" = 'no part of the text' WHERE id = 8`);
      // A column's new name is the application's business as well.
      await chain.db.query('ALTER TABLE segments RENAME COLUMN title TO headline');
      await write(`UPDATE segments SET headline = 'edited' WHERE id = 9`);
      const { rows } = await chain.db.query(`SELECT id, embedding_model AS model, embedding_old IS NULL AS old_gone
        FROM segments WHERE id BETWEEN 5 AND 9 ORDER BY id`);
      expect(rows).toEqual([
        { id: 5, model: 0, old_gone: true },
        { id: 6, model: null, old_gone: true },
        { id: 7, model: null, old_gone: false },
        { id: 8, model: 1, old_gone: false },
        { id: 9, model: 0, old_gone: true },
      ]);
    } finally {
      await chain.db.query(`DROP OWNED BY ${role}; DROP ROLE ${role}`);
    }
  });

  it('is held by the index over pending rows as far as Postgres takes it', async (test) => {
    test.skip(chain.db.embedded, 'nobody waits behind a lock of the embedded database, which has no such index');
    await chain.db.query(
      `INSERT INTO segments (title, "Body", tags) SELECT 'title ' || i, 'body', ARRAY[repeat('x', 1900)] FROM generate_series(1, 4500) i`,
    );
    for (const text of [JOINED, COALESCED]) {
      const ctx = chain.context({ text });
      await expand(ctx);
      const { target } = await resolveMigration(ctx);
      const missing = missingNewVectors(target, null, { migrationId: 'segments-hash', notNull: false });
      expect(await createPendingIndexes(ctx, missing)).toEqual([
        { schema: 'public', name: 'reembed_pending_segments-hash' },
      ]);
      expect(await countMissing(chain.db, missing, 10_000)).toBe(4539);
      await undoExpand(ctx);
    }
  });
});

const EMBEDDED = '(SELECT * FROM segments WHERE embedding_384_model IS NOT NULL) s';

/** A fill beside which a row is edited between the reading of its text and the writing of its vector. */
async function editBeforeWrite(ctx: ReturnType<Chain['context']>): Promise<void> {
  let edits = 0;
  const query: typeof ctx.db.query = async (text, params) => {
    if (text.startsWith('WITH l AS') && edits++ === 0)
      await chain.db.query(`UPDATE segments SET "Body" = 'beside' WHERE id = 4`);
    return ctx.db.query(text, params);
  };
  await fill({ ...ctx, db: { ...ctx.db, query } });
  expect(edits).toBeGreaterThan(0);
}

describe('an expression that could not be a text', () => {
  const said: readonly (readonly [string, string, RegExp])[] = [
    [`title || FROM`, 'expression_invalid', /syntax error at or near "FROM" \(character 10\): title/],
    ['body', 'expression_invalid', /column "body" does not exist \(character 1\)/],
    [`title) AS a FROM segments; DROP TABLE segments; SELECT (1`, 'expression_invalid', /multiple commands/],
    ['title), ("Body"', 'expression_invalid', /more than one expression/],
    ['1) UNION ALL SELECT (2', 'expression_invalid', /more than one expression/],
    ['(SELECT max(title) FROM segments)', 'expression_refused', /it has a subquery/],
    ['max(title)', 'expression_refused', /it has an aggregate/],
    ['title || row_number() OVER ()', 'expression_refused', /it has a window function/],
    ['unnest(tags)', 'expression_refused', /it has a function that returns a set/],
    ['title || ctid::text', 'expression_refused', /a system column/],
    [`'the same'`, 'expression_refused', /it names no column/],
    ['title || embedding::text', 'expression_refused', /it reads "embedding"/],
    ['coalesce(title, loud)', 'text_generated', /column "loud" is generated/],
    ['tags', 'expression_type', /it makes text\[\], text was expected/],
    ['title || random()', 'expression_not_immutable', /random\(\) is VOLATILE/],
    ['title || now()', 'expression_not_immutable', /now\(\) is STABLE/],
    ['title || CURRENT_DATE', 'expression_not_immutable', /CURRENT_DATE/],
    [`to_char(day, 'YYYY') || title`, 'expression_not_immutable', /to_char\(timestamp with time zone,text\) is STABLE/],
    ['concat(title, day)', 'expression_not_immutable', /how timestamp with time zone is written/],
  ];

  it('is refused by 005 with what was found, before anything is changed', async () => {
    const table = await readTable(chain.db, { schema: undefined, name: 'segments' });
    for (const [expression, code, message] of said) {
      const error = await refusal(readText(chain.context({ text: { expression } }), table));
      expect([error.code, error.message], expression).toEqual([code, expect.stringMatching(message)]);
    }
    const refused = chain.context({ text: { expression: 'title || random()' } });
    expect(await refusal(expand(refused))).toMatchObject({ code: 'expression_not_immutable', step: 'expand' });
    const { rows } = await chain.db.query(`SELECT to_regnamespace('reembed') AS state,
      (SELECT count(*)::int FROM pg_class WHERE relname LIKE 'reembed_row%') AS left_over`);
    expect(rows).toEqual([{ state: null, left_over: 0 }]);
  });

  it('is not taken for one where the role may make nothing temporary: that is said instead', async (test) => {
    test.skip(chain.db.embedded, 'the embedded database has one session for all roles');
    const role = `reembed_guest_${process.pid}`;
    await chain.db.query(`CREATE ROLE ${role}; GRANT SELECT ON segments TO ${role};
      DO $$ BEGIN EXECUTE format('REVOKE TEMPORARY ON DATABASE %I FROM PUBLIC', current_database()); END $$`);
    const transaction: typeof chain.db.transaction = (work, options) =>
      chain.db.transaction(async (tx) => {
        await tx.query(`SET LOCAL ROLE ${role}`);
        return work(tx);
      }, options);
    try {
      const { findings } = await preflight({ ...chain.context({ text: JOINED }), db: { ...chain.db, transaction } });
      expect(findings).toEqual([
        expect.objectContaining({ code: 'expression_denied', hint: expect.stringContaining('GRANT TEMPORARY') }),
      ]);
    } finally {
      await chain.db.query(`DROP OWNED BY ${role}; DROP ROLE ${role}`);
    }
  });

  it('is told from those that are one, whatever Postgres calls them', async () => {
    await chain.db.query(`CREATE SCHEMA IF NOT EXISTS app; CREATE OR REPLACE FUNCTION app.loud(text) RETURNS text
      LANGUAGE sql IMMUTABLE AS 'SELECT upper($1)'`);
    const table = await readTable(chain.db, { schema: undefined, name: 'segments' });
    const read = async (expression: string) => {
      const text = await readText(chain.context({ text: { expression } }), table);
      const { rows } = await chain.db.query<{ text: string }>(
        `SELECT ${textSql(text, 't')}::text AS text FROM segments t WHERE id = 40`,
      );
      return [typeof text === 'string' ? text : text.immutable, rows[0]?.text];
    };
    await chain.db.query(`UPDATE segments SET "Body" = 'b', tags = '{x,y}', seen = 7 WHERE id = 40`);
    expect(await read(`"Body"`)).toEqual([true, 'b']);
    expect(await read('seen')).toEqual([true, '7']);
    expect(await read(`title || ': ' || seen -- a comment`)).toEqual([true, 'title 40: 7']);
    expect(await read(`concat_ws('/', title, array_to_string(tags, '-'), seen)`)).toEqual([false, 'title 40/x-y/7']);
    expect(await read(`CASE WHEN seen > 3 THEN app.loud(title) ELSE 'it''s \\' END`)).toEqual([true, 'TITLE 40']);
    expect(await read(`extract(year FROM day AT TIME ZONE 'UTC')::text`)).toEqual([true, '2026']);
  });
});
