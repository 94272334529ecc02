import { randomBytes } from 'node:crypto';
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { afterAll, beforeAll, beforeEach, describe, expect, it } from 'vitest';
import { readTableByOid } from '../../src/db/catalog.ts';
import { doctor } from '../../src/inspect/doctor.ts';
import { preflight } from '../../src/inspect/preflight.ts';
import { verify } from '../../src/inspect/verify.ts';
import { hashProvider } from '../../src/providers/hash.ts';
import { resolveMigration } from '../../src/state/resolve.ts';
import { cutOver } from '../../src/steps/cut-over.ts';
import { expand } from '../../src/steps/expand.ts';
import { fill } from '../../src/steps/fill.ts';
import { finalize } from '../../src/steps/finalize.ts';
import { restore } from '../../src/steps/restore.ts';
import { undoCutOver } from '../../src/steps/undo-cut-over.ts';
import { undoExpand } from '../../src/steps/undo-expand.ts';
import { buildIndexes } from '../../src/swap/build-indexes.ts';
import { exchange } from '../../src/swap/exchange.ts';
import { readLockHolders } from '../../src/swap/lock-table.ts';
import { type Chain, openChain } from '../helpers/chain.ts';
import { describeOnServer } from '../helpers/fault-bed.ts';
import { type Watched, wrongVectors } from '../helpers/oracle.ts';
import { walkChain } from '../helpers/walk-chain.ts';

/** Roles belong to the whole server. */
const READER = `"part reader ${randomBytes(4).toString('hex')}"`;
const SEGMENTS: Watched = { table: 'segments', key: 'id', text: 'text' };

let chain: Chain;
let backups: string;

beforeAll(async () => {
  backups = await mkdtemp(join(tmpdir(), 'reembed-partitions-'));
  chain = await openChain();
  await chain.db.query(`CREATE SCHEMA "Old data"; CREATE ROLE ${READER}`);
});
beforeEach(async () => {
  await chain.db.query(`DROP TABLE IF EXISTS segments CASCADE; DROP SCHEMA IF EXISTS reembed CASCADE`);
});
afterAll(async () => {
  await chain.db.query(`DROP OWNED BY ${READER}; DROP ROLE ${READER}`);
  await chain.close();
  await rm(backups, { recursive: true, force: true });
});

/** 700 rows in a partition of another schema, 140 in two of a lower level, 60 in the default one, and an empty one. */
async function makePartitioned(): Promise<void> {
  await chain.db.query(
    `CREATE TABLE segments (id bigint PRIMARY KEY, text text, embedding vector(8), voice vector(4)) PARTITION BY RANGE (id);
     CREATE TABLE "Old data"."Low, first" PARTITION OF segments FOR VALUES FROM (0) TO (701);
     CREATE TABLE middle PARTITION OF segments FOR VALUES FROM (701) TO (841) PARTITION BY HASH (id);
     CREATE TABLE middle_0 PARTITION OF middle FOR VALUES WITH (MODULUS 2, REMAINDER 0);
     CREATE TABLE middle_1 PARTITION OF middle FOR VALUES WITH (MODULUS 2, REMAINDER 1);
     CREATE TABLE rest PARTITION OF segments DEFAULT;
     CREATE TABLE empty PARTITION OF segments FOR VALUES FROM (2000) TO (3000);
     INSERT INTO segments SELECT i, 'passage ' || md5(i::text), (SELECT array_agg(0.5 + random()) FROM generate_series(1, 8) WHERE i > 0)::vector, ARRAY[i, 1, 2, 3]::vector
       FROM generate_series(1, 900) i;
     CREATE INDEX segments_ann ON segments USING ivfflat (embedding vector_cosine_ops) WITH (lists = 4);
     CREATE INDEX segments_some ON segments USING hnsw (embedding vector_l2_ops) WHERE id > 650;
     CREATE INDEX segments_bare ON segments (id) WHERE embedding IS NULL`,
  );
}

/** Vector indexes by partition, the table itself as `segments`, with what tells them apart. */
async function vectorIndexes(): Promise<string[]> {
  const { rows } = await chain.db.query<{ line: string }>(
    `SELECT format('%s %s %s %s%s', c2.relname, c.relname, am.amname, CASE WHEN i.indisvalid THEN 'valid' ELSE 'INVALID' END, ' ' || array_to_string(c.reloptions, ',')) AS line
     FROM pg_index i JOIN pg_class c ON c.oid = i.indexrelid JOIN pg_class c2 ON c2.oid = i.indrelid JOIN pg_am am ON am.oid = c.relam
     JOIN pg_attribute a ON a.attrelid = i.indrelid AND a.attname = 'embedding' AND a.attnum = ANY (i.indkey)
     WHERE c2.oid IN (SELECT relid FROM pg_partition_tree('segments')) AND am.amname IN ('ivfflat', 'hnsw') ORDER BY 1`,
  );
  return rows.map((row) => row.line.trim());
}

