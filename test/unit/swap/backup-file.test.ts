import { mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import fc from 'fast-check';
import { afterAll, describe, expect, test } from 'vitest';
import { type BackupHeader, type BackupRow, type EncodedRows, encodeRows } from '../../../src/swap/backup-format.ts';
import { readBackupRows, verifyBackup } from '../../../src/swap/read-backup.ts';
import { writeBackupFile } from '../../../src/swap/write-backup.ts';

const directory = mkdtempSync(join(tmpdir(), 'reembed-backup-file-'));
afterAll(() => rmSync(directory, { recursive: true, force: true }));

const header: BackupHeader = {
  format: 'reembed-vectors',
  version: 1,
  migration: 'segments-hash',
  vectors: 'old',
  schema: 'public',
  table: '../se"g/ments',
  column: 'embedding',
  text: 'text',
  key: [
    { name: 'a', type: 'text' },
    { name: 'b', type: 'bigint' },
  ],
  vectorType: 'vector',
  dimensions: 0,
  hasProvenance: true,
  models: {},
  reason: 'test',
  createdAt: '2026-03-01T12:00:00.000Z',
  snapshotLsn: '0/16B3748',
};

const bytes = fc.uint8Array({ maxLength: 200 }).map((value) => Buffer.from(value));
const row: fc.Arbitrary<BackupRow> = fc.record({
  key: fc.tuple(fc.string({ unit: 'binary' }), fc.bigInt().map(String)),
  textHash: fc.option(bytes),
  vector: fc.option(bytes),
  model: fc.option(fc.integer({ min: -(2 ** 31), max: 2 ** 31 - 1 })),
  hash: fc.option(bytes),
  at: fc.option(fc.string()),
});

async function* batches(rows: readonly BackupRow[], size: number): AsyncGenerator<EncodedRows> {
  for (let i = 0; i < rows.length; i += size) yield encodeRows(rows.slice(i, i + size), true);
}

async function readAll(path: string): Promise<BackupRow[]> {
  const rows: BackupRow[] = [];
  for await (const each of readBackupRows(path)) rows.push(each);
  return rows;
}

describe('a backup file', () => {
  test('gives back every row as it was, however rows were gathered', async () => {
    await fc.assert(
      fc.asyncProperty(fc.array(row, { maxLength: 40 }), fc.integer({ min: 1, max: 9 }), async (rows, size) => {
        const { path, manifest } = await writeBackupFile(directory, header, batches(rows, size));
        expect(manifest).toMatchObject({
          rows: rows.length,
          nullVectors: rows.filter((each) => each.vector === null).length,
        });
        expect(await verifyBackup(path)).toEqual(manifest);
        expect(await readAll(path)).toEqual(rows);
      }),
      { numRuns: 40 },
    );
  });

  test('rows larger than any chunk of the stream come back whole', async () => {
    const large: BackupRow = {
      key: ['k', '1'],
      textHash: null,
      vector: Buffer.alloc(1_500_000, 'vector'),
      model: 1,
      hash: null,
      at: null,
    };
    const { path } = await writeBackupFile(directory, header, batches([large, large, large], 2));
    const read = await readAll(path);
    expect(read.map((each) => large.vector !== null && each.vector?.equals(large.vector))).toEqual([true, true, true]);
  });

  test('is refused when cut off anywhere, also where its manifest was made to agree in size', async () => {
    const rows = fc.sample(row, { numRuns: 50, seed: 1 });
    const { path } = await writeBackupFile(directory, header, batches(rows, 50));
    const whole = readFileSync(path);
    await fc.assert(
      fc.asyncProperty(fc.integer({ min: 0, max: whole.byteLength - 1 }), async (length) => {
        writeFileSync(path, whole.subarray(0, length));
        await expect(verifyBackup(path)).rejects.toMatchObject({ code: 'backup_damaged' });
        await expect(readAll(path)).rejects.toMatchObject({ code: 'backup_damaged' });
      }),
      { numRuns: 60 },
    );
  });

  test('is refused when any bit was altered', async () => {
    const rows = fc.sample(row, { numRuns: 20, seed: 2 });
    const { path } = await writeBackupFile(directory, header, batches(rows, 20));
    const whole = readFileSync(path);
    await fc.assert(
      fc.asyncProperty(fc.nat(whole.byteLength - 1), fc.nat(7), async (at, bit) => {
        const changed = Buffer.from(whole);
        changed[at] = (changed[at] ?? 0) ^ (1 << bit);
        writeFileSync(path, changed);
        await expect(verifyBackup(path)).rejects.toMatchObject({ code: 'backup_damaged' });
      }),
      { numRuns: 60 },
    );
  });

  test('a source that fails leaves nothing behind', async () => {
    const into = mkdtempSync(join(directory, 'failed-'));
    async function* failing(): AsyncGenerator<EncodedRows> {
      yield encodeRows(fc.sample(row, 5), true);
      throw new Error('connection lost');
    }
    await expect(writeBackupFile(into, header, failing())).rejects.toThrow('connection lost');
    expect(readdirSync(into)).toEqual([]);
  });

  test('names of tables do not lead out of the directory', async () => {
    const into = mkdtempSync(join(directory, 'names-'));
    await writeBackupFile(into, header, batches([], 1));
    expect(readdirSync(into)).toHaveLength(2);
    expect(readdirSync(into)[0]).toMatch(/^public\..+embedding-20260301T120000Z-[0-9a-f]{6}\.vectors\.gz$/);
  });
});
