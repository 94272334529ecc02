import { setTimeout as sleep } from 'node:timers/promises';
import { afterAll, beforeAll, expect, it } from 'vitest';
import { defineMigration } from '../../src/config/define-migration.ts';
import { loadRuntimeSettings } from '../../src/config/runtime.ts';
import { openDatabase } from '../../src/db/database.ts';
import type { Database } from '../../src/db/types.ts';
import { preflight } from '../../src/inspect/preflight.ts';
import { cutOver } from '../../src/steps/cut-over.ts';
import { expand } from '../../src/steps/expand.ts';
import { fill } from '../../src/steps/fill.ts';
import { HASH_MIGRATION } from '../helpers/chain.ts';
import { describeOnServer } from '../helpers/fault-bed.ts';
import { findServer, type LocalServer, startLocalServer } from '../helpers/local-server.ts';
import { SEGMENTS, wrongVectors } from '../helpers/oracle.ts';

const TABLE = `CREATE TABLE segments (id int PRIMARY KEY, text text, embedding vector(8)) PARTITION BY RANGE (id);
  CREATE TABLE low PARTITION OF segments FOR VALUES FROM (0) TO (21); CREATE TABLE rest PARTITION OF segments DEFAULT`;

/** Two databases of one server, which needs wal_level=logical. */
describeOnServer('logical replication of a partitioned table', () => {
  let server: LocalServer;
  let publisher: Database;
  let subscriber: Database;

  beforeAll(async () => {
    const version = process.env.REEMBED_TEST_PG === '18' || findServer(15) === undefined ? 18 : 15;
    server = await startLocalServer(version, ['fsync=off', 'wal_level=logical']);
    publisher = openDatabase({ connectionString: server.url, embedded: false });
    await publisher.query('CREATE DATABASE subscriber');
    subscriber = openDatabase({ connectionString: server.url.replace(/postgres$/, 'subscriber'), embedded: false });
    for (const db of [publisher, subscriber]) await db.query(`CREATE EXTENSION vector; ${TABLE}`);
    await publisher.query(`INSERT INTO segments SELECT i, 'text ' || i FROM generate_series(1, 40) i`);
  });
  afterAll(async () => {
    await subscriber?.query('DROP SUBSCRIPTION IF EXISTS filled').catch(() => undefined);
    await publisher?.close();
    await subscriber?.close();
    server?.remove();
  });

  function contextOf(db: Database) {
    const definition = defineMigration({ ...HASH_MIGRATION, index: { kind: 'hnsw' } });
    const runtime = loadRuntimeSettings({ REEMBED_GATE: 'off' });
    return { db, definition, runtime, signal: undefined, onProgress: () => undefined };
  }

  async function replicated(sql: string, arrived: string): Promise<void> {
    await publisher.query(sql);
    while ((await subscriber.query(`SELECT 1 FROM segments WHERE ${arrived}`)).rows.length === 0) await sleep(20);
  }

  it('by its root and by its partitions is found by preflight, and left alone where the vectors are left out', async () => {
    const findings = async (publication: string) => {
      await publisher.query(`CREATE PUBLICATION p FOR TABLE ${publication}`);
      const report = await preflight(contextOf(publisher));
      await publisher.query('DROP PUBLICATION p');
      return report.findings.map(({ code, severity }) => `${severity} ${code}`);
    };
    expect(await findings('segments')).toEqual(['warning publication']);
    expect(await findings('segments WITH (publish_via_partition_root)')).toEqual(['warning publication']);
    expect(await findings('low')).toEqual(['warning publication']);
    expect(await findings('segments (id, text) WITH (publish_via_partition_root)')).toEqual([]);
    await publisher.query(`SELECT pg_create_logical_replication_slot('reader', 'pgoutput')`);
    expect(await findings('segments WITH (publish_via_partition_root)')).toEqual(['error publication']);
    await publisher.query(`SELECT pg_drop_replication_slot('reader')`);
  });

  it('fires the trigger of the subscriber, before the swap and after it: no vector of another text stays', async () => {
    await publisher.query('CREATE PUBLICATION p FOR TABLE segments (id, text) WITH (publish_via_partition_root)');
    await publisher.query(`SELECT pg_create_logical_replication_slot('filled', 'pgoutput')`);
    await subscriber.query(
      `CREATE SUBSCRIPTION filled CONNECTION 'dbname=postgres user=postgres host=127.0.0.1 port=${new URL(server.url).port}' PUBLICATION p WITH (create_slot = false)`,
    );
    await replicated('SELECT 1', '(SELECT count(*) FROM segments) = 40');
    const ctx = contextOf(subscriber);
    await expand(ctx);
    await fill(ctx);
    await replicated(`UPDATE segments SET text = 'edited ' || id WHERE id IN (3, 33)`, `text = 'edited 33'`);
    const { rows } = await subscriber.query('SELECT id FROM segments WHERE embedding_384 IS NULL ORDER BY id');
    expect(rows).toEqual([{ id: 3 }, { id: 33 }]);
    await cutOver(ctx);
    expect(await wrongVectors(subscriber, SEGMENTS, 'embedding')).toEqual([]);
    const always = await subscriber.query(
      `SELECT DISTINCT tgenabled AS enabled FROM pg_trigger WHERE tgname LIKE 'zzz_reembed_%'`,
    );
    expect(always.rows).toEqual([{ enabled: 'A' }]);
  });
});
