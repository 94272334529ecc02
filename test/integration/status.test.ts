import { afterAll, beforeAll, beforeEach, describe, expect, it } from 'vitest';
import { readStatus, type Status } from '../../src/inspect/status.ts';
import { acquireLease } from '../../src/state/lease.ts';
import { quarantineRows } from '../../src/state/quarantine.ts';
import { cutOver } from '../../src/steps/cut-over.ts';
import { expand } from '../../src/steps/expand.ts';
import { fill } from '../../src/steps/fill.ts';
import { type Chain, insertSegments, makeSegments, openChain } from '../helpers/chain.ts';

const ROWS = 600;

let chain: Chain;
beforeAll(async () => {
  chain = await openChain();
});
afterAll(() => chain.close());

beforeEach(async () => {
  await chain.db.query('DROP TABLE IF EXISTS segments CASCADE');
  await chain.db.query('DROP SCHEMA IF EXISTS reembed CASCADE');
  await makeSegments(chain.db, { rows: ROWS });
});

const status = (): Promise<Status> => readStatus(chain.context());

describe('status', () => {
  it('follows the migration through its phases', async () => {
    expect(await status()).toMatchObject({
      migration: 'segments-hash',
      table: 'public.segments',
      phase: 'none',
      rows: { total: ROWS, done: 0, pending: ROWS, skipped: 0, quarantined: 0 },
      model: { from: null, to: 'hash/384' },
      active: 'old',
      indexes: [{ name: 'idx_segments_text_embedding_ivfflat', kind: 'ivfflat', valid: true }],
      newColumn: null,
    });
    await expand(chain.context());
    expect(await status()).toMatchObject({ phase: 'expanded', newColumn: 'embedding_384', rows: { pending: ROWS } });
    await fill(chain.context());
    expect(await status()).toMatchObject({ phase: 'backfilled', active: 'old', rows: { done: ROWS, pending: 0 } });
    await cutOver(chain.context());
    expect(await status()).toMatchObject({
      phase: 'swapped',
      active: 'new',
      newColumn: 'embedding',
      keptColumn: 'embedding_old',
      missingOld: 0,
      indexes: [
        { name: 'idx_segments_text_embedding_ivfflat', kind: 'ivfflat', valid: true, column: 'embedding', probes: 4 },
        { name: 'idx_segments_text_embedding_ivfflat_old', column: 'embedding_old' },
      ],
    });
    expect((await status()).lastEvents.map((event) => event.kind)).toContain('expanded');
  });

  it('names the old model where it is configured', async () => {
    const from = { provider: 'hash', model: 'hash/16', dimensions: 16 } as const;
    expect((await readStatus(chain.context({ from }))).model).toEqual({ from: 'hash/16', to: 'hash/384' });
  });

  it('counts every row once: done, pending, skipped, quarantined', async () => {
    await expand(chain.context());
    await fill(chain.context());
    await chain.db.query(`INSERT INTO segments (text) VALUES (NULL), ('  '), (''), ('new text'), ('bad text')`);
    const { rows } = await chain.db.query<{ id: string; hash: Buffer }>(
      `SELECT id, substring(sha256(convert_to(text, 'UTF8')), 1, 16) AS hash FROM segments WHERE text = 'bad text'`,
    );
    await quarantineRows(
      chain.db,
      'reembed',
      'segments-hash',
      rows.map((row) => ({ key: [row.id], hash: row.hash, reason: 'zero vector' })),
    );
    expect((await status()).rows).toEqual({ total: ROWS + 5, done: ROWS, pending: 1, skipped: 3, quarantined: 1 });
  });

  it('counts the rows that going back would have to fill', async () => {
    await expand(chain.context());
    await fill(chain.context());
    await cutOver(chain.context());
    await chain.db.query(`INSERT INTO segments (text) VALUES ('without an old vector')`);
    expect((await status()).missingOld).toBe(1);
  });

  it('says who works', async () => {
    await expand(chain.context());
    const lease = await acquireLease(chain.context(), 'fill');
    expect((await status()).lease).toMatchObject({ step: 'fill', expired: false });
    await lease.release();
    expect((await status()).lease).toBeNull();
  });
});

describe('status believes the catalog', () => {
  it('when the new column was dropped by hand', async () => {
    await expand(chain.context());
    await fill(chain.context());
    await chain.db.query(
      'DROP TRIGGER "zzz_reembed_segments-hash" ON segments; ALTER TABLE segments DROP COLUMN embedding_384',
    );
    const seen = await status();
    expect(seen).toMatchObject({ phase: 'none', rows: { done: 0, pending: ROWS } });
    expect(seen.warnings[0]).toContain('"segments.embedding_384" was dropped');
  });

  it('when the kept column was dropped by hand', async () => {
    await expand(chain.context());
    await fill(chain.context());
    await cutOver(chain.context());
    await chain.db.query('ALTER TABLE segments DROP COLUMN embedding_old CASCADE');
    const seen = await status();
    expect(seen).toMatchObject({ phase: 'finalized', active: 'new', missingOld: null });
    expect(seen.warnings[0]).toContain('there is no way back');
  });

  it('when the table was made anew', async () => {
    await expand(chain.context());
    await chain.db.query('DROP TABLE segments');
    await makeSegments(chain.db, { rows: 3 });
    expect(await status()).toMatchObject({
      phase: 'none',
      rows: { total: 3 },
      warnings: [expect.stringContaining('dropped since')],
    });
  });

  it.each([
    ['expanded', async () => void (await expand(chain.context()))],
    ['backfilled', () => fillAll()],
    ['backfilling', () => fillAll().then(() => insertSegments(chain.db, 5, 16))],
    ['swapped', () => fillAll().then(async () => void (await cutOver(chain.context())))],
  ] as [string, () => Promise<void>][])('when the state was dropped while %s', async (phase, reach) => {
    await reach();
    await chain.db.query('DROP SCHEMA reembed CASCADE');
    const seen = await status();
    expect(seen.phase).toBe(phase);
    expect(seen.active).toBe(phase === 'swapped' ? 'new' : 'old');
    expect(seen.warnings[0]).toContain('state is gone');
  });

  async function fillAll(): Promise<void> {
    await expand(chain.context());
    await fill(chain.context());
  }
});
