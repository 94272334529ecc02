import { spawnSync } from 'node:child_process';
import { existsSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import pg from 'pg';
import { afterAll, beforeAll, beforeEach, expect, test } from 'vitest';
import { defineMigration } from '../../src/config/define-migration.ts';
import { loadRuntimeSettings } from '../../src/config/runtime.ts';
import { openDatabase } from '../../src/db/database.ts';
import type { Database } from '../../src/db/types.ts';
import { type DoctorReport, doctor } from '../../src/inspect/doctor.ts';
import { hnswMemoryBytes } from '../../src/sql/hnsw-memory.ts';
import { HASH_MIGRATION, makeSegments } from '../helpers/chain.ts';
import { byCode, checkNamed, type Examination, findingsBut } from '../helpers/doctor-bed.ts';
import { findServer, type LocalServer, startLocalServer } from '../helpers/local-server.ts';
import { receiveWal } from '../helpers/receive-wal.ts';
import { describeWith } from '../helpers/requirements.ts';

// What only a server of one's own has: slots, replicas, statements, roles, a disk and shared memory on this machine.
describeWith('pgvector', 'doctor on a server of its own', () => {
  const version = process.env.REEMBED_TEST_PG === '18' || findServer(15) === undefined ? 18 : 15;
  const share = spawnSync(join(findServer(version) ?? '', 'pg_config'), ['--sharedir'], {
    encoding: 'utf8',
  }).stdout.trim();
  const hasStatements = existsSync(join(share, 'extension/pg_stat_statements.control'));
  let server: LocalServer;
  let db: Database;

  beforeAll(async () => {
    server = await startLocalServer(version, [
      'fsync=off',
      'max_slot_wal_keep_size=48MB',
      ...(hasStatements ? ['shared_preload_libraries=pg_stat_statements'] : []),
    ]);
    db = connect();
    await db.query('CREATE EXTENSION vector');
    if (hasStatements) await db.query('CREATE EXTENSION pg_stat_statements');
  });
  afterAll(async () => {
    await db.close();
    server.remove();
  });
  beforeEach(async () => {
    await db.query('DROP TABLE IF EXISTS segments CASCADE');
    await makeSegments(db, { rows: 1000 });
  });

  function connect(user = 'postgres', options = ''): Database {
    const url = new URL(server.url);
    url.username = user;
    if (options !== '') url.searchParams.set('options', options);
    return openDatabase({ connectionString: url.href, embedded: false });
  }

  async function examineOn(database: Database, { input, runtime, options }: Examination = {}): Promise<DoctorReport> {
    return doctor(
      {
        db: database,
        definition: defineMigration({ ...HASH_MIGRATION, ...input }),
        runtime: { ...loadRuntimeSettings({}), ...runtime },
        signal: undefined,
        onProgress: () => undefined,
      },
      { seed: 7, ...options },
    );
  }

  async function examineWith(options: string, examination: Examination = {}): Promise<DoctorReport> {
    const own = connect('postgres', options);
    return examineOn(own, examination).finally(() => own.close());
  }

  /** So much WAL that nobody has read. */
  async function writeAhead(megabytes: number): Promise<void> {
    await db.query(
      `SELECT pg_catalog.pg_logical_emit_message(false, 'doctor', repeat('x', 1048576)) FROM generate_series(1, $1::int)`,
      [megabytes],
    );
  }

  test('a sound server gives no finding, and shows its disk', async () => {
    const report = await examineOn(db);
    expect(findingsBut(report)).toEqual([]);
    expect(checkNamed(report, 'disk space')).toMatchObject({
      result: 'ok',
      detail: expect.stringMatching(/GB free in .*\/data, about/),
    });
    expect(report.checks.filter((check) => check.result === 'unknown').map((check) => check.name)).toEqual(
      hasStatements ? [] : ['index use'],
    );
  });

  test('everything runs where nothing may be written', async () => {
    const report = await examineWith('-c default_transaction_read_only=on', { options: { full: true } });
    expect(findingsBut(report)).toMatchObject([{ code: 'read_only' }]);
    expect(report.checks.filter((check) => check.result === 'unknown').map((check) => check.name)).toEqual(
      hasStatements ? [] : ['index use'],
    );
  });

  test('the defects of the installed pgvector are named for the methods that are used', async ({ skip }) => {
    const report = await examineOn(db, { input: { index: { kind: 'hnsw' } } });
    if (report.pgvector !== '0.8.0') return skip(`pgvector is ${report.pgvector}, not 0.8.0`);
    expect(byCode(report)).toMatchObject({
      pgvector_hnsw_parallel_build: {
        severity: 'warning',
        hint: expect.stringContaining('max_parallel_maintenance_workers = 0'),
      },
      pgvector_hnsw_vacuum: { hint: expect.stringContaining('REINDEX') },
      pgvector_ivfflat_build: { message: expect.stringContaining('0.8.7 corrects it') },
    });
    await db.query('DROP INDEX idx_segments_text_embedding_ivfflat');
    const none = await examineOn(db, { input: { index: { kind: 'none' } } });
    expect(Object.keys(byCode(none)).filter((code) => code.startsWith('pgvector_'))).toEqual([]);
  });

  test('an extension whose SQL is older than its library is named', async () => {
    const { rows } = await db.query<{ version: string }>(
      `SELECT extversion AS version FROM pg_extension WHERE extname = 'vector'`,
    );
    await db.query(`UPDATE pg_extension SET extversion = '0.7.4' WHERE extname = 'vector'`);
    try {
      expect(byCode(await examineOn(db)).extension_outdated).toMatchObject({
        message: `pgvector ${rows[0]?.version} is on the server, this database still has the SQL of 0.7.4.`,
        hint: 'Run "ALTER EXTENSION vector UPDATE;".',
      });
    } finally {
      await db.query(`UPDATE pg_extension SET extversion = $1 WHERE extname = 'vector'`, [rows[0]?.version]);
    }
  });

  test('a role that may see little gets unknown, and what it lacks, never a crash', async () => {
    await db.query(
      `CREATE ROLE little LOGIN; GRANT SELECT ON segments TO little; CREATE SCHEMA ext; ALTER EXTENSION vector SET SCHEMA ext`,
    );
    const own = connect('little');
    try {
      const report = await examineOn(own);
      expect(byCode(report)).toMatchObject({
        not_owner: { why: 'Only its owner may add a column or a trigger to a table.' },
        extension_schema_denied: { hint: 'Run "GRANT USAGE ON SCHEMA ext TO little;".' },
      });
      expect(checkNamed(report, 'disk space')).toMatchObject({
        result: 'unknown',
        detail: expect.stringContaining('data_directory'),
      });
      expect(checkNamed(report, 'stored vectors')).toMatchObject({
        result: 'unknown',
        detail: expect.stringContaining('permission denied'),
      });
    } finally {
      await own.close();
      await db.query(
        'ALTER EXTENSION vector SET SCHEMA public; DROP SCHEMA ext; DROP OWNED BY little; DROP ROLE little',
      );
    }
  });

  test('an index that no remembered statement can use is named, one that was scanned is not', async ({ skip }) => {
    if (!hasStatements) return skip(`Postgres ${version} came without pg_stat_statements`);
    await db.query('CREATE INDEX of_no_use ON segments USING ivfflat (embedding vector_l2_ops) WITH (lists = 5)');
    const session = await db.openSession();
    try {
      await session.query('SELECT pg_stat_statements_reset(); SET enable_seqscan = off');
      const search = (operator: string): Promise<unknown> =>
        session.query(
          `SELECT id FROM segments ORDER BY embedding ${operator} (SELECT embedding FROM segments WHERE id = 1) LIMIT 3`,
        );
      await search('<=>');
      await search('<=>');
      const found = byCode(await examineOn(db)).index_not_used;
      expect(found?.message).toBe(
        'Index "of_no_use" is for <-> and was never scanned; the statements on "segments" that pg_stat_statements knows use <=> (2 calls).',
      );
      expect(found?.hint).toContain("index.distance to 'cosine'");
      await search('<->');
      expect(byCode(await examineOn(db)).index_not_used).toBeUndefined();
      // Forgotten statements do not make an index useless that was scanned.
      await session.query('SELECT pg_stat_force_next_flush()');
      await session.query('SELECT pg_stat_statements_reset()');
      await search('<=>');
      expect(byCode(await examineOn(db)).index_not_used).toBeUndefined();
    } finally {
      await session.close();
    }
  });

  test('maintenance_work_mem that is too small for the build is told, for either kind', async () => {
    const ivfflat = byCode(await examineWith('-c maintenance_work_mem=1MB')).build_memory;
    expect(ivfflat?.message).toBe(
      'Building an IVFFlat index of 20 lists takes about 1.6 MB, maintenance_work_mem is 1 MB.',
    );
    const hnsw = byCode(
      await examineWith('-c maintenance_work_mem=1MB', { input: { index: { kind: 'hnsw' } } }),
    ).build_memory;
    expect(hnsw?.message).toMatch(/^Building an HNSW index takes about 2\.\d MB, maintenance_work_mem is 1 MB\.$/);
    expect(hnsw?.hint).toContain('ALTER ROLE postgres SET maintenance_work_mem');
  });

  test('what an HNSW graph takes is what pgvector itself runs out of', async () => {
    await db.query(
      `CREATE TABLE points AS SELECT (SELECT array_agg(random()) FROM generate_series(1, 600) WHERE i > 0)::vector(600) AS v FROM generate_series(1, 1600) i`,
    );
    const client = new pg.Client({ connectionString: server.url });
    const notices: string[] = [];
    client.on('notice', (notice) => notices.push(notice.message ?? ''));
    await client.connect();
    try {
      await client.query(
        `SET maintenance_work_mem = '4MB'; SET max_parallel_maintenance_workers = 0; CREATE INDEX ON points USING hnsw (v vector_l2_ops) WITH (ef_construction = 32)`,
      );
    } finally {
      await client.end();
      await db.query('DROP TABLE points');
    }
    // Taken from the system by the megabyte, of which the last one may be nearly empty.
    const tuples = Number(/after (\d+) tuples/.exec(notices.join('\n'))?.[1]);
    expect(hnswMemoryBytes(tuples, 16, 8 + 4 * 600) / (4 * 2 ** 20)).toBeGreaterThan(0.7);
    expect(hnswMemoryBytes(tuples, 16, 8 + 4 * 600) / (4 * 2 ** 20)).toBeLessThan(1.1);
  });

  test('shared memory that a parallel HNSW build would not find is told', async () => {
    const large = '-c maintenance_work_mem=1000GB -c min_parallel_table_scan_size=0';
    const report = await examineWith(large, { input: { index: { kind: 'hnsw' } } });
    expect(byCode(report).shared_memory?.message).toMatch(
      /^\/dev\/shm has .* free, building an HNSW index in parallel takes 1000 GB of it/,
    );
    const serial = await examineWith(`${large} -c max_parallel_maintenance_workers=0`, {
      input: { index: { kind: 'hnsw' } },
    });
    expect(checkNamed(serial, 'shared memory')).toMatchObject({
      result: 'ok',
      detail: expect.stringContaining('nothing is shared'),
    });
  });

  test('a disk that is too small is an error', async ({ skip }) => {
    const directory = mkdtempSync(join(tmpdir(), 'reembed-small-disk-'));
    const mounted = spawnSync('mount', ['-t', 'tmpfs', '-o', 'size=4m,mode=777', 'tmpfs', directory]).status === 0;
    if (!mounted) {
      rmSync(directory, { recursive: true });
      return skip('mounting a small file system needs root');
    }
    const space = join(directory, 'space');
    try {
      // By the server, whose own the directory has to be.
      await db.query(`COPY (SELECT 1) TO PROGRAM 'mkdir ${space}'`);
      await db.query(`CREATE TABLESPACE small LOCATION '${space}'`);
      await db.query('ALTER TABLE segments SET TABLESPACE small');
      expect(checkNamed(await examineOn(db), 'disk space').result).toBe('ok');
      writeFileSync(join(directory, 'filler'), Buffer.alloc(3 * 2 ** 20));
      const found = byCode(await examineOn(db)).disk_space;
      expect(found).toMatchObject({ severity: 'error', why: 'A full disk stops the whole server.' });
      expect(found?.message).toMatch(/space has 0\.\d+ MB free, the migration needs about [23]\.?\d* MB there/);
    } finally {
      await db.query('DROP TABLE segments');
      await db.query('DROP TABLESPACE IF EXISTS small');
      spawnSync('umount', ['-l', directory]);
      rmSync(directory, { recursive: true });
    }
  });

  test('a slot that nobody reads, a replica that lags, and a slot that lost its WAL are told', async () => {
    await db.query(`SELECT pg_create_physical_replication_slot('forgotten', true)`);
    await writeAhead(3);
    expect(byCode(await examineOn(db)).slot_inactive?.message).toMatch(
      /^Nobody reads the replication slot "forgotten", which keeps \d/,
    );
    const replica = await receiveWal(server, db);
    try {
      expect(byCode(await examineOn(db)).replica_lag).toBeUndefined();
      replica.kill('SIGSTOP');
      await writeAhead(80);
      expect(byCode(await examineOn(db)).replica_lag?.message).toMatch(
        /^The replica "pg_receivewal" is \d\d MB of WAL behind\.$/,
      );
      await db.query('CREATE ROLE blind LOGIN; GRANT SELECT ON segments TO blind');
      const blind = connect('blind');
      const hidden = await examineOn(blind).finally(() => blind.close());
      expect(checkNamed(hidden, 'replication').detail).toContain('hidden from this role');
    } finally {
      replica.kill('SIGKILL');
      await db.query('DROP OWNED BY blind; DROP ROLE blind').catch(() => undefined);
    }
    await db.query('SELECT pg_switch_wal()');
    await db.query('CHECKPOINT');
    expect(byCode(await examineOn(db)).slot_lost?.message).toContain(
      '"forgotten" has lost WAL that it needs (wal_status lost)',
    );
    await db.query(`SELECT pg_drop_replication_slot('forgotten')`);
  });
});
