import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import type { MigrationInput } from '../../src/config/define-migration.ts';
import { readStatus } from '../../src/inspect/status.ts';
import { hashProvider } from '../../src/providers/hash.ts';
import type { MigrationContext } from '../../src/state/context.ts';
import { cutOver } from '../../src/steps/cut-over.ts';
import { expand } from '../../src/steps/expand.ts';
import { fill } from '../../src/steps/fill.ts';
import { finalize } from '../../src/steps/finalize.ts';
import { undoCutOver } from '../../src/steps/undo-cut-over.ts';
import { undoExpand } from '../../src/steps/undo-expand.ts';
import { undoFill } from '../../src/steps/undo-fill.ts';
import { type Chain, openChain } from '../helpers/chain.ts';
import { catalogOf, checksumOf, type Watched, wrongVectors } from '../helpers/oracle.ts';

const ROWS = 120;

let chain: Chain;
let backups: string;

beforeAll(async () => {
  backups = await mkdtemp(join(tmpdir(), 'reembed-several-'));
  chain = await openChain();
});
afterAll(async () => {
  await chain.close();
  await rm(backups, { recursive: true, force: true });
});

async function makeTable(table: string): Promise<Watched> {
  const vector = `(SELECT array_agg(i + n + random()) FROM generate_series(1, 8) n)::vector`;
  await chain.db.query(
    `CREATE TABLE ${table} (id int GENERATED ALWAYS AS IDENTITY PRIMARY KEY, title text, body text, title_vec vector(8), body_vec vector(8), voice vector(8));
     INSERT INTO ${table} (title, body, title_vec, body_vec, voice)
       SELECT 'title ' || i, 'body ' || md5(i::text), ${vector}, ${vector}, ${vector} FROM generate_series(1, ${ROWS}) i;
     CREATE INDEX ${table}_title_idx ON ${table} USING hnsw (title_vec vector_cosine_ops);
     CREATE INDEX ${table}_body_idx ON ${table} USING hnsw (body_vec vector_l2_ops)`,
  );
  return { table, key: 'id', text: 'body' };
}

function contextFor(input: Partial<MigrationInput>): MigrationContext {
  return chain.context(input, { backupDir: backups });
}

