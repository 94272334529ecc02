import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { textHash } from '../../src/backfill/text-hash.ts';
import { writeBatch } from '../../src/backfill/write-batch.ts';
import { readVectorExtension } from '../../src/db/catalog.ts';
import { hashProvider } from '../../src/providers/hash.ts';
import { acquireLease, assertLease, readLease } from '../../src/state/lease.ts';
import { registerModel } from '../../src/state/models.ts';
import { resolveMigration } from '../../src/state/resolve.ts';
import { expand } from '../../src/steps/expand.ts';
import { fill } from '../../src/steps/fill.ts';
import { type Chain, makeSegments, openChain } from '../helpers/chain.ts';

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
