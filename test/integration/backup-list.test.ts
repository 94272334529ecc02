import { existsSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join, relative } from 'node:path';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { readStatus } from '../../src/inspect/status.ts';
import { resolveMigration } from '../../src/state/resolve.ts';
import { cutOver } from '../../src/steps/cut-over.ts';
import { expand } from '../../src/steps/expand.ts';
import { fill } from '../../src/steps/fill.ts';
import { finalize, undoFinalize } from '../../src/steps/finalize.ts';
import { restore } from '../../src/steps/restore.ts';
import { undoCutOver } from '../../src/steps/undo-cut-over.ts';
import { undoFill } from '../../src/steps/undo-fill.ts';
import { listBackups } from '../../src/swap/list-backups.ts';
import { pruneBackups } from '../../src/swap/prune-backups.ts';
import { refusal, saveSide } from '../helpers/backup-bed.ts';
import { type Chain, makeSegments, openChain } from '../helpers/chain.ts';

const directory = mkdtempSync(join(tmpdir(), 'reembed-backup-list-'));
let chain: Chain;
beforeAll(async () => {
  chain = await openChain();
});
afterAll(async () => {
  await chain.close();
  rmSync(directory, { recursive: true, force: true });
});

const runtime = { backupDir: directory };
const context = (retentionDays = 7): ReturnType<Chain['context']> => chain.context({ retentionDays }, runtime);

/** Lets a backup have been made so many days ago, in the state and in its manifest. */
async function age(path: string, days: number): Promise<void> {
  const at = new Date(Date.now() - days * 86_400_000).toISOString();
  const { record } = await resolveMigration(context());
  const backups = record.backups.map((saved) => (saved.path === path ? { ...saved, at } : saved));
  await chain.db.query('UPDATE reembed.migrations SET backups = $1 WHERE id = $2', [
    JSON.stringify(backups),
    record.id,
  ]);
}

test('backups are listed with what became of their files, and deleted only when that is said twice', async () => {
  await makeSegments(chain.db, { rows: 1200, dimensions: 3 });
  for (const step of [expand, fill]) await step(context());
  const first = await saveSide(context(), 'old', directory);
  const second = await saveSide(context(), 'old', directory);
  await age(first.path, 30);
  expect(await listBackups(context(), { check: true })).toMatchObject([
    {
      path: first.path,
      rows: 1200,
      column: 'embedding',
      vectors: 'old',
      ageDays: 30,
      file: 'whole',
      olderThanRetention: true,
      recorded: true,
    },
    { path: second.path, file: 'whole', problem: null, olderThanRetention: false },
  ]);
  // However the directory is written, a file is one backup.
  expect(await listBackups(context(), { directory: relative(process.cwd(), directory) })).toHaveLength(2);
  const refused = await refusal(pruneBackups(context(), { confirmed: false, lastToo: false }));
  expect(refused).toMatchObject({ code: 'prune_unconfirmed', hint: expect.stringContaining('--yes') });
  expect(refused.message).toContain(first.path);
  expect(refused.message).not.toContain(second.path);
  expect(existsSync(first.path)).toBe(true);
  const { deleted } = await pruneBackups(context(), { confirmed: true, lastToo: false });
  expect(deleted.map(({ path }) => path)).toEqual([first.path]);
  expect([existsSync(first.path), existsSync(`${first.path}.json`), existsSync(second.path)]).toEqual([
    false,
    false,
    true,
  ]);
  expect((await resolveMigration(context())).record.backups).toEqual([second]);
  rmSync(second.path);
  rmSync(`${second.path}.json`);
  expect(await listBackups(context())).toMatchObject([{ path: second.path, file: 'missing', bytes: null }]);
});

