import { afterAll, beforeAll, beforeEach, describe, expect, it } from 'vitest';
import { type DoctorOptions, type DoctorReport, doctor } from '../../src/inspect/doctor.ts';
import { readFacts } from '../../src/inspect/facts.ts';
import { makePlan } from '../../src/plan/make-plan.ts';
import { quarantineRows } from '../../src/state/quarantine.ts';
import { cutOver } from '../../src/steps/cut-over.ts';
import { expand } from '../../src/steps/expand.ts';
import { fill } from '../../src/steps/fill.ts';
import { type Chain, makeSegments, openChain } from '../helpers/chain.ts';
import { findingsBut } from '../helpers/doctor-bed.ts';

let chain: Chain;
beforeAll(async () => {
  chain = await openChain();
});
afterAll(() => chain.close());

beforeEach(async () => {
  await chain.db.query('DROP TABLE IF EXISTS segments, chunks CASCADE');
  await chain.db.query('DROP SCHEMA IF EXISTS reembed CASCADE');
  await makeSegments(chain.db, { rows: 600 });
});

type Input = Parameters<Chain['context']>[0];

async function findings(input: Input = {}, options: DoctorOptions = {}): Promise<Record<string, string>> {
  const report = await doctor(chain.context(input), options);
  return Object.fromEntries(findingsBut(report).map((finding) => [finding.code, finding.message]));
}

describe('doctor', () => {
  it('finds nothing wrong with a sound table, in every phase, and tells the versions', async () => {
    const healthy = async (): Promise<DoctorReport> => {
      const report = await doctor(chain.context());
      expect(findingsBut(report)).toEqual([]);
      return report;
    };
    const { postgres, pgvector } = await healthy();
    expect(postgres).toMatch(/^\d+/);
    expect(pgvector).toMatch(/^0\.\d+/);
    await expand(chain.context());
    await healthy();
    await fill(chain.context());
    await healthy();
    await cutOver(chain.context());
    await healthy();
  });

  it('tells what the preflight would', async () => {
    expect(await findings({ text: 'body' })).toMatchObject({ text_missing: expect.stringContaining('"body"') });
  });

  it('names other columns with the old size', async () => {
    await chain.db.query('CREATE TABLE chunks (id int PRIMARY KEY, summary vector(16))');
    expect(await findings()).toEqual({
      same_dimensions: 'Other columns have 16 dimensions too: public.chunks.summary.',
    });
  });

  it('names an index that a broken build left behind', async () => {
    // A duplicate key breaks the build of a unique index and leaves it INVALID.
    await chain.db.query(`UPDATE segments SET text = 'same' WHERE id <= 2`);
    await expect(chain.db.query('CREATE UNIQUE INDEX CONCURRENTLY broken ON segments (text)')).rejects.toThrow(
      'unique',
    );
    expect((await findings()).index_invalid).toContain('"public.broken" is INVALID');
  });

  it('names an index for another distance than the configured one', async () => {
    const found = await findings({ index: { kind: 'ivfflat', distance: 'l2' } });
    expect(found.distance_mismatch).toContain('is for cosine, the configuration asks for l2');
  });

  it('shows quarantine and a lease that nobody renews', async () => {
    await expand(chain.context());
    await quarantineRows(chain.db, 'reembed', 'segments-hash', [
      { key: ['5'], hash: Buffer.alloc(16), reason: 'a zero vector' },
    ]);
    await chain.db.query(
      `UPDATE reembed.leases SET holder = 'gone:1', step = 'fill', expires = now() - interval '1 hour' WHERE migration_id = 'segments-hash'`,
    );
    const found = await findings();
    expect(found.quarantine).toBe('1 row could not be embedded, e.g. 5: a zero vector.');
    expect(found.lease_expired).toContain('fill by gone:1');
  });

  it('says which variables override the file', async () => {
    const found = await findings({}, { overriddenBy: ['EMBEDDING_MODEL'] });
    expect(found.environment_overrides).toContain('EMBEDDING_MODEL');
  });
});

describe('the plan of a real table', () => {
  it('shows statements that run as they are shown', async () => {
    const ctx = chain.context();
    const plan = makePlan(await readFacts(ctx), ctx.definition, 'public');
    expect(plan).toMatchObject({
      rows: 600,
      rowsCounted: true,
      from: 'vector(16)',
      to: 'vector(384)',
      distance: 'cosine',
    });
    for (const statement of plan.steps[0]?.sql ?? []) await chain.db.query(statement);
    await chain.db.query(`UPDATE segments SET embedding_384 = array_fill(id::real, ARRAY[384])::vector`);
    for (const statement of plan.steps[2]?.sql ?? []) {
      if (statement !== 'BEGIN' && statement !== 'COMMIT') await chain.db.query(statement);
    }
    const after = await readFacts(ctx);
    expect(after.oldDimensions).toBe(384);
    expect(after.annIndexes.map((index) => index.name)).toEqual(plan.indexes.map((index) => `${index.name}_reembed`));
    await chain.db.query('DROP TABLE segments CASCADE; DROP FUNCTION IF EXISTS "public"."invalidate_segments-hash"()');
  });

  it('estimates the new column’s room to within a tenth', async () => {
    const ctx = chain.context();
    const plan = makePlan(await readFacts(ctx), ctx.definition, 'reembed');
    await expand(ctx);
    await fill(ctx);
    const { rows } = await chain.db.query<{ bytes: number }>(
      `SELECT sum(pg_column_size(embedding_384) + 4 + pg_column_size(embedding_384_hash) + 8)::float8 AS bytes FROM segments`,
    );
    expect(plan.storage.newColumnBytes / (rows[0]?.bytes ?? 0)).toBeGreaterThan(0.98);
    expect(plan.storage.newColumnBytes / (rows[0]?.bytes ?? 0)).toBeLessThan(1.1);
  });

  it('estimates the index’s room to within a fifth, for vectors that do not compress', async () => {
    await chain.db.query('DROP TABLE segments CASCADE');
    await makeSegments(chain.db, { rows: 2000, dimensions: 384 });
    const ctx = chain.context();
    const plan = makePlan(await readFacts(ctx), ctx.definition, 'reembed');
    const { rows } = await chain.db.query<{ bytes: number }>(
      `SELECT pg_relation_size('idx_segments_text_embedding_ivfflat')::float8 AS bytes`,
    );
    expect(plan.storage.newIndexBytes / (rows[0]?.bytes ?? 0)).toBeGreaterThan(0.8);
    expect(plan.storage.newIndexBytes / (rows[0]?.bytes ?? 0)).toBeLessThan(1.2);
  });
});
