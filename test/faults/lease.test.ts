import { setTimeout as sleep } from 'node:timers/promises';
import { afterEach, beforeEach, expect, it } from 'vitest';
import { describeOnServer, type FaultBed, openFaultBed } from '../helpers/fault-bed.ts';
import { leftovers, succeed } from '../helpers/fault-kill.ts';
import type { Running } from '../helpers/fault-process.ts';
import { stepOf, waitFor, workerSessions } from '../helpers/fault-watch.ts';
import { SEGMENTS, wrongVectors } from '../helpers/oracle.ts';

const ROWS = 8_000;
/** Small batches make a run long enough to be met by another. */
const SLOW = { REEMBED_BATCH_ROWS: '4', REEMBED_CONCURRENCY: '1', REEMBED_WRITERS: '1' };

describeOnServer('two processes at once', () => {
  let bed: FaultBed;
  beforeEach(async () => {
    bed = await openFaultBed({ rows: ROWS });
  });
  afterEach(() => bed?.close());

  it('reembed: one works, the other ends and names it', async () => {
    await succeed(bed.knex(['migrate:up']));
    const first = bed.reembed(['backfill'], SLOW);
    await inFill(first);
    const second = await bed.reembed(['backfill'], SLOW).exit;
    expect(first.hasExited()).toBe(false);
    expect(second.code).toBe(1);
    expect(second.output).toMatch(new RegExp(`is being worked on: fill by [^ ]+:${first.pid}:`));
    await succeed(first);
    expect(await wrong()).toEqual([]);
  });

  it('knex: one works, the other ends and names it', async () => {
    const first = bed.knex(['migrate:latest'], SLOW);
    await inFill(first);
    const second = await bed.knex(['migrate:latest'], SLOW).exit;
    expect(first.hasExited()).toBe(false);
    expect(second.code).toBe(1);
    expect(second.output).toMatch(
      new RegExp(`The migration lock is held by a running process: fill by [^ ]+:${first.pid}:`),
    );
    await succeed(first);
    expect(await leftovers(bed.observer)).toEqual([]);
    expect(await bed.withDatabase((db) => wrongVectors(db, SEGMENTS, 'embedding'))).toEqual([]);
  });

  // On a fresh database neither has a lease yet that could be named: knex's own lock parts them, or the creation of its tables
  // does, which knex does not expect to happen twice at a time.
  it('knex: of two that start together one works, the other ends at the lock', async () => {
    const both = [bed.knex(['migrate:latest'], SLOW), bed.knex(['migrate:latest'], SLOW)];
    const exits = await Promise.all(both.map((running) => running.exit));
    expect(exits.map((exit) => exit.code).sort(), exits.map((exit) => exit.output).join('\n')).toEqual([0, 1]);
    const loser = exits.find((exit) => exit.code === 1);
    expect(loser?.output).toMatch(
      /Migration table is already locked|is held by a running process|is being worked on|create table "knex_migrations/,
    );
    expect(await leftovers(bed.observer)).toEqual([]);
    expect(await bed.withDatabase((db) => wrongVectors(db, SEGMENTS, 'embedding'))).toEqual([]);
  });

  it('a worker that slept past its lease writes nothing when it wakes', async () => {
    await succeed(bed.knex(['migrate:up']));
    const sleeper = bed.reembed(['backfill'], SLOW);
    await inFill(sleeper);
    await waitFor('some rows', async () => ((await done()) > 0 ? true : undefined));
    sleeper.signal('SIGSTOP');
    const heir = bed.reembed(['backfill'], SLOW);
    await inFill(heir);
    // Both asleep: whatever is written from here on, the first one has written.
    heir.signal('SIGSTOP');
    await waitFor('no statement to run', async () => {
      const active = (await workerSessions(bed.observer)).some((session) => session.state === 'active');
      return active ? undefined : true;
    });
    await sleep(200);
    const before = await done();
    expect(before).toBeLessThan(ROWS);
    sleeper.signal('SIGCONT');
    const { code, output } = await sleeper.exit;
    expect(code, output).toBe(1);
    expect(output).toContain('Another process took over the migration "segments-bge-small"');
    expect(await done()).toBe(before);
    heir.signal('SIGCONT');
    await succeed(heir);
    expect(await wrong()).toEqual([]);
  });

  async function inFill(running: Running): Promise<void> {
    await waitFor('the backfill to begin', async () => {
      if (running.hasExited()) throw new Error(`it ended before:\n${running.output()}`);
      return (await stepOf(bed.observer, running.pid)) === 'fill' ? true : undefined;
    });
  }

  async function done(): Promise<number> {
    const { rows } = await bed.observer.query<{ n: number }>('SELECT count(embedding_384)::int AS n FROM segments');
    return rows[0]?.n ?? 0;
  }

  function wrong(): Promise<string[]> {
    return bed.withDatabase((db) => wrongVectors(db, SEGMENTS, 'embedding_384'));
  }
});