describe('two columns of one table', () => {
  let bodies: Watched;
  let titles: Watched;
  let body: MigrationContext;
  let title: MigrationContext;
  const provider = hashProvider('hash/256');

  beforeAll(async () => {
    bodies = await makeTable('pages');
    titles = { ...bodies, text: 'title' };
    body = contextFor({ id: 'pages-body', table: 'pages', text: 'body', column: 'body_vec' });
    title = contextFor({
      id: 'pages-title',
      table: 'pages',
      text: 'title',
      column: 'title_vec',
      model: 'hash/256',
      dimensions: 256,
    });
  });

  it('migrate side by side: each trigger clears its own vector and no other', async () => {
    await expand(body);
    await expand(title);
    await fill(body);
    await fill(title);
    await chain.db.query(
      `UPDATE pages SET title = 'a new title' WHERE id <= 10; UPDATE pages SET body = 'a new body' WHERE id > 115`,
    );
    expect(await readStatus(body)).toMatchObject({ rows: { done: ROWS - 5, pending: 5 } });
    expect(await readStatus(title)).toMatchObject({ rows: { done: ROWS - 10, pending: 10 } });
    await fill(title);
    expect(await readStatus(body)).toMatchObject({ rows: { pending: 5 } });
    expect(await wrongVectors(chain.db, titles, 'title_vec_256', { provider })).toEqual([]);
  });

  it('one swaps while the other is half-way, and the other one follows', async () => {
    await cutOver(title);
    expect(await wrongVectors(chain.db, titles, 'title_vec', { provider })).toEqual([]);
    expect(await readStatus(body)).toMatchObject({ phase: 'backfilled', active: 'old' });
    // Both texts in one statement, both triggers of the one row.
    const old = await checksumOf(chain.db, bodies, 'voice');
    await chain.db.query(`UPDATE pages SET title = 'again', body = 'again' WHERE id = 50`);
    expect(await readStatus(body)).toMatchObject({ rows: { pending: 6 } });
    await cutOver(body);
    expect(await wrongVectors(chain.db, bodies, 'body_vec')).toEqual([]);
    expect(await checksumOf(chain.db, bodies, 'voice')).toBe(old);
    const { rows } = await chain.db.query(
      `SELECT id, title_vec_old IS NULL AS title, body_vec_old IS NULL AS body FROM pages WHERE title_vec_old IS NULL OR body_vec_old IS NULL`,
    );
    // The title of 50 was edited after its swap: its old vector would be another text's. The body's old vector never changed with its text.
    expect(rows).toEqual([{ id: 50, title: true, body: false }]);
  });

  it('undoing one leaves the other, its trigger and its state alone', async () => {
    await chain.db.query(`UPDATE pages SET title_vec_old = body_vec_old WHERE id = 50`);
    const kept = await checksumOf(chain.db, titles, 'title, title_vec, title_vec_old, voice');
    await undoCutOver(body);
    await undoFill(body);
    await undoExpand(body);
    expect(await checksumOf(chain.db, titles, 'title, title_vec, title_vec_old, voice')).toBe(kept);
    // The title of 50 was edited after its swap, without a vector: that stays marked, too.
    expect(await readStatus(title)).toMatchObject({
      phase: 'swapped',
      active: 'new',
      rows: { done: ROWS - 1 },
      stale: 1,
    });
    expect(await readStatus(body)).toMatchObject({ phase: 'none' });
    const names = (await catalogOf(chain.db, 'pages')) as { kind: string; name: string }[];
    expect(names.filter((row) => row.kind === 'trigger').map((row) => row.name)).toEqual([
      'zzz_reembed_pages-title',
      'zzz_reembed_pages-title_vector',
    ]);
    await chain.db.query(`UPDATE pages SET title = 'and again' WHERE id = 51`);
    const { rows } = await chain.db.query('SELECT title_vec_old IS NULL AS gone FROM pages WHERE id = 51');
    expect(rows).toEqual([{ gone: true }]);
  });

  it('a second migration of the same column is refused while the first one is on its way', async () => {
    await expand(body);
    const other = contextFor({
      id: 'pages-other',
      table: 'pages',
      text: 'body',
      column: 'body_vec',
      target: 'body_other',
    });
    await expect(expand(other)).rejects.toMatchObject({
      code: 'migration_overlaps',
      message: 'The migration "pages-body" (phase expanded) already works on "pages.body_vec".',
      hint: 'Take it to its end or undo it first: "reembed down --migration pages-body".',
    });
    await undoExpand(body);
  });
});

describe('two tables of one project', () => {
  it('go their ways in one state; undoing one to the ground leaves the other swapped', async () => {
    const [one, two] = [await makeTable('first'), await makeTable('second')];
    const contexts = [one, two].map(({ table }) =>
      contextFor({ id: `${table}-hash`, table, text: 'body', column: 'body_vec' }),
    );
    const [first, second] = contexts as [MigrationContext, MigrationContext];
    const before = [
      await catalogOf(chain.db, 'first'),
      await checksumOf(chain.db, one, 'title, body, title_vec, body_vec, voice'),
    ];
    for (const step of [expand, fill, cutOver]) for (const ctx of contexts) await step(ctx);
    expect(await wrongVectors(chain.db, one, 'body_vec')).toEqual([]);
    expect(await wrongVectors(chain.db, two, 'body_vec')).toEqual([]);
    for (const step of [undoCutOver, undoFill, undoExpand]) await step(first);
    expect([
      await catalogOf(chain.db, 'first'),
      await checksumOf(chain.db, one, 'title, body, title_vec, body_vec, voice'),
    ]).toEqual(before);
    expect(await readStatus(second)).toMatchObject({ phase: 'swapped', rows: { done: ROWS } });
    await finalize(second, { now: true });
    expect(await readStatus(second)).toMatchObject({ phase: 'finalized' });
    expect(await wrongVectors(chain.db, two, 'body_vec')).toEqual([]);
  });
});
