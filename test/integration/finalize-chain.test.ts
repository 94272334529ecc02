import { existsSync } from 'node:fs';
import { mkdtemp, readdir, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, beforeEach, describe, expect, it } from 'vitest';
import type { MigrationInput } from '../../src/config/define-migration.ts';
import type { RuntimeSettings } from '../../src/config/types.ts';
import { readStatus } from '../../src/inspect/status.ts';
import { hashProvider } from '../../src/providers/hash.ts';
import { cutOver } from '../../src/steps/cut-over.ts';
import { expand } from '../../src/steps/expand.ts';
import { fill } from '../../src/steps/fill.ts';
import { finalize, undoFinalize } from '../../src/steps/finalize.ts';
import { restore } from '../../src/steps/restore.ts';
import { undoCutOver } from '../../src/steps/undo-cut-over.ts';
import { undoExpand } from '../../src/steps/undo-expand.ts';
import { undoFill } from '../../src/steps/undo-fill.ts';
import { type Chain, makeSegments, openChain } from '../helpers/chain.ts';
import { catalogOf, checksumOf, SEGMENTS, wrongVectors } from '../helpers/oracle.ts';

const ROWS = 250;
const OLD = 16;

let chain: Chain;
let directory: string;
/** Of id, text, embedding and voice as they were before anything ran. */
let original: string;
let catalog: unknown[];

beforeAll(async () => {
  directory = await mkdtemp(join(tmpdir(), 'reembed-finalize-'));
  chain = await openChain();
});
afterAll(async () => {
  await chain.close();
  await rm(directory, { recursive: true, force: true });
});
beforeEach(async () => {
  await chain.db.query('DROP SCHEMA IF EXISTS reembed CASCADE; DROP TABLE IF EXISTS segments');
  await makeSegments(chain.db, { rows: ROWS, dimensions: OLD });
  original = await checksumOf(chain.db, SEGMENTS, 'text, embedding, voice');
  catalog = await catalogOf(chain.db, 'segments');
});

const contextFor = (input: Partial<MigrationInput> = {}, runtime: Partial<RuntimeSettings> = {}) =>
  chain.context(input, { backupDir: directory, ...runtime });

async function up(input: Partial<MigrationInput> = {}, runtime: Partial<RuntimeSettings> = {}): Promise<void> {
  for (const step of [expand, fill, cutOver]) await step(contextFor(input, runtime));
}

async function state(): Promise<unknown> {
  return [await catalogOf(chain.db, 'segments'), await checksumOf(chain.db, SEGMENTS, 'text, embedding, voice')];
}

describe('finalize', () => {
  it('is refused before the swap', async () => {
    await expand(contextFor());
    const before = await state();
    await expect(finalize(contextFor(), { now: true })).rejects.toMatchObject({
      name: 'PreflightError',
      code: 'not_swapped',
      message: 'The migration "segments-hash" is expanded: its old column is in use, nothing can be dropped.',
      hint: 'Run "npx knex migrate:latest" (or "reembed swap") first.',
    });
    expect(await state()).toEqual(before);
  });

  it('is refused before retentionDays are over, and says until when', async () => {
    await up();
    const before = await state();
    await expect(finalize(contextFor(), { now: false })).rejects.toMatchObject({
      name: 'PreflightError',
      code: 'retention',
      message: expect.stringMatching(
        /^The old column "embedding_old" is kept for 7 days, until \d{4}-\d\d-\d\d \d\d:\d\d UTC, so that the swap can be undone\.$/,
      ),
      hint: 'Run the same command then, or "reembed finalize --now".',
    });
    expect(await state()).toEqual(before);
    expect(await finalize(contextFor({ retentionDays: 0 }), { now: false })).toMatchObject({ changed: true });
  });

  it('drops the old column after a backup, from which it comes back byte for byte, undoable again', async () => {
    await up();
    const served = await checksumOf(chain.db, SEGMENTS, 'embedding');
    const { backup } = await finalize(contextFor(), { now: true });
    expect(backup).toMatchObject({ rows: ROWS, column: 'embedding_old' });
    expect(existsSync(backup?.path ?? '')).toBe(true);
    expect(await wrongVectors(chain.db, SEGMENTS, 'embedding')).toEqual([]);
    expect(await finalize(contextFor(), { now: true })).toMatchObject({ changed: false });
    const command = `Run "reembed restore ${backup?.path}"`;
    await expect(undoFinalize(contextFor())).rejects.toMatchObject({
      name: 'PreflightError',
      code: 'finalized',
      message: 'The old column of public.segments was dropped; there is no way back but its backup.',
      hint: `${command}.`,
    });
    await expect(undoCutOver(contextFor())).rejects.toMatchObject({
      name: 'IntegrityError',
      code: 'old_column_dropped',
      message: `The old column of public.segments is gone; its backup is ${backup?.path} (${ROWS} rows).`,
      hint: `${command} to bring the old vectors back into a column of their own.`,
    });
    await expect(undoFill(contextFor())).rejects.toMatchObject({ code: 'already_swapped' });
    await expect(undoExpand(contextFor())).rejects.toMatchObject({ code: 'already_swapped' });
    expect(await checksumOf(chain.db, SEGMENTS, 'embedding')).toBe(served);

    expect(await restore(contextFor(), { path: backup?.path ?? '' })).toMatchObject({
      column: 'embedding_old',
      restored: ROWS,
    });
    const indexes = `SELECT indexdef FROM pg_indexes WHERE tablename = 'segments' AND indexdef ~ 'embedding' ORDER BY 1`;
    await undoCutOver(contextFor());
    expect(await checksumOf(chain.db, SEGMENTS, 'text, embedding, voice')).toBe(original);
    // The index went with the column, and searches need it from the exchange on.
    expect((await chain.db.query<{ indexdef: string }>(indexes)).rows.map((row) => row.indexdef)).toEqual([
      expect.stringMatching(
        /^CREATE INDEX idx_segments_text_embedding_ivfflat ON public.segments USING ivfflat \(embedding vector_cosine_ops\)/,
      ),
    ]);
    await up();
    expect((await chain.db.query(indexes)).rows).toHaveLength(2);
  });

  it('writes no backup where REEMBED_BACKUP=none says so', async () => {
    await up();
    const before = await readdir(directory);
    expect(await finalize(contextFor({}, { backup: 'none' }), { now: true })).toMatchObject({
      changed: true,
      backup: undefined,
    });
    expect(await readdir(directory)).toEqual(before);
    await expect(undoCutOver(contextFor())).rejects.toMatchObject({
      message: 'The old column of public.segments is gone; no backup of it is recorded.',
      hint: 'Bring it back from a backup of the database.',
    });
  });
});

