import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import type { RuntimeSettings } from '../../src/config/types.ts';
import { readStatus } from '../../src/inspect/status.ts';
import { createProvider } from '../../src/providers/create-provider.ts';
import { cutOver } from '../../src/steps/cut-over.ts';
import { expand } from '../../src/steps/expand.ts';
import { fill } from '../../src/steps/fill.ts';
import { undoCutOver } from '../../src/steps/undo-cut-over.ts';
import { type Chain, openChain } from '../helpers/chain.ts';
import { wrongVectors } from '../helpers/oracle.ts';

const ROWS = 40;
const DIMENSIONS = 24;

let chain: Chain;
let directory: string;
let path: string;

beforeAll(async () => {
  directory = await mkdtemp(join(tmpdir(), 'reembed-quarantine-'));
  path = join(directory, 'vectors.jsonl');
  chain = await openChain();
});
afterAll(async () => {
  await chain.close();
  await rm(directory, { recursive: true, force: true });
});

/** A file of vectors for the texts of `makeTable`, changed by `change`: null leaves the text out. */
async function writeVectors(change: (i: number, vector: number[]) => number[] | null): Promise<void> {
  const lines: string[] = [];
  for (let i = 1; i <= ROWS; i++) {
    const vector = change(
      i,
      Array.from({ length: DIMENSIONS }, (_, n) => Math.cos(i * (n + 1))),
    );
    if (vector !== null) lines.push(JSON.stringify({ text: `text ${i}`, vector }));
  }
  lines.push(JSON.stringify({ text: 'corrected', vector: Array.from({ length: DIMENSIONS }, (_, n) => n + 1) }));
  await writeFile(path, lines.join('\n'));
}

async function makeTable(table: string): Promise<void> {
  await chain.db.query(
    `CREATE TABLE ${table} (id int PRIMARY KEY, text text, embedding vector(8));
     INSERT INTO ${table} SELECT i, 'text ' || i, '[1,2,3,4,5,6,7,8]' FROM generate_series(1, ${ROWS}) i;
     CREATE INDEX ON ${table} USING hnsw (embedding vector_cosine_ops)`,
  );
}

const contextFor = (table: string, runtime: Partial<RuntimeSettings> = {}) =>
  chain.context(
    { id: table, table, provider: 'file', model: path, dimensions: DIMENSIONS, index: { kind: 'hnsw' } },
    { backupDir: directory, batchRows: 15, ...runtime },
  );

async function check(table: string): Promise<string[]> {
  const provider = await createProvider({ provider: 'file', model: path, dimensions: DIMENSIONS });
  try {
    return await wrongVectors(chain.db, { table, key: 'id', text: 'text' }, `embedding`, { provider });
  } finally {
    await provider.close();
  }
}

describe('a text without a vector and one whose vector is zero', () => {
  beforeAll(async () => {
    await makeTable('bad');
    await writeVectors((i, vector) => (i === 7 ? vector.fill(0) : i === 20 ? null : vector));
    await expand(contextFor('bad'));
  });

  it('are set aside with their reasons; all others are embedded, and the run does not report success', async () => {
    const error = await fill(contextFor('bad')).catch((thrown: unknown) => thrown);
    expect(error).toMatchObject({
      name: 'IntegrityError',
      code: 'contamination',
      hint: 'Correct these rows and run the same command again, or set REEMBED_MAX_QUARANTINED.',
      context: { quarantined: 2, allowed: 0 },
    });
    const { message } = error as Error;
    expect(message).toMatch(/^Vector store contamination detected: 2 rows are in quarantine, 0 are allowed: /);
    expect(message).toContain('7 (all values are zero)');
    expect(message).toContain(`20 (${path} has no vector for the text "text 20".)`);
    expect(await readStatus(contextFor('bad'))).toMatchObject({
      phase: 'backfilling',
      rows: { total: ROWS, done: ROWS - 2, pending: 0, quarantined: 2 },
    });
  });

  it('stop 007 as well, before anything is exchanged', async () => {
    await expect(cutOver(contextFor('bad'))).rejects.toMatchObject({ code: 'contamination' });
    expect(await readStatus(contextFor('bad'))).toMatchObject({ active: 'old', rows: { quarantined: 2 } });
  });

  it('pass 006 and 007 where REEMBED_MAX_QUARANTINED allows them, and stay without a vector', async () => {
    const tolerant = contextFor('bad', { maxQuarantined: 2 });
    expect(await fill(tolerant)).toMatchObject({ rows: { done: ROWS - 2, quarantined: 2, pending: 0 } });
    await cutOver(tolerant);
    const { rows } = await chain.db.query('SELECT id FROM bad WHERE embedding IS NULL ORDER BY id');
    expect(rows).toEqual([{ id: 7 }, { id: 20 }]);
    await undoCutOver(tolerant);
  });

  it('get another try once the text is edited, alone in their window too', async () => {
    await chain.db.query(`UPDATE bad SET text = 'corrected' WHERE id = 7`);
    // Where the two are allowed nobody clears the quarantine: the edit itself lets the row out.
    const tolerant = contextFor('bad', { maxQuarantined: 2 });
    expect(await fill(tolerant)).toMatchObject({ run: { written: 1 }, rows: { done: ROWS - 1, quarantined: 1 } });
    expect(await fill(tolerant)).toMatchObject({ changed: false });
    await expect(fill(contextFor('bad'))).rejects.toMatchObject({ context: { quarantined: 1 } });
    await chain.db.query(`UPDATE bad SET text = 'still no vector' WHERE id = 20`);
    await expect(fill(contextFor('bad'))).rejects.toMatchObject({
      code: 'contamination',
      message: expect.stringContaining('has no vector for the text "still no vector"'),
    });
    await chain.db.query(`UPDATE bad SET text = 'corrected' WHERE id = 20`);
    expect(await fill(contextFor('bad'))).toMatchObject({ rows: { done: ROWS, quarantined: 0 } });
    await cutOver(contextFor('bad'));
    expect(await check('bad')).toEqual([]);
  });
});