test('what is nowhere else, and what may be of another database, is not deleted', async () => {
  await undoFill(context());
  const made = (await resolveMigration(context())).record.backups.at(-1)?.path ?? '';
  await age(made, 400);
  expect((await pruneBackups(context(), { confirmed: true, lastToo: false })).kept).toMatchObject([
    { path: made, vectors: 'new', recorded: true },
  ]);
  // The vectors are taken back; now there are two of them.
  await fill(context());
  await chain.db.query(`UPDATE reembed.migrations SET backups = '[]'`);
  const manifest = JSON.parse(readFileSync(`${made}.json`, 'utf8'));
  writeFileSync(`${made}.json`, JSON.stringify({ ...manifest, createdAt: '2020-01-01T00:00:00.000Z' }));
  const unknown = await pruneBackups(context(), { confirmed: true, lastToo: true });
  expect(unknown).toMatchObject({ deleted: [], kept: [{ path: made, recorded: false }] });
  rmSync(made);
  rmSync(`${made}.json`);
});

test('a vector that the text has left behind is still marked as such when it comes back', async () => {
  await cutOver(context());
  await chain.db.query(`UPDATE segments SET text = text || ' edited' WHERE id <= 2`);
  const saved = await saveSide(context(), 'new', directory);
  await chain.db.query('UPDATE segments SET embedding = NULL WHERE id = 1');
  expect(await restore(context(), { path: saved.path })).toMatchObject({ restored: 1200, column: 'embedding' });
  expect(await readStatus(context())).toMatchObject({ stale: 2, rows: { pending: 2 } });
  rmSync(saved.path);
  rmSync(`${saved.path}.json`);
  await chain.db.query(`UPDATE reembed.migrations SET backups = '[]'`);
});

test('the last backup of vectors that are gone is kept, unless that is said too', async () => {
  for (const step of [cutOver, (ctx: ReturnType<typeof context>) => finalize(ctx, { now: true })])
    await step(context());
  const [saved] = (await listBackups(context())).slice(-1);
  const path = saved?.path ?? '';
  // Whoever asks for the way back is shown the old vectors, whatever was backed up since under the same name.
  const other = await saveSide(context(), 'new', directory);
  for (const back of [undoCutOver, undoFinalize]) {
    expect((await refusal(back(context()))).hint).toContain(`reembed restore ${path}`);
  }
  rmSync(other.path);
  rmSync(`${other.path}.json`);
  await chain.db.query(`UPDATE reembed.migrations SET backups = backups - 1`);
  expect(saved).toMatchObject({ column: 'embedding_old', vectors: 'old', file: 'present' });
  await age(path, 400);
  const pruned = await pruneBackups(context(), { confirmed: true, lastToo: false });
  expect(pruned.kept.map((backup) => backup.path)).toEqual([path]);
  expect(existsSync(path)).toBe(true);
  const bytes = readFileSync(path);
  bytes[bytes.byteLength >> 1] = (bytes[bytes.byteLength >> 1] ?? 0) ^ 1;
  writeFileSync(path, bytes);
  expect((await listBackups(context())).at(0)?.file).toBe('present');
  expect((await listBackups(context(), { check: true })).at(0)).toMatchObject({
    file: 'damaged',
    problem: expect.stringContaining('sha256'),
  });
  const all = await pruneBackups(context(), { confirmed: true, lastToo: true });
  expect(all.deleted.map((backup) => backup.path)).toEqual([path]);
});

test('REEMBED_BACKUP=none says what goes without one, at the moment it goes', async () => {
  const next = chain.context({ id: 'next', dimensions: 8, model: 'hash/8' }, { ...runtime, backup: 'none' });
  for (const step of [expand, fill, undoFill, fill, cutOver]) await step(next);
  await finalize(next, { now: true });
  const said = next.events.flatMap((event) => (event.kind === 'warning' ? [event.message] : []));
  expect(said.filter((message) => message.includes('go without a backup'))).toEqual([
    expect.stringContaining('public.segments.embedding_8'),
    expect.stringContaining('public.segments.embedding_old'),
  ]);
  expect(await listBackups(next)).toEqual([]);
});
