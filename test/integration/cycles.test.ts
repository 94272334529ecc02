import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import type { MigrationInput } from '../../src/config/define-migration.ts';
import { readStatus } from '../../src/inspect/status.ts';
import { verify } from '../../src/inspect/verify.ts';
import { createProvider } from '../../src/providers/create-provider.ts';
import { hashProvider } from '../../src/providers/hash.ts';
import type { MigrationContext } from '../../src/state/context.ts';
import { cutOver } from '../../src/steps/cut-over.ts';
import { expand } from '../../src/steps/expand.ts';
import { fill } from '../../src/steps/fill.ts';
import { finalize } from '../../src/steps/finalize.ts';
import { undoCutOver } from '../../src/steps/undo-cut-over.ts';
import { undoExpand } from '../../src/steps/undo-expand.ts';
import { undoFill } from '../../src/steps/undo-fill.ts';
import { type Chain, makeSegments, openChain } from '../helpers/chain.ts';
import { catalogOf, checksumOf, SEGMENTS, wrongVectors } from '../helpers/oracle.ts';

const ROWS = 300;

let chain: Chain;
let directory: string;

beforeAll(async () => {
  directory = await mkdtemp(join(tmpdir(), 'reembed-cycles-'));
  chain = await openChain();
});
afterAll(async () => {
  await chain.close();
  await rm(directory, { recursive: true, force: true });
});

function to(dimensions: number, input: Partial<MigrationInput> = {}): MigrationContext {
  return chain.context(
    { id: `to-${dimensions}`, model: `hash/${dimensions}`, dimensions, ...input },
    { backupDir: directory },
  );
}

async function up(ctx: MigrationContext): Promise<void> {
  await expand(ctx);
  await fill(ctx);
  await cutOver(ctx);
}

const names = async (kind: string): Promise<string[]> =>
  ((await catalogOf(chain.db, 'segments')) as { kind: string; name: string }[])
    .filter((row) => row.kind === kind)
    .map((row) => row.name);

describe('one migration after the other on one column', () => {
  beforeAll(() => makeSegments(chain.db, { rows: ROWS, dimensions: 1536 }));

  it('1536 → 384 → 768 → 1536, finalized between: every time the vectors are right and nothing piles up', async () => {
    const voice = await checksumOf(chain.db, SEGMENTS, 'voice');
    for (const dimensions of [384, 768, 1536]) {
      const ctx = to(dimensions, { index: { kind: dimensions === 768 ? 'hnsw' : 'ivfflat' } });
      await up(ctx);
      const provider = hashProvider(`hash/${dimensions}`);
      expect(await wrongVectors(chain.db, SEGMENTS, 'embedding', { provider })).toEqual([]);
      expect((await verify(ctx, { provider: async () => provider })).checks.filter((check) => !check.ok)).toEqual([]);
      // There and back once more, now that the old column has provenance of its own.
      const swapped = await checksumOf(chain.db, SEGMENTS, 'embedding, embedding_model, embedding_hash, embedding_old');
      await undoCutOver(ctx);
      await cutOver(ctx);
      expect(await checksumOf(chain.db, SEGMENTS, 'embedding, embedding_model, embedding_hash, embedding_old')).toBe(
        swapped,
      );
      expect(await finalize(ctx, { now: true })).toMatchObject({ changed: true, backup: { rows: ROWS } });
      expect(await names('column')).toEqual([
        'embedding',
        'embedding_at',
        'embedding_hash',
        'embedding_model',
        'id',
        'text',
        'voice',
      ]);
      expect(await names('index')).toEqual(['idx_segments_text_embedding_ivfflat', 'segments_pkey']);
      expect(await names('trigger')).toEqual([]);
      expect(await readStatus(ctx)).toMatchObject({
        phase: 'finalized',
        active: 'new',
        rows: { done: ROWS, pending: 0 },
      });
    }
    expect(await checksumOf(chain.db, SEGMENTS, 'voice')).toBe(voice);
  });

  it('says of each model where it came from', async () => {
    expect((await readStatus(to(1536))).model).toEqual({ from: 'hash/768', to: 'hash/1536' });
  });

  it('without finalize between, the next one is refused and names the column that is in the way', async () => {
    const first = to(64, { id: 'to-64' });
    await up(first);
    const before = [
      await catalogOf(chain.db, 'segments'),
      await checksumOf(chain.db, SEGMENTS, 'embedding, embedding_old'),
    ];
    await expect(expand(to(32))).rejects.toMatchObject({
      name: 'PreflightError',
      code: 'old_column_kept',
      message: 'Column "segments.embedding_old" is still kept from the migration "to-64".',
      hint: 'Run "reembed finalize --migration to-64" first; it drops that column.',
    });
    expect([
      await catalogOf(chain.db, 'segments'),
      await checksumOf(chain.db, SEGMENTS, 'embedding, embedding_old'),
    ]).toEqual(before);
    await finalize(first, { now: true });
    await up(to(32));
    await finalize(to(32), { now: true });
  });

  it('an undone migration leaves the one before it as it was, provenance and all', async () => {
    const before = [
      await catalogOf(chain.db, 'segments'),
      await checksumOf(chain.db, SEGMENTS, 'embedding, embedding_model, embedding_hash, embedding_at'),
    ];
    const ctx = to(384, { id: 'once-more' });
    await up(ctx);
    await undoCutOver(ctx);
    await undoFill(ctx);
    await undoExpand(ctx);
    expect([
      await catalogOf(chain.db, 'segments'),
      await checksumOf(chain.db, SEGMENTS, 'embedding, embedding_model, embedding_hash, embedding_at'),
    ]).toEqual(before);
    expect(await readStatus(to(32))).toMatchObject({ phase: 'finalized', active: 'new', rows: { done: ROWS } });
  });
});

