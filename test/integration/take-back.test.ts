import { mkdtemp, open, readdir, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, beforeEach, describe, expect, it } from 'vitest';
import type { MigrationInput } from '../../src/config/define-migration.ts';
import type { RuntimeSettings } from '../../src/config/types.ts';
import { readStatus } from '../../src/inspect/status.ts';
import { createProvider } from '../../src/providers/create-provider.ts';
import type { EmbeddingProvider } from '../../src/providers/types.ts';
import { registerModel } from '../../src/state/models.ts';
import { cutOver } from '../../src/steps/cut-over.ts';
import { expand } from '../../src/steps/expand.ts';
import { fill } from '../../src/steps/fill.ts';
import { undoExpand } from '../../src/steps/undo-expand.ts';
import { undoFill } from '../../src/steps/undo-fill.ts';
import { type Chain, insertSegments, makeSegments, openChain } from '../helpers/chain.ts';
import { catalogOf, checksumOf, SEGMENTS, wrongVectors } from '../helpers/oracle.ts';

let chain: Chain;
let directory: string;

beforeAll(async () => {
  directory = await mkdtemp(join(tmpdir(), 'reembed-take-back-'));
  chain = await openChain();
});
afterAll(async () => {
  await chain.close();
  await rm(directory, { recursive: true, force: true });
});
beforeEach(() => chain.db.query('DROP SCHEMA IF EXISTS reembed CASCADE; DROP TABLE IF EXISTS segments'));

type Context = ReturnType<Chain['context']>;

const contextFor = (input: Partial<MigrationInput> = {}, runtime: Partial<RuntimeSettings> = {}): Context =>
  chain.context(input, { backupDir: directory, batchRows: 100, ...runtime });

const messages = (ctx: Context): string[] => ctx.events.flatMap((event) => ('message' in event ? [event.message] : []));

describe('006 undone and done again', () => {
  const ROWS = 1_200;

  beforeEach(async () => {
    await makeSegments(chain.db, { rows: ROWS, dimensions: 8 });
    await expand(contextFor());
    await fill(contextFor());
  });

  it('takes back from the backup what still fits, and embeds anew only what was edited or is new', async () => {
    expect(await undoFill(contextFor())).toMatchObject({ cleared: ROWS });
    await chain.db.query(
      `UPDATE segments SET text = text || ' edited' WHERE id <= 10;
       UPDATE segments SET text = NULL WHERE id = 11; DELETE FROM segments WHERE id BETWEEN 21 AND 25`,
    );
    await insertSegments(chain.db, 7, 8);
    const ctx = contextFor();
    const result = await fill(ctx);
    expect(messages(ctx)).toContainEqual(
      expect.stringMatching(new RegExp(`^${ROWS - 16} vectors came back from ${directory}`)),
    );
    expect(result.run).toMatchObject({ written: 17 });
    expect(result.rows).toMatchObject({ total: ROWS + 2, done: ROWS + 1, skipped: 1, pending: 0 });
    expect(await wrongVectors(chain.db, SEGMENTS, 'embedding_384')).toEqual([]);
    await cutOver(contextFor());
    expect(await wrongVectors(chain.db, SEGMENTS, 'embedding')).toEqual([]);
  });

  it('takes nothing back for another model, and nothing from a damaged backup, which it names', async () => {
    await undoFill(contextFor());
    const backup = (await readStatus(contextFor())).backups.at(-1);
    const file = await open(backup?.path ?? '', 'r+');
    await file.write(Buffer.from('damage'), 0, 6, 2_000);
    await file.close();
    const ctx = contextFor();
    expect((await fill(ctx)).run).toMatchObject({ written: ROWS });
    expect(messages(ctx)).toContainEqual(expect.stringMatching(/^The backup .* could not be used: /));
    expect(await wrongVectors(chain.db, SEGMENTS, 'embedding_384')).toEqual([]);

    await undoFill(contextFor());
    const other = contextFor(await otherModel());
    expect((await fill(other)).run).toMatchObject({ written: ROWS });
    expect(await wrongByOther('embedding_384')).toEqual([]);
  });

  it('takes back of two models only what the present one made', async () => {
    // As an older reembed left it, which went on when the model changed: vectors of both under one column.
    const other = await registerModel(chain.db, 'reembed', { provider: 'file', name: 'other.f32', dimensions: 384 });
    await chain.db.query('UPDATE segments SET embedding_384_model = $1, embedding_384_at = now() WHERE id > 1000', [
      other,
    ]);
    await undoFill(contextFor());
    const again = contextFor();
    expect((await fill(again)).run).toMatchObject({ written: ROWS - 1_000 });
    expect(messages(again)).toContainEqual(expect.stringMatching(/^1000 vectors came back/));
    expect(await wrongVectors(chain.db, SEGMENTS, 'embedding_384')).toEqual([]);
  });

  it('writes no backup where REEMBED_BACKUP=none says so, and embeds all of it again', async () => {
    const before = await readdir(directory);
    await undoFill(contextFor({}, { backup: 'none' }));
    expect(await readdir(directory)).toEqual(before);
    expect((await fill(contextFor({}, { backup: 'none' }))).run).toMatchObject({ written: ROWS });
  });
});

