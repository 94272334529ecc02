import type { ChildProcess } from 'node:child_process';
import { setTimeout as sleep } from 'node:timers/promises';
import { afterAll, afterEach, beforeAll, beforeEach, expect, it } from 'vitest';
import { defineMigration } from '../../src/config/define-migration.ts';
import { loadRuntimeSettings } from '../../src/config/runtime.ts';
import type { RuntimeSettings, SignalName } from '../../src/config/types.ts';
import { openDatabase } from '../../src/db/database.ts';
import type { Database } from '../../src/db/types.ts';
import { readStatus } from '../../src/inspect/status.ts';
import type { ProgressEvent } from '../../src/progress.ts';
import type { SignalReading } from '../../src/state/throttle-look.ts';
import { expand } from '../../src/steps/expand.ts';
import { fill } from '../../src/steps/fill.ts';
import { createLatency } from '../../src/throttle/latency.ts';
import { openHealthReader } from '../../src/throttle/read-health.ts';
import { HASH_MIGRATION, makeSegments, staleKeys } from '../helpers/chain.ts';
import { type Observer, openObserver } from '../helpers/fault-bed.ts';
import { waitFor } from '../helpers/fault-watch.ts';
import { findServer, type LocalServer, startLocalServer } from '../helpers/local-server.ts';
import { receiveWal } from '../helpers/receive-wal.ts';
import { describeWith } from '../helpers/requirements.ts';

const ROWS = 200;
const TARGET = { schema: 'public', table: 'segments' };

