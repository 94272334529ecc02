import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, afterEach, beforeAll, describe, expect, test } from 'vitest';
import type { MigrationContext } from '../../src/state/context.ts';
import type { SavedBackup } from '../../src/state/records.ts';
import { resolveMigration } from '../../src/state/resolve.ts';
import { cutOver } from '../../src/steps/cut-over.ts';
import { expand } from '../../src/steps/expand.ts';
import { fill } from '../../src/steps/fill.ts';
import { finalize } from '../../src/steps/finalize.ts';
import { restore } from '../../src/steps/restore.ts';
import { undoCutOver } from '../../src/steps/undo-cut-over.ts';
import { restoreMatching } from '../../src/swap/restore-matching.ts';
import { clearTables, digestOf, refusal, saveSide } from '../helpers/backup-bed.ts';
import { type Chain, makeSegments, openChain, staleKeys } from '../helpers/chain.ts';

const directory = mkdtempSync(join(tmpdir(), 'reembed-backup-test-'));
afterAll(() => rmSync(directory, { recursive: true, force: true }));

let chain: Chain;
beforeAll(async () => {
  chain = await openChain();
});
afterEach(() => clearTables(chain.db));
afterAll(() => chain.close());

const save = (ctx: MigrationContext, side: 'old' | 'new', into = directory): Promise<SavedBackup> =>
  saveSide(ctx, side, into);
const digest = (table: string, key: string, columns: string): Promise<string> =>
  digestOf(chain.db, table, key, columns);

test('a vector that was stale when it was saved is stale when it comes back, and is embedded again', async () => {
  await makeSegments(chain.db, { rows: 30 });
  const ctx = chain.context();
  for (const step of [expand, fill, cutOver]) await step(ctx);
  await chain.db.query(`UPDATE segments SET text = text || ' edited' WHERE id = 3`);
  const { path } = await save(ctx, 'new');
  await chain.db.query('UPDATE segments SET embedding = NULL');
  expect(await restore(ctx, { path })).toMatchObject({ restored: 30, edited: 0 });
  expect(await fill(ctx)).toMatchObject({ run: { written: 1 } });
  expect(await staleKeys(chain.db, 'embedding')).toEqual([]);
});

describe('vectors come back byte for byte', () => {
  test.each([
    { type: 'vector', value: "('[' || random() || ',-1e-30,' || i || ']')" },
    { type: 'halfvec', value: "('[' || random() || ',-6e-8,' || i || ']')" },
  ])('$type, with NULLs, a composite key and names that need quoting', async ({ type, value }) => {
    const table = '"Odd ""Schema"""."Seg ments"';
    await chain.db.query('CREATE SCHEMA "Odd ""Schema"""');
    await chain.db.query(
      `CREATE TABLE ${table} ("K ey" text, big bigint, "Te""xt" text, "Vec tor" ${type}(3), PRIMARY KEY ("K ey", big))`,
    );
    await chain.db.query(
      `INSERT INTO ${table} SELECT E'it''s "a" \\\\ , {' || (i % 7) || E'}\\n\\u00fc', 9007199254740993 + i, CASE WHEN i % 11 > 0 THEN 'text ' || i END,
         CASE WHEN i % 5 > 0 THEN ${value}::${type} END FROM generate_series(1, 5000) i`,
    );
    const ctx = chain.context({
      table: { schema: 'Odd "Schema"', name: 'Seg ments' },
      text: 'Te"xt',
      column: 'Vec tor',
    });
    await expand(ctx);
    const bytes = `"K ey", big, ${type}_send("Vec tor") AS bytes`;
    const before = await digest(table, 'ROW("K ey", big)', bytes);
    const saved = await save(ctx, 'old');
    expect(saved.rows).toBe(5000);
    await chain.db.query(`UPDATE ${table} SET "Vec tor" = '[1,2,3]'::${type}`);
    expect(await digest(table, 'ROW("K ey", big)', bytes)).not.toBe(before);
    const result = await restore(ctx, { path: saved.path });
    expect(result).toMatchObject({ restored: 5000, gone: 0, new: 0, edited: 0, createdColumn: false });
    expect(await digest(table, 'ROW("K ey", big)', bytes)).toBe(before);
  });

  test('a column that was dropped is made again', async () => {
    await makeSegments(chain.db, { rows: 300, dimensions: 1536 });
    const ctx = chain.context();
    await expand(ctx);
    const bytes = 'vector_send(embedding) AS bytes';
    const before = await digest('segments', 'id', bytes);
    const saved = await save(ctx, 'old');
    await chain.db.query('ALTER TABLE segments DROP COLUMN embedding');
    expect(await restore(ctx, { path: saved.path })).toMatchObject({ createdColumn: true, restored: 300 });
    expect(await digest('segments', 'id', bytes)).toBe(before);
  });

  test('new vectors keep their provenance, and nothing is embedded again after a restore', async () => {
    await makeSegments(chain.db, { rows: 120 });
    const ctx = chain.context();
    await expand(ctx);
    await fill(ctx);
    const all =
      'vector_send(embedding_384) AS bytes, embedding_384_model, embedding_384_hash, embedding_384_at::text AS at';
    const before = await digest('segments', 'id', all);
    const saved = await save(ctx, 'new');
    await chain.db.query('UPDATE segments SET embedding_384 = NULL');
    await restore(ctx, { path: saved.path });
    expect(await digest('segments', 'id', all)).toBe(before);
    expect(await fill(ctx)).toMatchObject({ run: undefined, rows: { done: 120, pending: 0 } });
  });

  test('old vectors dropped by finalize go to <column>_old, never over the new ones, and the swap can be undone again', async () => {
    await makeSegments(chain.db, { rows: 50 });
    const ctx = chain.context({}, { backupDir: join(directory, 'finalize') });
    const before = await digest('segments', 'id', 'vector_send(embedding) AS bytes');
    await expand(ctx);
    await fill(ctx);
    await cutOver(ctx);
    const { backup } = await finalize(ctx, { now: true });
    const dropped = await refusal(undoCutOver(ctx));
    expect(`${dropped.message} ${dropped.hint}`).toContain(backup?.path);
    const { column } = await restore(ctx, { path: backup?.path ?? '' });
    expect(column).toBe('embedding_old');
    expect(await digest('segments', 'id', 'vector_send(embedding_old) AS bytes')).toBe(before);
    // The vector of a text that is edited from now on is not kept for a way back.
    await chain.db.query(
      "INSERT INTO segments (id, text, embedding_old) SELECT 999, 'a', embedding_old FROM segments WHERE id = 1",
    );
    await chain.db.query("UPDATE segments SET text = 'b' WHERE id = 999");
    const { rows } = await chain.db.query(
      'DELETE FROM segments WHERE id = 999 RETURNING embedding_old IS NULL AS cleared',
    );
    expect(rows).toEqual([{ cleared: true }]);
    await undoCutOver(ctx);
    expect(await digest('segments', 'id', 'vector_send(embedding) AS bytes')).toBe(before);
  });
});

