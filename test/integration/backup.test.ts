import { spawnSync } from 'node:child_process';
import { createHash } from 'node:crypto';
import { mkdtempSync, readdirSync, readFileSync, rmSync, statSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, afterEach, beforeAll, describe, expect, test } from 'vitest';
import type { Database, Queryable } from '../../src/db/types.ts';
import { InterruptedError, ReembedError } from '../../src/errors.ts';
import type { MigrationContext } from '../../src/state/context.ts';
import type { SavedBackup } from '../../src/state/records.ts';
import { oldVectorTarget, resolveMigration } from '../../src/state/resolve.ts';
import { cutOver } from '../../src/steps/cut-over.ts';
import { expand } from '../../src/steps/expand.ts';
import { fill } from '../../src/steps/fill.ts';
import { finalize } from '../../src/steps/finalize.ts';
import { restore } from '../../src/steps/restore.ts';
import { undoCutOver } from '../../src/steps/undo-cut-over.ts';
import { backupColumn } from '../../src/swap/backup.ts';
import { readBackupRows, verifyBackup } from '../../src/swap/read-backup.ts';
import { restoreMatching } from '../../src/swap/restore-matching.ts';
import { type Chain, makeSegments, openChain, staleKeys } from '../helpers/chain.ts';

const directory = mkdtempSync(join(tmpdir(), 'reembed-backup-test-'));
afterAll(() => rmSync(directory, { recursive: true, force: true }));

let chain: Chain;
beforeAll(async () => {
  chain = await openChain();
});
afterEach(async () => {
  await chain.db.query('DROP TABLE IF EXISTS segments, other; DROP SCHEMA IF EXISTS "Odd ""Schema""", reembed CASCADE');
});
afterAll(() => chain.close());

async function save(ctx: MigrationContext, side: 'old' | 'new', into = directory): Promise<SavedBackup> {
  const resolved = await resolveMigration(ctx);
  const { record, table, extension, target } = resolved;
  const column = side === 'new' ? target : oldVectorTarget(record, table, extension, ctx.runtime.stateSchema);
  if (column === undefined) throw new Error('no column');
  return backupColumn(ctx, resolved, { column, directory: into, reason: 'test' });
}

/** Every row's key and vector bytes, and whatever else is asked for, as one digest. */
async function digest(table: string, key: string, columns: string): Promise<string> {
  const { rows } = await chain.db.query(`SELECT ${key}::text AS key, ${columns} FROM ${table} ORDER BY ${key}`);
  return createHash('sha256').update(JSON.stringify(rows)).digest('hex');
}

async function refusal(work: Promise<unknown>): Promise<ReembedError> {
  const error = await work.then(
    () => undefined,
    (thrown: unknown) => thrown,
  );
  if (!(error instanceof ReembedError)) throw new Error(`expected a ReembedError, got ${String(error)}`);
  return error;
}

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
    expect(await restoreMatching(ctx, resolved, saved.path, resolved.record.modelId ?? 0)).toEqual({ restored: 56 });
    expect(await staleKeys(chain.db, 'embedding_384')).toEqual(['1', '2', '3', '4']);
    expect(await restoreMatching(ctx, resolved, saved.path, 999)).toEqual({ restored: 0 });
  });
});