/** Another model of 384 dimensions: vectors in a file, for the texts that are in the table now. */
async function otherModel(): Promise<Partial<MigrationInput>> {
  const { rows } = await chain.db.query<{ text: string }>(
    'SELECT text FROM segments WHERE text IS NOT NULL ORDER BY id',
  );
  const vectors = new Float32Array(rows.length * 384);
  for (let i = 0; i < vectors.length; i++) vectors[i] = Math.sin(i * 12.9898 + (i % 7));
  await writeFile(join(directory, 'other.f32'), vectors);
  await writeFile(join(directory, 'other.jsonl'), rows.map(({ text }) => JSON.stringify({ text })).join('\n'));
  return { provider: 'file', model: join(directory, 'other.f32') };
}

async function wrongByOther(column: string): Promise<string[]> {
  const provider: EmbeddingProvider = await createProvider({
    provider: 'file',
    model: join(directory, 'other.f32'),
    dimensions: 384,
  });
  try {
    return await wrongVectors(chain.db, SEGMENTS, column, { provider });
  } finally {
    await provider.close();
  }
}

describe('a table that is half done', () => {
  const ROWS = 800;

  beforeEach(() => makeSegments(chain.db, { rows: ROWS, dimensions: 8 }));

  /** Stops a backfill after some batches, as Ctrl-C does. */
  async function fillSome(): Promise<number> {
    const stop = new AbortController();
    const ctx = contextFor({}, { batchRows: 20 });
    const stopped: Context = {
      ...ctx,
      signal: stop.signal,
      onProgress: (event) => {
        if (event.kind === 'rows' && event.done >= 300) stop.abort();
      },
    };
    await expect(fill(stopped)).rejects.toMatchObject({ name: 'InterruptedError' });
    const { done } = (await readStatus(ctx)).rows;
    expect(done).toBeGreaterThanOrEqual(300);
    expect(done).toBeLessThan(ROWS);
    return done;
  }

  it('goes on where it stopped', async () => {
    await expand(contextFor());
    const done = await fillSome();
    expect((await fill(contextFor())).run).toMatchObject({ written: ROWS - done });
    expect(await wrongVectors(chain.db, SEGMENTS, 'embedding_384')).toEqual([]);
  });

  it('is never taken for done by another model of the same dimensions: refused with both named, and done all over once it is cleared', async () => {
    await expand(contextFor());
    const done = await fillSome();
    const model = await otherModel();
    for (const step of [fill, cutOver]) {
      await expect(step(contextFor(model))).rejects.toMatchObject({
        name: 'ModelError',
        code: 'model_differs',
        message: `public.segments.embedding_384 holds vectors of hash hash/384 (384 dimensions, revision 1, fp32), the configuration now makes those of file ${model.model} (384 dimensions): provider is file, was hash; name is ${model.model}, was hash/384.`,
        hint: expect.stringContaining('"reembed down --to 005"'),
      });
    }
    expect((await readStatus(contextFor())).rows).toMatchObject({ done, pending: ROWS - done });
    await undoFill(contextFor(model));
    await fill(contextFor(model));
    expect(await wrongByOther('embedding_384')).toEqual([]);
    await cutOver(contextFor(model));
    expect(await wrongByOther('embedding')).toEqual([]);
  });

  it('is refused to another version of its model, under the same name', async () => {
    await expand(contextFor());
    await fillSome();
    await chain.db.query(
      `UPDATE reembed.models SET fingerprint = fingerprint || '{"revision": "0", "dtype": "fp16"}', fingerprint_hash = 'other'`,
    );
    await expect(fill(contextFor())).rejects.toMatchObject({
      code: 'model_differs',
      message:
        'public.segments.embedding_384 holds vectors of hash hash/384 (384 dimensions, revision 0, fp16), the configuration now makes those of hash hash/384 (384 dimensions, revision 1, fp32): dtype is fp32, was fp16; revision is 1, was 0.',
    });
  });

  it('is done over, and said so, when the file of its vectors was added to', async () => {
    await expand(contextFor(await otherModel()));
    await fill(contextFor(await otherModel()));
    await insertSegments(chain.db, 3, 8);
    const ctx = contextFor(await otherModel());
    await fill(ctx);
    expect(messages(ctx)).toContainEqual(
      expect.stringMatching(/other\.f32 changed since the last run: its rows are embedded again\.$/),
    );
    expect(await wrongByOther('embedding_384')).toEqual([]);
  });

  it('may change its model as long as no vector is there', async () => {
    await expand(contextFor());
    await fillSome();
    await chain.db.query(`UPDATE segments SET text = 'new ' || text`);
    await fill(contextFor(await otherModel()));
    expect(await wrongByOther('embedding_384')).toEqual([]);
  });

  it('starts again cleanly after someone dropped the schema reembed', async () => {
    await expand(contextFor());
    await fillSome();
    await chain.db.query('DROP SCHEMA reembed CASCADE');
    expect(await readStatus(contextFor())).toMatchObject({
      phase: 'backfilling',
      warnings: ['Column "segments.embedding_384" is there, but its state is gone: 005 drops it and starts again.'],
    });
    await expect(fill(contextFor())).rejects.toMatchObject({
      name: 'PreflightError',
      code: 'not_expanded',
      message: 'The migration "segments-hash" has not been started in this database.',
      hint: 'Run "npx knex migrate:up" (or "reembed up --to 005") first.',
    });
    expect(await expand(contextFor())).toMatchObject({ changed: true });
    expect((await fill(contextFor())).run).toMatchObject({ written: ROWS });
    await cutOver(contextFor());
    expect(await wrongVectors(chain.db, SEGMENTS, 'embedding')).toEqual([]);

    // After the swap the state is all that knows the way back: it is not guessed at.
    await chain.db.query('DROP SCHEMA reembed CASCADE');
    expect(await readStatus(contextFor())).toMatchObject({ phase: 'swapped', active: 'new', rows: { pending: 0 } });
    await expect(expand(contextFor())).rejects.toMatchObject({
      context: { findings: expect.arrayContaining([expect.objectContaining({ code: 'name_taken' })]) },
    });
    expect(await wrongVectors(chain.db, SEGMENTS, 'embedding')).toEqual([]);
  });

  it.each([
    ['the column', 'ALTER TABLE segments DROP COLUMN embedding_384 CASCADE'],
    [
      'the column and one of its provenance columns',
      'ALTER TABLE segments DROP COLUMN embedding_384 CASCADE, DROP COLUMN embedding_384_hash CASCADE',
    ],
    ['the trigger and a provenance column', 'ALTER TABLE segments DROP COLUMN embedding_384_at CASCADE'],
  ])('starts again after someone dropped %s by hand', async (_, sql) => {
    await expand(contextFor());
    await fillSome();
    await chain.db.query(sql);
    await expand(contextFor());
    await fill(contextFor());
    await cutOver(contextFor());
    expect(await wrongVectors(chain.db, SEGMENTS, 'embedding')).toEqual([]);
  });

  it('starts again on a table that was dropped and made anew under its name', async () => {
    await expand(contextFor());
    await fill(contextFor());
    await chain.db.query('DROP TABLE segments');
    await makeSegments(chain.db, { rows: 50, dimensions: 8 });
    expect(await readStatus(contextFor())).toMatchObject({ phase: 'none', rows: { total: 50, pending: 50 } });
    const ctx = contextFor();
    expect(await expand(ctx)).toMatchObject({ changed: true });
    expect(messages(ctx)).toContainEqual(
      expect.stringMatching(/^The state knows "segments-hash" on a table or column that is gone/),
    );
    expect(await fill(contextFor())).toMatchObject({ rows: { total: 50, done: 50 } });
    await cutOver(contextFor());
    expect(await wrongVectors(chain.db, SEGMENTS, 'embedding')).toEqual([]);
  });

  it('is put back by 005 down whatever is left of it', async () => {
    const before = [
      await catalogOf(chain.db, 'segments'),
      await checksumOf(chain.db, SEGMENTS, 'text, embedding, voice'),
    ];
    await expand(contextFor());
    await fillSome();
    await undoExpand(contextFor());
    expect([
      await catalogOf(chain.db, 'segments'),
      await checksumOf(chain.db, SEGMENTS, 'text, embedding, voice'),
    ]).toEqual(before);
  });
});
