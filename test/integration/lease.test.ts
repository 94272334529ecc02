import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { textHash } from '../../src/backfill/text-hash.ts';
import { writeBatch } from '../../src/backfill/write-batch.ts';
import { readVectorExtension } from '../../src/db/catalog.ts';
import { readStatus } from '../../src/inspect/status.ts';
import { hashProvider } from '../../src/providers/hash.ts';
import { acquireLease, assertLease, readLease } from '../../src/state/lease.ts';
import { registerModel } from '../../src/state/models.ts';
import { resolveMigration } from '../../src/state/resolve.ts';
import { expand } from '../../src/steps/expand.ts';
import { fill } from '../../src/steps/fill.ts';
import { withLease } from '../../src/steps/with-lease.ts';
import { type Chain, makeSegments, openChain } from '../helpers/chain.ts';
import { waitFor } from '../helpers/fault-watch.ts';

const ROWS = 50;

describe('the lease', () => {
  let chain: Chain;
  beforeEach(async () => {
    chain = await openChain();
    await makeSegments(chain.db, { rows: ROWS });
    await expand(chain.context());
  });
  afterEach(() => chain.close());

  it('fences a batch: with the token of an owner that was followed by another, nothing is written', async () => {
    const context = chain.context();
    const first = await acquireLease(context, 'fill');
    await takeOver(chain);
    const { rows } = await chain.db.query<{ id: string; text: string }>(
      'SELECT id::text AS id, text FROM segments ORDER BY segments.id',
    );
    const provider = hashProvider('hash/384');
    const { vectors } = await provider.embed(
      rows.map((row) => row.text),
      { kind: 'document' },
    );
    const batch = rows.flatMap((row, i) => {
      const vector = vectors[i];
      return vector === undefined ? [] : [{ key: [row.id], hash: textHash(row.text), vector }];
    });
    const { target } = await resolveMigration(context);
    const { vectorOid } = await readVectorExtension(chain.db);
    const modelId = await registerModel(chain.db, context.runtime.stateSchema, { ...provider.model });
    const to = (token: string) => ({
      target,
      modelId,
      vectorOid,
      fence: { migrationId: context.definition.id, token },
    });
    expect(await writeBatch(chain.db, to(first.token), batch)).toBe(0);
    const { rows: found } = await chain.db.query('SELECT count(embedding_384)::int AS n FROM segments');
    expect(found).toEqual([{ n: 0 }]);
    expect(await writeBatch(chain.db, to(String(Number(first.token) + 1)), batch)).toBe(ROWS);
    await expect(
      chain.db.transaction((tx) => assertLease(tx, context.runtime.stateSchema, context.definition.id, first.token)),
    ).rejects.toMatchObject({ code: 'lease_lost' });
    await first.release();
  });

  it('is given back by a step that is stopped in the middle of a request: it was interrupted, nothing failed', async () => {
    const stop = new AbortController();
    const stopped = withLease({ ...chain.context(), signal: stop.signal }, 'fill', async () => {
      stop.abort();
      throw new Error('no answer', { cause: new DOMException('This operation was aborted', 'AbortError') });
    });
    await expect(stopped).rejects.toMatchObject({ name: 'InterruptedError', code: 'interrupted' });
    expect((await readStatus(chain.context())).lease).toBeNull();
  });

  it('tells its owner that it was lost, and does not take it back from the new one on release', async () => {
    const context = chain.context();
    const first = await acquireLease(context, 'fill');
    const lost = new Promise<unknown>((resolve) =>
      first.lost.addEventListener('abort', () => resolve(first.lost.reason)),
    );
    await takeOver(chain);
    expect(await lost).toMatchObject({ code: 'lease_lost' });
    await first.release();
    expect(await readLease(chain.db, context.runtime.stateSchema, context.definition.id)).toMatchObject({
      holder: 'elsewhere:1:abc',
    });
  });

  it('marks the session of its owner: an earlier one that is stopped is named, one that ended is not', async (test) => {
    test.skip(chain.db.embedded, 'the embedded database has one session for everybody');
    const stopped = await acquireLease(chain.context(), 'fill');
    const marked = async (): Promise<{ pid: number }[]> => {
      const locks = await chain.db.query<{ pid: number }>(
        `SELECT pid FROM pg_locks WHERE locktype = 'advisory' AND database =
           (SELECT oid FROM pg_database WHERE datname = current_database())`,
      );
      return [...locks.rows];
    };
    const [session] = await marked();
    expect((await readStatus(chain.context())).lease).toMatchObject({ expired: false, session: session?.pid });
    // As when its time had run out: its own heartbeat no longer finds its token.
    await chain.db.query(`UPDATE reembed.leases SET token = token + 1, expires = now() - interval '1 second'`);
    const notices = async (): Promise<unknown> => {
      const context = chain.context();
      const heir = await acquireLease(context, 'fill');
      await heir.release();
      return context.events;
    };
    const message = `The session of an earlier run (pid ${session?.pid}) is still connected: that run is stopped or stuck, and can no longer write.`;
    expect(await notices()).toEqual([{ kind: 'notice', message }]);
    await stopped.release();
    await waitFor('its session to end', async () => ((await marked()).length === 0 ? true : undefined));
    expect(await notices()).toEqual([]);
  });

  it('of a migration under knex that goes on is taken by the next step, and by no sync worker that came before its end', async (test) => {
    test.skip(chain.db.embedded, 'whoever else had the embedded database is gone');
    await takeOver(chain);
    await chain.db.query(`UPDATE reembed.leases SET holder = holder || ':knex', step = 'after fill'`);
    await expect(acquireLease(chain.context(), 'sync')).rejects.toMatchObject({ code: 'migration_busy' });
    await (await acquireLease(chain.context(), 'fill')).release();
  });

  it('of a process that died is waited for and taken over, without anybody unlocking anything', async () => {
    const context = chain.context();
    await acquireLeaseOfDeadProcess(chain);
    expect(await fill(context)).toMatchObject({ rows: { done: ROWS } });
    const waited = context.events.some(
      (event) => event.kind === 'notice' && /Waiting for fill by elsewhere:1/.test(event.message),
    );
    expect(waited || chain.database.embedded).toBe(true);
  });
});

async function takeOver(chain: Chain): Promise<void> {
  await chain.db.query(
    `UPDATE reembed.leases SET token = token + 1, holder = 'elsewhere:1:abc', step = 'fill', expires = now() + interval '1 hour'`,
  );
}

async function acquireLeaseOfDeadProcess(chain: Chain): Promise<void> {
  await chain.db.query(
    `UPDATE reembed.leases SET token = token + 1, holder = 'elsewhere:1:abc', step = 'fill', expires = clock_timestamp() + interval '1.5 seconds'`,
  );
}