describe('rows that changed since the backup', () => {
  test('deleted, inserted and edited rows are counted, and an edited row does not get the vector of its former text', async () => {
    await makeSegments(chain.db, { rows: 100 });
    const ctx = chain.context();
    await expand(ctx);
    const saved = await save(ctx, 'old');
    await chain.db.query('DELETE FROM segments WHERE id <= 3');
    await chain.db.query("UPDATE segments SET text = 'edited', embedding = NULL WHERE id IN (10, 11)");
    await chain.db.query("INSERT INTO segments (text) SELECT 'new' FROM generate_series(1, 5)");
    const dry = await restore(ctx, { path: saved.path, dryRun: true });
    expect(dry).toMatchObject({ restored: 95, gone: 3, new: 5, edited: 2, dryRun: true });
    expect(await restore(ctx, { path: saved.path })).toMatchObject({ restored: 95, gone: 3, new: 5, edited: 2 });
    const count = 'SELECT count(*)::int AS n FROM segments WHERE embedding IS NOT NULL';
    expect((await chain.db.query<{ n: number }>(count)).rows[0]?.n).toBe(95);
    const all = await restore(ctx, { path: saved.path, includeEdited: true });
    expect(all).toMatchObject({ restored: 97, edited: 2 });
  });

  test('a dry run changes nothing', async () => {
    await makeSegments(chain.db, { rows: 20 });
    const ctx = chain.context();
    await expand(ctx);
    const saved = await save(ctx, 'old');
    await chain.db.query('ALTER TABLE segments DROP COLUMN embedding');
    expect(await restore(ctx, { path: saved.path, dryRun: true })).toMatchObject({
      restored: 20,
      column: 'embedding',
    });
    const { rows } = await chain.db.query(
      "SELECT 1 FROM pg_attribute WHERE attrelid = 'segments'::regclass AND attname = 'embedding'",
    );
    expect(rows).toEqual([]);
  });

  test('the backfill takes back vectors of the same model where the text is still the same', async () => {
    await makeSegments(chain.db, { rows: 60 });
    const ctx = chain.context();
    await expand(ctx);
    await fill(ctx);
    const saved = await save(ctx, 'new');
    await chain.db.query('UPDATE segments SET embedding_384 = NULL');
    await chain.db.query("UPDATE segments SET text = text || ' edited' WHERE id <= 4");
    const resolved = await resolveMigration(ctx);
    expect(await restoreMatching(ctx, resolved, saved.path, resolved.record.modelId ?? 0)).toEqual({
      restored: 56,
      leftOut: [],
    });
    expect(await staleKeys(chain.db, 'embedding_384')).toEqual(['1', '2', '3', '4']);
    expect(await restoreMatching(ctx, resolved, saved.path, 999)).toEqual({ restored: 0, leftOut: [] });
  });
});