describe('the backup itself', () => {
  async function smallBackup(): Promise<{ ctx: MigrationContext; saved: SavedBackup }> {
    await makeSegments(chain.db, { rows: 30 });
    const ctx = chain.context();
    await expand(ctx);
    return { ctx, saved: await save(ctx, 'old') };
  }

  test('is private, described beside itself, and noted in the state', async () => {
    const { ctx, saved } = await smallBackup();
    expect(statSync(saved.path).mode & 0o777).toBe(0o600);
    expect(statSync(`${saved.path}.json`).mode & 0o777).toBe(0o600);
    const manifest = await verifyBackup(saved.path);
    const sha256 = createHash('sha256').update(readFileSync(saved.path)).digest('hex');
    expect(manifest).toMatchObject({ rows: 30, dimensions: 16, vectorType: 'vector', vectors: 'old', sha256 });
    expect((await resolveMigration(ctx)).record.backups).toEqual([saved]);
    const keys: string[] = [];
    for await (const row of readBackupRows(saved.path)) keys.push(...row.key);
    expect(keys).toEqual(Array.from({ length: 30 }, (_, i) => String(i + 1)));
  });

  test('a missing directory is made for the owner alone', async () => {
    await makeSegments(chain.db, { rows: 5 });
    const ctx = chain.context();
    await expand(ctx);
    const made = join(directory, 'made', 'here');
    await save(ctx, 'old', made);
    expect(statSync(made).mode & 0o777).toBe(0o700);
  });

  test.each([
    ['cut off', (bytes: Buffer) => bytes.subarray(0, bytes.length - 7), /bytes, its manifest says/],
    ['altered in one bit', (bytes: Buffer) => flipBit(bytes, bytes.length >> 1), /sha256/],
  ])('%s: refused before anything is written', async (_name, change, message) => {
    const { ctx, saved } = await smallBackup();
    writeFileSync(saved.path, change(readFileSync(saved.path)));
    const before = await digest('segments', 'id', 'vector_send(embedding) AS bytes');
    const error = await refusal(restore(ctx, { path: saved.path }));
    expect(error.code).toBe('backup_damaged');
    expect(error.message).toMatch(message);
    expect(await digest('segments', 'id', 'vector_send(embedding) AS bytes')).toBe(before);
  });

  test('a manifest that was put beside another file is refused', async () => {
    const { ctx, saved } = await smallBackup();
    const manifest = JSON.parse(readFileSync(`${saved.path}.json`, 'utf8')) as Record<string, unknown>;
    writeFileSync(`${saved.path}.json`, JSON.stringify({ ...manifest, column: 'voice' }));
    expect(await refusal(restore(ctx, { path: saved.path }))).toMatchObject({ code: 'backup_damaged' });
    rmSync(`${saved.path}.json`);
    expect(await refusal(restore(ctx, { path: saved.path }))).toMatchObject({ code: 'backup_missing' });
  });

  test('another table, key or type is refused with what differs', async () => {
    const { ctx, saved } = await smallBackup();
    await chain.db.query('CREATE TABLE other (id uuid PRIMARY KEY, text text, embedding vector(8) NOT NULL)');
    const other = { ...ctx, definition: { ...ctx.definition, table: { schema: undefined, name: 'other' } } };
    const error = await refusal(restore(other, { path: saved.path, into: 'embedding' }));
    expect(error.code).toBe('backup_mismatch');
    expect(error.message).toContain('the backup is of table public.segments, the migration is of public.other');
    expect(error.message).toContain("(id bigint), the table's is (id uuid)");
    expect(error.message).toContain('the backup holds vector(16), column "embedding" is vector(8)');
  });

  test('a directory that cannot be written is named, and no partial file stays', async () => {
    await makeSegments(chain.db, { rows: 5 });
    const ctx = chain.context();
    await expand(ctx);
    const blocked = join(directory, 'blocked');
    writeFileSync(blocked, '');
    const error = await refusal(save(ctx, 'old', blocked));
    expect(error).toMatchObject({ code: 'backup_failed', hint: expect.stringContaining('REEMBED_BACKUP') });
    expect(error.message).toContain(blocked);
  });

  test('a full disk is named, and no partial file stays', async ({ skip }) => {
    const small = mkdtempSync(join(directory, 'small-'));
    const mounted = spawnSync('mount', ['-t', 'tmpfs', '-o', 'size=64k', 'tmpfs', small]).status === 0;
    if (!mounted) skip('mounting a small file system needs root');
    try {
      await makeSegments(chain.db, { rows: 200, dimensions: 384 });
      const ctx = chain.context();
      await expand(ctx);
      const error = await refusal(save(ctx, 'old', small));
      expect(error).toMatchObject({ code: 'backup_failed', hint: expect.stringContaining('Free space') });
      expect(error.message).toContain('the disk is full');
      expect(readdirSync(small)).toEqual([]);
      expect((await resolveMigration(ctx)).record.backups).toEqual([]);
    } finally {
      spawnSync('umount', [small]);
    }
  });

  test('stopped in the middle, it leaves no file behind', async () => {
    await makeSegments(chain.db, { rows: 4100, dimensions: 3 });
    const ctx = chain.context();
    await expand(ctx);
    const controller = new AbortController();
    const onProgress = (): void => controller.abort();
    const into = mkdtempSync(join(directory, 'stopped-'));
    const error = await refusal(save({ ...ctx, signal: controller.signal, onProgress }, 'old', into));
    expect(error).toBeInstanceOf(InterruptedError);
    expect(readdirSync(into)).toEqual([]);
    expect((await resolveMigration(ctx)).record.backups).toEqual([]);
  });

  test('on a server it is one snapshot, whatever is written meanwhile (embedded: one session, no concurrency)', async ({
    skip,
  }) => {
    if (chain.db.embedded) skip('the embedded database has one session');
    await makeSegments(chain.db, { rows: 4100, dimensions: 3 });
    const ctx = chain.context();
    await expand(ctx);
    const before = await digest('segments', 'id', 'vector_send(embedding) AS bytes');
    const saved = await save({ ...ctx, db: changingAfterFirstWindow(chain.db) }, 'old');
    await restore(ctx, { path: saved.path });
    expect(await digest('segments', 'id', 'vector_send(embedding) AS bytes')).toBe(before);
  });
});

/** Between two windows of a backup, another connection changes every vector and commits. */
function changingAfterFirstWindow(db: Database): Database {
  let change: Promise<unknown> | undefined;
  const watched = (tx: Queryable): Queryable => ({
    async query<R>(text: string, params?: readonly unknown[]) {
      const result = await tx.query<R>(text, params);
      if (!text.includes('LIMIT')) return result;
      change ??= db.query("UPDATE segments SET embedding = '[9,9,9]'");
      await change;
      return result;
    },
  });
  return { ...db, transaction: (work, options) => db.transaction((tx) => work(watched(tx)), options) };
}

function flipBit(bytes: Buffer, at: number): Buffer {
  const changed = Buffer.from(bytes);
  changed[at] = (changed[at] ?? 0) ^ 1;
  return changed;
}