describe('two models of equal dimensions', () => {
  it('384 → 384: no vector of the one model is ever taken for one of the other', async () => {
    await chain.db.query(
      `CREATE TABLE equal (id int PRIMARY KEY, text text, embedding vector(8));
       INSERT INTO equal SELECT i, 'text number ' || i, '[1,2,3,4,5,6,7,8]' FROM generate_series(1, 90) i`,
    );
    const equal = { table: 'equal', key: 'id', text: 'text' };
    const first = to(384, { id: 'equal-one', table: 'equal' });
    await up(first);
    await finalize(first, { now: true });

    const path = join(directory, 'vectors.jsonl');
    const lines = Array.from({ length: 90 }, (_, i) => {
      const vector = Array.from({ length: 384 }, (_, n) => Math.sin((i + 1) * (n + 1)));
      return JSON.stringify({ text: `text number ${i + 1}`, vector });
    });
    await writeFile(path, lines.join('\n'));
    const second = to(384, { id: 'equal-two', table: 'equal', provider: 'file', model: path, target: 'embedding_new' });
    const provider = await createProvider({ provider: 'file', model: path, dimensions: 384 });
    try {
      await expand(second);
      // A text that the new model has no vector for: its row is set aside, not filled by the other model.
      await chain.db.query(`UPDATE equal SET text = 'text number 7 ' WHERE id = 7`);
      await expect(fill(second)).rejects.toMatchObject({ code: 'contamination' });
      await chain.db.query(`UPDATE equal SET text = 'text number 7' WHERE id = 7`);
      await fill(second);
      await cutOver(second);
      expect(await wrongVectors(chain.db, equal, 'embedding', { provider })).toEqual([]);
      expect(await wrongVectors(chain.db, equal, 'embedding_old')).toEqual([]);
      await undoCutOver(second);
      expect(await wrongVectors(chain.db, equal, 'embedding')).toEqual([]);
      expect(await wrongVectors(chain.db, equal, 'embedding_new', { provider })).toEqual([]);
    } finally {
      await provider.close();
    }
  });
});

describe('an id that is used again for another model after its swap', () => {
  it('is refused: nothing is taken for migrated, and no two models share the column', async () => {
    const equal = { table: 'reused', key: 'id', text: 'text' };
    await chain.db.query(
      `CREATE TABLE reused (id int PRIMARY KEY, text text, embedding vector(8));
       INSERT INTO reused SELECT i, 'text number ' || i, '[1,2,3,4,5,6,7,8]' FROM generate_series(1, 20) i`,
    );
    const first = to(384, { id: 'reused', table: 'reused' });
    await up(first);
    await finalize(first, { now: true });
    const path = join(directory, 'reused.jsonl');
    const vector = Array.from({ length: 384 }, (_, n) => Math.cos(n));
    const write = (texts: readonly string[]) =>
      writeFile(
        path,
        texts.map((text, i) => JSON.stringify({ text, vector: vector.map((value) => value + i) })).join('\n'),
      );
    await write(['a new text']);
    await chain.db.query(`INSERT INTO reused (id, text) VALUES (21, 'a new text')`);
    const again = to(384, { id: 'reused', table: 'reused', provider: 'file', model: path });
    const refused = {
      name: 'PreflightError',
      code: 'served_model_changed',
      message: `"reused" is finalized: public.reused.embedding serves vectors of hash/384, the configuration now makes those of ${path}.`,
      hint: 'Give the migration to the new model an id of its own, or configure the model of the swap again.',
    };
    await expect(fill(again)).rejects.toMatchObject(refused);
    await expect(cutOver(again)).rejects.toMatchObject(refused);
    await fill(first);
    expect(await wrongVectors(chain.db, equal, 'embedding')).toEqual([]);
  });

  it('so is a file of vectors that is another one than at the swap, under its old name', async () => {
    await chain.db.query(
      `CREATE TABLE refiled (id int PRIMARY KEY, text text, embedding vector(8)); INSERT INTO refiled VALUES (1, 'one', '[1,2,3,4,5,6,7,8]')`,
    );
    const path = join(directory, 'refiled.jsonl');
    const write = (texts: readonly string[]) =>
      writeFile(path, texts.map((text, i) => JSON.stringify({ text, vector: [1, 2, 3, i + 1] })).join('\n'));
    await write(['one']);
    const ctx = to(4, { id: 'refiled', table: 'refiled', provider: 'file', model: path });
    await up(ctx);
    await chain.db.query(`INSERT INTO refiled (id, text) VALUES (2, 'two')`);
    await write(['two', 'one']);
    await expect(fill(ctx)).rejects.toMatchObject({
      code: 'served_model_changed',
      message: `"refiled" is swapped: public.refiled.embedding serves vectors of ${path}, the configuration now makes those of another version of it.`,
    });
    const { rows } = await chain.db.query('SELECT id, embedding::text AS embedding FROM refiled ORDER BY id');
    expect(rows).toEqual([
      { id: 1, embedding: '[1,2,3,1]' },
      { id: 2, embedding: null },
    ]);
  });
});