describe('a file of vectors that is corrected after a run', () => {
  it('is read again: nothing stays in quarantine for what the old file lacked', async () => {
    await makeTable('late');
    await writeVectors((i, vector) => (i > 35 ? null : vector));
    await expand(contextFor('late'));
    await expect(fill(contextFor('late'))).rejects.toMatchObject({ context: { quarantined: 5 } });
    await writeVectors((_, vector) => vector);
    expect(await fill(contextFor('late'))).toMatchObject({ rows: { done: ROWS, quarantined: 0 } });
    await cutOver(contextFor('late'));
    expect(await check('late')).toEqual([]);
  });
});

describe('a model that cannot be right', () => {
  it('is refused when it gives one vector for different texts; nothing of it is written', async () => {
    await makeTable('collapsed');
    await writeVectors(() => Array.from({ length: DIMENSIONS }, () => 0.5));
    await expand(contextFor('collapsed'));
    await expect(fill(contextFor('collapsed'))).rejects.toMatchObject({
      name: 'IntegrityError',
      code: 'contamination',
      message: `Vector store contamination detected: ${path} gave one and the same vector for 15 of 15 different texts. Nothing of this batch was written.`,
      hint: 'Check the model with "reembed model verify" and the provider\'s settings, then run the same command again.',
    });
    expect(await readStatus(contextFor('collapsed'))).toMatchObject({ rows: { done: 0, pending: ROWS } });
  });

  it('is refused when it knows not one of the texts, instead of filling the quarantine', async () => {
    await makeTable('unknown');
    await chain.db.query(`UPDATE unknown SET text = 'other ' || id`);
    await expand(contextFor('unknown'));
    await expect(fill(contextFor('unknown'))).rejects.toMatchObject({
      name: 'ProviderError',
      code: 'vector_missing',
      message: `${path} has no vector for the text "other 1".`,
      hint: 'Compute the missing vectors and add them to the file, or use a provider that embeds texts.',
    });
    expect(await readStatus(contextFor('unknown'))).toMatchObject({ rows: { done: 0, pending: ROWS, quarantined: 0 } });
  });

  it('is refused when its file holds another dimension or what is no number', async () => {
    await makeTable('broken');
    await expand(contextFor('broken'));
    await writeVectors((i, vector) => (i === 9 ? vector.slice(1) : vector));
    await expect(fill(contextFor('broken'))).rejects.toMatchObject({
      code: 'vectors_invalid',
      message: `The vector in line 9 of ${path} has 23 dimensions, 24 were expected.`,
    });
    await writeVectors((i, vector) => (i === 3 ? [...vector.slice(0, 23), Number.NaN] : vector));
    await expect(fill(contextFor('broken'))).rejects.toMatchObject({
      code: 'vectors_invalid',
      message: `Value 24 of the vector in line 3 of ${path} is NaN, not a finite number.`,
    });
    expect(await readStatus(contextFor('broken'))).toMatchObject({ rows: { done: 0, pending: ROWS } });
  });
});