// Archive, slots and replicas are the whole server's: it has to be one's own.
describeWith('pgvector', 'the throttle on a server of its own', () => {
  const version = process.env.REEMBED_TEST_PG === '18' || findServer(15) === undefined ? 18 : 15;
  let server: LocalServer;
  let db: Database;
  let other: Observer;

  beforeAll(async () => {
    // With no archive_command every finished segment waits.
    server = await startLocalServer(version, ['fsync=off', 'archive_mode=on']);
    db = openDatabase({ connectionString: server.url, embedded: false });
    await db.query('CREATE EXTENSION vector');
    await db.query(
      'CREATE ROLE app LOGIN; GRANT CREATE ON DATABASE postgres TO app; GRANT CREATE ON SCHEMA public TO app',
    );
  });
  beforeEach(async () => {
    await archive('true');
    await db.query('DROP TABLE IF EXISTS segments CASCADE; DROP SCHEMA IF EXISTS reembed CASCADE');
    await makeSegments(db, { rows: ROWS });
    other = await openObserver(server.url);
  });
  afterEach(() => other.close());
  afterAll(async () => {
    await db.close();
    server.remove();
  });

  async function archive(command: string): Promise<void> {
    await db.query(`ALTER SYSTEM SET archive_command = '${command}'`);
    await db.query('SELECT pg_reload_conf()');
  }

  /** So many segments that are full. */
  async function finishSegments(count: number): Promise<void> {
    for (let i = 0; i < count; i++) {
      await db.query(`SELECT pg_logical_emit_message(false, 'test', 'x')`);
      await db.query('SELECT pg_switch_wal()');
    }
  }

  async function waiting(): Promise<number> {
    const { rows } = await db.query<{ n: number }>(
      `SELECT count(*)::int AS n FROM pg_ls_archive_statusdir() WHERE name LIKE '%.ready'`,
    );
    return rows[0]?.n ?? Number.NaN;
  }

  function context(limits: Partial<RuntimeSettings['throttle']['limits']>, own: Database = db) {
    const runtime = loadRuntimeSettings({ REEMBED_GATE: 'off' });
    const events: ProgressEvent[] = [];
    return {
      db: own,
      definition: defineMigration(HASH_MIGRATION),
      runtime: { ...runtime, throttle: { ...runtime.throttle, limits: { ...runtime.throttle.limits, ...limits } } },
      signal: undefined,
      onProgress: (event: ProgressEvent) => void events.push(event),
      notices: () => events.flatMap((event) => (event.kind === 'notice' ? [event.message] : [])),
    };
  }

  async function readAll(own: Database = db, looks = 1): Promise<Partial<Record<SignalName, SignalReading>>> {
    const reader = await openHealthReader(own, TARGET, loadRuntimeSettings({}).throttle, createLatency());
    for (let i = 1; i < looks; i++) await reader.read();
    return Object.fromEntries((await reader.read()).map((reading) => [reading.name, reading]));
  }

  it('holds while WAL waits for the archive, says so in status, and goes on by itself', async () => {
    await archive('false');
    await finishSegments(4);
    const ctx = context({ archive: 2 });
    await expand(ctx);
    const filling = fill(ctx);
    await waitFor('the run to hold', () => (ctx.notices().some((text) => /^Paused:/.test(text)) ? true : undefined));
    expect(ctx.notices()).toContainEqual(
      expect.stringMatching(/^Paused: \d WAL segments wait for the archive, limit 2\.$/),
    );
    await sleep(300);
    const status = await waitFor('its look to be kept', async () => {
      const found = await readStatus(ctx);
      return found.throttle === null ? undefined : found;
    });
    expect(status).toMatchObject({ rows: { done: 0, pending: ROWS }, lease: { step: 'fill', expired: false } });
    expect(status.throttle).toMatchObject({ level: 'pause', reasons: ['archive'] });
    expect(status.throttle?.signals.find(({ name }) => name === 'archive')).toEqual({
      name: 'archive',
      value: expect.any(Number),
      limit: 2,
      source: 'pg_ls_archive_statusdir()',
    });
    expect(status.throttle?.signals.map(({ name }) => name)).toHaveLength(9);
    await archive('true');
    await filling;
    expect(ctx.notices()).toContain('Goes on slowly.');
    expect(await staleKeys(db, 'embedding_384')).toEqual([]);
  });

  it('holds while a slot keeps WAL that nobody reads, and goes slowly beside a long transaction', async () => {
    await db.query(`SELECT pg_create_physical_replication_slot('forgotten', true)`);
    await db.query(`SELECT pg_logical_emit_message(false, 'test', repeat('x', 4194304))`);
    await other.query('BEGIN');
    await other.query('SELECT pg_current_xact_id()');
    const ctx = context({ slots: 2 ** 20, transaction: 0.001 });
    await expand(ctx);
    const filling = fill(ctx);
    await waitFor(
      'the run to hold',
      () =>
        ctx.notices().some((text) => /^Paused: a replication slot keeps [\d.]+ MB of WAL, limit 1 MB\.$/.test(text)) ||
        undefined,
    );
    await db.query(`SELECT pg_drop_replication_slot('forgotten')`);
    await filling;
    expect((await readStatus(ctx)).throttle).toMatchObject({ level: 'slow', reasons: ['transaction'] });
    await other.query('ROLLBACK');
  });

  it('reads each signal as the server is', async () => {
    let receiver: ChildProcess | undefined;
    try {
      expect(await readAll()).toMatchObject({ replicaBytes: { value: 0 }, vacuum: { value: 0 }, slots: { value: 0 } });
      receiver = await receiveWal(server, db);
      receiver.kill('SIGSTOP');
      await db.query(`SELECT pg_logical_emit_message(false, 'test', repeat('x', 8388608))`);
      // As slow as a vacuum can be told to be: it is at work until it is cancelled.
      await other.query(
        `UPDATE segments SET voice = voice; SET vacuum_cost_delay = '100ms'; SET vacuum_cost_limit = 1`,
      );
      const vacuum = other.query('VACUUM segments').catch((error: unknown) => error);
      const seen = await waitFor('the vacuum to begin', async () => {
        const readings = await readAll(db, 2);
        return readings.vacuum?.value === 1 ? readings : undefined;
      });
      await db.query(`SELECT pg_cancel_backend(pid) FROM pg_stat_activity WHERE application_name = 'observer'`);
      expect(await vacuum).toMatchObject({ code: '57014' });
      expect(seen.replicaBytes?.value).toBeGreaterThan(4 * 2 ** 20);
      expect(seen.wal?.value).toBeGreaterThanOrEqual(0);
      expect(seen.connections?.value).toBeGreaterThan(0);
      expect(seen.transaction?.value).toBeGreaterThan(0);
      expect(Object.values(seen).filter(({ unknown }) => unknown !== undefined)).toMatchObject([{ name: 'latency' }]);
    } finally {
      receiver?.kill('SIGKILL');
    }
  });

  it('says what a role does not see instead of taking it for well, and sees the archive by its last segment', async () => {
    await finishSegments(1);
    await waitFor('the archive to be empty', async () => ((await waiting()) === 0 ? true : undefined));
    await archive('false');
    await waitFor('segments to wait', async () => {
      await finishSegments(1);
      return (await waiting()) >= 3 ? true : undefined;
    });
    const url = new URL(server.url);
    url.username = 'app';
    const app = openDatabase({ connectionString: url.href, embedded: false });
    try {
      const seen = await readAll(app);
      expect(seen.archive).toMatchObject({ value: await waiting(), source: 'pg_stat_archiver' });
      for (const name of ['transaction', 'connections', 'vacuum'] as const) {
        expect(seen[name]).toMatchObject({ value: null, unknown: expect.stringContaining('pg_monitor') });
      }
      await db.query('ALTER TABLE segments OWNER TO app');
      const ctx = context({}, app);
      await expand(ctx);
      await fill(ctx);
      expect(ctx.notices().filter((text) => /pg_monitor/.test(text))).toEqual([
        'Not watched, because the role app does not see it: vacuum of the table, longest transaction, busy connections. "GRANT pg_monitor TO app" shows it.',
      ]);
    } finally {
      await app.close();
    }
  });
});
