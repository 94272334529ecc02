import { spawnSync } from 'node:child_process';
import { createHash } from 'node:crypto';
import { mkdtempSync, readdirSync, readFileSync, rmSync, statSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, afterEach, beforeAll, describe, expect, test, vi } from 'vitest';
import type { Database } from '../../src/db/types.ts';
import { InterruptedError } from '../../src/errors.ts';
import type { MigrationContext } from '../../src/state/context.ts';
import type { SavedBackup } from '../../src/state/records.ts';
import { resolveMigration } from '../../src/state/resolve.ts';
import { expand } from '../../src/steps/expand.ts';
import { restore } from '../../src/steps/restore.ts';
import { readBackupRows, verifyBackup } from '../../src/swap/read-backup.ts';
import { clearTables, digestOf, refusal, saveSide } from '../helpers/backup-bed.ts';
import { type Chain, makeSegments, openChain } from '../helpers/chain.ts';

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
    const saved = await save({ ...ctx, db: changingAfterFirstLook(chain.db) }, 'old');
    expect((await chain.db.query("SELECT 1 FROM segments WHERE embedding <> '[9,9,9]'")).rows).toEqual([]);
    await restore(ctx, { path: saved.path });
    expect(await digest('segments', 'id', 'vector_send(embedding) AS bytes')).toBe(before);
  });

  test('on a server the COPY waits for a slow reader instead of filling the memory (embedded: no COPY)', async ({
    skip,
  }) => {
    if (chain.db.embedded) skip('the embedded database has no COPY');
    await makeSegments(chain.db, { rows: 1, dimensions: 1536 });
    await chain.db.query(
      'INSERT INTO segments (text, embedding) SELECT text, embedding FROM segments, generate_series(1, 5000)',
    );
    const session = await chain.db.openSession();
    const chunks = session.copyOut('COPY (SELECT vector_send(embedding) FROM segments) TO STDOUT (FORMAT binary)');
    const reader = chunks[Symbol.asyncIterator]();
    expect((await reader.next()).value?.byteLength).toBeLessThan(256 * 1024);
    const waits = (): Promise<string | null | undefined> =>
      chain.db
        .query<{ event: string | null }>('SELECT wait_event AS event FROM pg_stat_activity WHERE pid = $1', [
          session.pid,
        ])
        .then(({ rows }) => rows[0]?.event);
    await vi.waitFor(async () => expect(await waits()).toBe('ClientWrite'), { timeout: 60_000 });
    await session.close();
  });
});

/** Once a backup's session has looked at its snapshot, another connection changes every vector and commits. */
function changingAfterFirstLook(db: Database): Database {
  let change: Promise<unknown> | undefined;
  return {
    ...db,
    async openSession() {
      const session = await db.openSession();
      return {
        ...session,
        async query<R>(text: string, params?: readonly unknown[]) {
          const result = await session.query<R>(text, params);
          if (text.includes('pg_current_wal_lsn')) change ??= db.query("UPDATE segments SET embedding = '[9,9,9]'");
          await change;
          return result;
        },
      };
    },
  };
}

function flipBit(bytes: Buffer, at: number): Buffer {
  const changed = Buffer.from(bytes);
  changed[at] = (changed[at] ?? 0) ^ 1;
  return changed;
}
