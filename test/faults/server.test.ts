import { afterAll, beforeAll, expect, it } from 'vitest';
import { type FaultBed, makeFaultBed, openObserver } from '../helpers/fault-bed.ts';
import { leftovers, succeed } from '../helpers/fault-kill.ts';
import { waitFor } from '../helpers/fault-watch.ts';
import type { LocalServer } from '../helpers/local-server.ts';
import { SEGMENTS, wrongVectors } from '../helpers/oracle.ts';
import { describeWith, startOwnServer } from '../helpers/requirements.ts';

const ROWS = 8_000;

describeWith('pgvector', 'a server that stops in the middle of a backfill', () => {
  let server: LocalServer;
  let bed: FaultBed;

  beforeAll(async () => {
    server = await startOwnServer();
    const admin = await openObserver(server.url);
    await admin.query('CREATE EXTENSION vector');
    await admin.close();
    bed = await makeFaultBed(server.url, { rows: ROWS }, () => server.remove());
  });
  afterAll(async () => {
    await bed?.close();
    server?.remove();
  });

  it('gives a clear error, and once it is back the same command finishes', async () => {
    await succeed(bed.knex(['migrate:up']));
    const slow = { REEMBED_BATCH_ROWS: '4', REEMBED_CONCURRENCY: '1', REEMBED_WRITERS: '1' };
    const running = bed.knex(['migrate:latest'], slow);
    await waitFor('some rows', async () => ((await done()) > 200 ? true : undefined));
    server.stop('immediate');
    const { code, output } = await running.exit;
    expect(code, output).toBe(1);
    expect(output).toMatch(
      /Could not connect to Postgres at 127\.0\.0\.1:\d+\/postgres|terminating connection|Connection terminated/,
    );
    expect(output).not.toMatch(/Unhandled|triggerUncaughtException|node:internal\/errors/);
    server.start();
    const observer = await openObserver(server.url);
    // The lock of knex could not be freed either: that too must need nobody.
    await succeed(bed.knex(['migrate:latest']));
    expect(await leftovers(observer)).toEqual([]);
    await observer.close();
    expect(await bed.withDatabase((db) => wrongVectors(db, SEGMENTS, 'embedding'))).toEqual([]);
  });

  async function done(): Promise<number> {
    const { rows } = await bed.observer.query<{ n: number }>('SELECT count(embedding_384)::int AS n FROM segments');
    return rows[0]?.n ?? 0;
  }
});
