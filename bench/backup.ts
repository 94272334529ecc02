// Reading vectors for a backup: one binary COPY against windows by keyset, by turns in one run; alone, and as a whole backup with gzip and sha256.
//   DATABASE_URL=postgres://… npm run bench:backup -- [--rows 50000] [--dimensions 1536] [--rounds 5]

import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { parseArgs } from 'node:util';
import { loadRuntimeSettings } from '../src/config/runtime.ts';
import { connectDatabase } from '../src/db/connect.ts';
import type { Session } from '../src/db/types.ts';
import { backupCopySql } from '../src/sql/backup.ts';
import type { VectorTarget } from '../src/sql/target.ts';
import { readWindows } from '../src/swap/backup.ts';
import { BACKUP_FORMAT, BACKUP_VERSION, type BackupHeader, type EncodedRows } from '../src/swap/backup-format.ts';
import { copyFrames } from '../src/swap/copy-frames.ts';
import { writeBackupFile } from '../src/swap/write-backup.ts';
import { interleave, markdownTable, openBenchDatabase } from './measure.ts';

const TABLE = 'reembed_bench_backup';

const { values } = parseArgs({
  options: {
    rows: { type: 'string', default: '50000' },
    dimensions: { type: 'string', default: '1536' },
    rounds: { type: 'string', default: '5' },
  },
});
const rows = Number(values.rows);
const dimensions = Number(values.dimensions);

const COLUMN: VectorTarget = {
  schema: 'public',
  table: TABLE,
  key: [{ name: 'id', type: 'bigint' }],
  text: 'text',
  column: 'embedding',
  provenance: undefined,
  onlyMissing: false,
  vectorType: 'vector',
  dimensions,
  vectorSchema: 'public',
  stateSchema: 'reembed',
};

const { db, close } = await openBenchDatabase(loadRuntimeSettings(), connectDatabase);
const directory = mkdtempSync(join(tmpdir(), 'reembed-bench-backup-'));
try {
  await measure();
} finally {
  await db.query(`DROP TABLE IF EXISTS ${TABLE}`);
  await close();
  rmSync(directory, { recursive: true, force: true });
}

async function measure(): Promise<void> {
  await db.query(`CREATE EXTENSION IF NOT EXISTS vector; DROP TABLE IF EXISTS ${TABLE};
    CREATE TABLE ${TABLE} (id bigint PRIMARY KEY, text text NOT NULL, embedding public.vector(${dimensions}))`);
  // Random numbers: what repeats would compress as no vectors do.
  await db.query(`INSERT INTO ${TABLE} SELECT i, 'passage ' || md5(i::text),
    (SELECT array_agg(random()::real - 0.5) FROM generate_series(1, ${dimensions}) WHERE i > 0)::public.vector FROM generate_series(1, ${rows}) i`);
  await db.query(`VACUUM ANALYZE ${TABLE}`);
  const session = await db.openSession();
  const windows = (): AsyncIterable<EncodedRows> => readWindows({ signal: undefined }, session, COLUMN);
  const copy = (): AsyncIterable<EncodedRows> => copyFrames(session.copyOut(backupCopySql(COLUMN)), 2);
  const results = await interleave(Number(values.rounds), [
    { name: 'windows, read', run: () => rate(session, () => drain(windows())) },
    { name: 'COPY, read', run: () => rate(session, () => drain(copy())) },
    { name: 'windows, whole backup', run: () => rate(session, () => backUp(windows())) },
    { name: 'COPY, whole backup', run: () => rate(session, () => backUp(copy())) },
  ]);
  await session.close();
  console.log(`## ${rows.toLocaleString('en-US')} rows of ${dimensions} dimensions, ${values.rounds} rounds\n`);
  console.log(markdownTable('rows/s', 'windows, read', results));
}

async function rate(session: Session, work: () => Promise<number>): Promise<number> {
  await session.query('BEGIN ISOLATION LEVEL REPEATABLE READ READ ONLY');
  const started = performance.now();
  const read = await work();
  const seconds = (performance.now() - started) / 1000;
  await session.query('COMMIT');
  if (read !== rows) throw new Error(`${read} of ${rows} rows were read`);
  return rows / seconds;
}

async function drain(batches: AsyncIterable<EncodedRows>): Promise<number> {
  let count = 0;
  for await (const batch of batches) count += batch.rows;
  return count;
}

async function backUp(batches: AsyncIterable<EncodedRows>): Promise<number> {
  const header: BackupHeader = {
    format: BACKUP_FORMAT,
    version: BACKUP_VERSION,
    migration: 'bench',
    vectors: 'old',
    schema: 'public',
    table: TABLE,
    column: 'embedding',
    text: 'text',
    key: COLUMN.key,
    vectorType: 'vector',
    dimensions,
    hasProvenance: false,
    models: {},
    reason: 'bench',
    createdAt: new Date().toISOString(),
    snapshotLsn: null,
  };
  const { path, manifest } = await writeBackupFile(directory, header, batches);
  rmSync(path);
  rmSync(`${path}.json`);
  return manifest.rows;
}