const provider = async () => hashProvider('hash/384');

describe('a partitioned table', () => {
  it('goes there and back with what each partition has of its own', async () => {
    await makePartitioned();
    await chain.db.query(
      `ALTER TABLE segments ALTER embedding SET NOT NULL, ADD CONSTRAINT known CHECK (vector_norm(embedding) > 0);
       COMMENT ON COLUMN segments.embedding IS 'of all';
       COMMENT ON COLUMN "Old data"."Low, first".embedding IS 'its own';
       GRANT SELECT (embedding) ON middle_1 TO ${READER};
       GRANT UPDATE (embedding) ON segments TO ${READER};
       ALTER TABLE rest ADD CONSTRAINT rest_only CHECK (embedding <> '[0,0,0,0,0,0,0,0]' OR id > 0);
       COMMENT ON CONSTRAINT rest_only ON rest IS 'of the rest';
       ALTER TABLE empty ALTER embedding SET STATISTICS 7`,
    );
    const before = (await vectorIndexes()).map((line) => line.replace(/ lists=\d+$/, ''));
    await walkChain(chain.context({}, { backupDir: backups }), SEGMENTS, 'text, embedding, voice');
    const after = await vectorIndexes();
    // The names that they had, on the new vectors; lists by what each partition fills.
    expect(after.map((line) => line.replace(/ lists=\d+$/, ''))).toEqual(before);
    expect(after.filter((line) => line.includes('ivfflat'))).toEqual([
      'Low, first Low, first_embedding_idx ivfflat valid lists=14',
      'empty empty_embedding_idx ivfflat valid lists=1',
      'middle middle_embedding_idx ivfflat valid lists=14',
      'middle_0 middle_0_embedding_idx ivfflat valid lists=1',
      'middle_1 middle_1_embedding_idx ivfflat valid lists=1',
      'rest rest_embedding_idx ivfflat valid lists=1',
      'segments segments_ann ivfflat valid lists=14',
    ]);
  });

  it('takes in partitions that are attached and rows that move meanwhile, and goes on where 007 was interrupted', async () => {
    await makePartitioned();
    const ctx = chain.context({}, { backupDir: backups });
    await expand(ctx);
    await chain.db.query(
      `CREATE TABLE late (LIKE segments INCLUDING ALL);
       INSERT INTO late (id, text) SELECT i, 'late ' || i FROM generate_series(3001, 3020) i;
       ALTER TABLE segments ATTACH PARTITION late FOR VALUES FROM (3000) TO (4000)`,
    );
    expect(await fill(ctx)).toMatchObject({ rows: { total: 920, done: 920 } });
    await chain.db.query(
      `UPDATE segments SET text = 'edited' WHERE id = 3001; UPDATE segments SET id = 2500 WHERE id = 5; UPDATE segments SET id = 5, text = 'moved' WHERE id = 800`,
    );
    const pending = await chain.db.query('SELECT id FROM segments WHERE embedding_384 IS NULL ORDER BY id');
    expect(pending.rows).toEqual([{ id: '5' }, { id: '3001' }]);
    // What a killed run left: the whole without its parts, one part ready, one broken.
    await chain.db.query(
      `CREATE INDEX segments_ann_reembed ON ONLY segments USING ivfflat (embedding_384 vector_cosine_ops) WITH (lists = 14);
       CREATE INDEX rest_embedding_idx_reembed ON rest USING ivfflat (embedding_384 vector_cosine_ops) WITH (lists = 1);
       CREATE INDEX middle_0_embedding_idx_reembed ON middle_0 USING ivfflat (embedding_384 vector_cosine_ops) WITH (lists = 1);
       UPDATE pg_index SET indisvalid = false WHERE indexrelid = 'middle_0_embedding_idx_reembed'::regclass`,
    );
    const ready = await chain.db.query(`SELECT 'rest_embedding_idx_reembed'::regclass::oid AS oid`);
    await buildIndexes(ctx, await resolveMigration(ctx));
    expect((await chain.db.query(`SELECT 'rest_embedding_idx_reembed'::regclass::oid AS oid`)).rows).toEqual(
      ready.rows,
    );
    await chain.db.query('CREATE TABLE last PARTITION OF segments FOR VALUES FROM (4000) TO (5000)');
    await cutOver(ctx);
    expect(await wrongVectors(chain.db, SEGMENTS, 'embedding')).toEqual([]);
    const indexes = await vectorIndexes();
    expect(indexes.filter((line) => line.includes('INVALID') || line.includes('_reembed'))).toEqual([]);
    expect(indexes.filter((line) => /^(late|last|segments) /.test(line))).toHaveLength(6);
    expect(await verify(ctx, { full: true, provider })).toMatchObject({ ok: true, rows: { total: 920, done: 920 } });
    const { backup } = await finalize(ctx, { now: true });
    expect(await restore(ctx, { path: backup?.path ?? '' })).toMatchObject({ restored: 920, createdColumn: true });
    // The old indexes went with the old column.
    await undoCutOver({ ...ctx, runtime: { ...ctx.runtime, rollback: 'accept-missing' } });
    const back = await vectorIndexes();
    expect(back.filter((line) => /INVALID|_old/.test(line))).toEqual([]);
    expect(back.filter((line) => /^segments /.test(line)).map((line) => line.split(' ')[1])).toEqual([
      'segments_ann',
      'segments_some',
    ]);
  });

  it("with oldIndex 'drop' loses its indexes in 005 and has them again, each with its own lists, after the way down", async () => {
    await makePartitioned();
    await chain.db.query(`ALTER INDEX middle_1_embedding_idx RENAME TO odd; ALTER INDEX odd SET (lists = 2)`);
    const before = await vectorIndexes();
    const ctx = chain.context({ oldIndex: 'drop' });
    await expand(ctx);
    expect(await vectorIndexes()).toEqual([]);
    await undoExpand(ctx);
    expect(await vectorIndexes()).toEqual(before);
  });

  it('whose partitions alone have indexes gets one over all of them, by their distance', async () => {
    await makePartitioned();
    await chain.db.query(
      `DROP INDEX segments_ann, segments_some, segments_bare; CREATE INDEX own ON rest USING hnsw (embedding vector_ip_ops)`,
    );
    const ctx = chain.context();
    await expand(ctx);
    await fill(ctx);
    await cutOver(ctx);
    expect(await vectorIndexes()).toEqual([
      'Low, first Low, first_embedding_hnsw_idx hnsw valid',
      'empty empty_embedding_hnsw_idx hnsw valid',
      'middle middle_embedding_hnsw_idx hnsw valid',
      'middle_0 middle_0_embedding_hnsw_idx hnsw valid',
      'middle_1 middle_1_embedding_hnsw_idx hnsw valid',
      'rest own hnsw valid',
      'segments segments_embedding_hnsw_idx hnsw valid',
    ]);
    await undoCutOver(ctx);
    expect(await vectorIndexes()).toEqual(['rest own hnsw valid']);
  });

  it('is planned and examined by the rows and bytes of all partitions together', async () => {
    await makePartitioned();
    const report = await doctor(chain.context(), { seed: 7 });
    expect(report.findings.filter(({ severity }) => severity === 'error')).toEqual([]);
    const { facts } = await preflight(chain.context());
    expect(facts).toMatchObject({ rowsEstimate: 900, rowsCounted: true });
    expect(facts?.partitionRows?.toSorted((a, b) => b - a).slice(0, 1)).toEqual([700]);
    expect(facts?.heapBytes).toBeGreaterThan(100_000);
    expect(facts?.indexBytes).toBeGreaterThan(100_000);
    const { rows } = await chain.db.query<{ oid: number }>(`SELECT 'segments'::regclass::oid AS oid`);
    // CREATE INDEX counted the partitions; of the table itself nothing is known.
    expect((await readTableByOid(chain.db, rows[0]?.oid ?? 0)).estimatedRows).toBe(900);
  });
});

describeOnServer('the lock of a partitioned table', () => {
  it('is not had while one partition is read, names the reader, and lets everybody else pass', async () => {
    await makePartitioned();
    const ctx = chain.context();
    await expand(ctx);
    await fill(ctx);
    const [reader, other] = [await chain.db.openSession(), await chain.db.openSession()];
    try {
      await reader.query('BEGIN; SELECT count(*) FROM middle_1');
      const { table } = await resolveMigration(ctx);
      expect(await readLockHolders(chain.db, table.oid)).toEqual([expect.stringContaining(`pid ${reader.pid} `)]);
      const attempt = exchange(ctx, await resolveMigration(ctx), { catchUp: async () => undefined });
      // Queries through the table wait for a try at most, never for the reader.
      await other.query(`SET lock_timeout = '10s'`);
      for (let i = 0; i < 20; i++) {
        await other.query('UPDATE segments SET voice = voice WHERE id = 1');
        await sleep(20);
      }
      await reader.query('COMMIT');
      expect((await attempt).attempts).toBeGreaterThan(1);
    } finally {
      await Promise.all([reader.close(), other.close()]);
    }
  });
});