describe("oldColumn 'drop'", () => {
  it('drops in 007, after an automatic backup that 007 down names', async () => {
    await up({ oldColumn: 'drop' });
    expect(await wrongVectors(chain.db, SEGMENTS, 'embedding')).toEqual([]);
    const status = await readStatus(contextFor({ oldColumn: 'drop' }));
    expect(status).toMatchObject({ active: 'new', keptColumn: null, backups: [{ column: 'embedding', rows: ROWS }] });
    const path = status.backups[0]?.path ?? '';
    await expect(undoCutOver(contextFor({ oldColumn: 'drop' }))).rejects.toMatchObject({
      code: 'old_column_dropped',
      hint: `Run "reembed restore ${path}" to bring the old vectors back into a column of their own.`,
    });
    await restore(contextFor({ oldColumn: 'drop' }), { path });
    await undoCutOver(contextFor({ oldColumn: 'drop' }));
    expect(await checksumOf(chain.db, SEGMENTS, 'text, embedding, voice')).toBe(original);
  });
});

describe('going back after rows were written', () => {
  const insert = (n: number) =>
    chain.db.query(
      `INSERT INTO segments (text, embedding) SELECT 'since ' || i, array_fill(0.5::real, ARRAY[384])::vector FROM generate_series(1, ${n}) i`,
    );

  it('refuses with their number, and changes nothing', async () => {
    await up();
    await insert(3);
    await chain.db.query(`UPDATE segments SET text = text || ' edited' WHERE id = 9`);
    await chain.db.query(`INSERT INTO segments (text) VALUES ('   ')`);
    const before = await state();
    await expect(undoCutOver(contextFor())).rejects.toMatchObject({
      name: 'IntegrityError',
      code: 'old_vectors_missing',
      message:
        '4 rows of public.segments have no old vector: written or edited since the swap, or never embedded by the old model.',
      hint: 'Configure the old model ("from", or EMBEDDING_OLD_PROVIDER, EMBEDDING_OLD_MODEL, EMBEDDING_OLD_DIMENSIONS), which fills them (beforehand: "reembed sync"), set REEMBED_ROLLBACK=accept-missing to leave them without a vector, or go back by a migration of its own ("reembed init --reverse").',
      context: { missing: 4 },
    });
    expect(await state()).toEqual(before);
    expect(await readStatus(contextFor())).toMatchObject({ phase: 'swapped', missingOld: 4 });
  });

  it('goes back with REEMBED_ROLLBACK=accept-missing, those rows left without a vector', async () => {
    await up();
    await insert(3);
    await undoCutOver(contextFor({}, { rollback: 'accept-missing' }));
    expect(await checksumOf(chain.db, SEGMENTS, 'text, embedding, voice', `id <= ${ROWS}`)).toBe(original);
    const { rows } = await chain.db.query('SELECT count(*)::int AS n FROM segments WHERE embedding IS NULL');
    expect(rows).toEqual([{ n: 3 }]);
    // The application wrote those vectors itself; which model made them nobody knows, so that they are embedded again.
    await cutOver(contextFor());
    expect(await wrongVectors(chain.db, SEGMENTS, 'embedding')).toEqual([]);
  });

  it('lets the old model, where it is configured, fill them', async () => {
    const from = { model: `hash/${OLD}`, dimensions: OLD };
    await up({ from });
    await insert(3);
    await chain.db.query(`UPDATE segments SET text = text || ' edited' WHERE id = 9`);
    await undoCutOver(contextFor({ from }));
    const where = `id <= ${ROWS} AND id <> 9`;
    expect(await checksumOf(chain.db, SEGMENTS, 'embedding', where)).not.toContain(' 0 rows');
    const filled = { ...SEGMENTS, table: `(SELECT * FROM segments WHERE id > ${ROWS} OR id = 9) s` };
    expect(await wrongVectors(chain.db, filled, 'embedding', { provider: hashProvider(from.model) })).toEqual([]);
    const untouched = await checksumOf(chain.db, SEGMENTS, 'text, embedding, voice', where);
    await cutOver(contextFor({ from }));
    expect(await checksumOf(chain.db, SEGMENTS, 'text, embedding_old, voice', where)).toBe(untouched);
    expect(await wrongVectors(chain.db, SEGMENTS, 'embedding')).toEqual([]);
  });

  it('refuses when the old model does not know the new rows, and keeps nothing of the attempt', async () => {
    const path = join(directory, 'old.jsonl');
    await writeFile(path, JSON.stringify({ text: 'since 1', vector: Array.from({ length: OLD }, (_, n) => n + 1) }));
    const from = { provider: 'file', model: path, dimensions: OLD } as const;
    await up({ from });
    await insert(2);
    await expect(undoCutOver(contextFor({ from }))).rejects.toMatchObject({
      code: 'old_vectors_missing',
      message: `1 row of public.segments has no old vector, and ${path} makes none for it: ${ROWS + 2} (${path} has no vector for the text "since 2".).`,
    });
    expect(await readStatus(contextFor({ from }))).toMatchObject({
      phase: 'swapped',
      missingOld: 1,
      rows: { quarantined: 0, pending: 0 },
    });
    await chain.db.query(`DELETE FROM segments WHERE text = 'since 2'`);
    await undoCutOver(contextFor({ from }));
    const { rows } = await chain.db.query(`SELECT embedding::text AS old FROM segments WHERE text = 'since 1'`);
    expect(rows).toEqual([{ old: '[1,2,3,4,5,6,7,8,9,10,11,12,13,14,15,16]' }]);
    const quarantine = await chain.db.query('SELECT key FROM reembed.quarantine');
    expect(quarantine.rows).toEqual([]);
  });

  it('does not ask for the old model where no row needs it', async () => {
    const from = { model: '/nowhere/no-such-model', dimensions: OLD };
    await up({ from });
    await undoCutOver(contextFor({ from }));
    expect(await checksumOf(chain.db, SEGMENTS, 'text, embedding, voice')).toBe(original);
  });

  it('says so when the configured old model has other dimensions than the old column', async () => {
    const from = { model: 'hash/8', dimensions: 8 };
    await up({ from });
    await insert(1);
    const before = await state();
    await expect(undoCutOver(contextFor({ from }))).rejects.toMatchObject({
      name: 'PreflightError',
      code: 'old_dimensions',
      message: 'public.segments.embedding_old is vector(16), the old model hash/8 makes 8 dimensions.',
      hint: 'Correct "from" in reembed.config.ts (or EMBEDDING_OLD_MODEL and EMBEDDING_OLD_DIMENSIONS).',
    });
    expect(await state()).toEqual(before);
  });

  it('restores the NOT NULL of the old column where it can, and says where it cannot', async () => {
    await chain.db.query('ALTER TABLE segments ALTER COLUMN embedding SET NOT NULL');
    await up();
    await insert(1);
    const ctx = contextFor({}, { rollback: 'accept-missing' });
    await undoCutOver(ctx);
    expect(ctx.events).toContainEqual({
      kind: 'warning',
      message: '"embedding" stays nullable: rows without an old vector would violate its NOT NULL.',
    });
    await chain.db.query(`DELETE FROM segments WHERE id > ${ROWS}`);
    await undoFill(contextFor());
    await undoExpand(contextFor());
    await chain.db.query('ALTER TABLE segments ALTER COLUMN embedding SET NOT NULL');
    expect(await checksumOf(chain.db, SEGMENTS, 'text, embedding, voice')).toBe(original);
    await chain.db.query('ALTER TABLE segments ALTER COLUMN embedding DROP NOT NULL');
    expect(await catalogOf(chain.db, 'segments')).toEqual(catalog);
  });
});
