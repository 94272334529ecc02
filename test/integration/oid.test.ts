import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { verify } from '../../src/inspect/verify.ts';
import { hashProvider } from '../../src/providers/hash.ts';
import type { MigrationContext } from '../../src/state/context.ts';
import { cutOver } from '../../src/steps/cut-over.ts';
import { expand } from '../../src/steps/expand.ts';
import { fill } from '../../src/steps/fill.ts';
import { finalize } from '../../src/steps/finalize.ts';
import { restore } from '../../src/steps/restore.ts';
import { undoFill } from '../../src/steps/undo-fill.ts';
import { type Chain, openChain } from '../helpers/chain.ts';
import { checksumOf, type Watched, wrongVectors } from '../helpers/oracle.ts';
import { walkChain } from '../helpers/walk-chain.ts';

const ROWS = 1_100;

describe("pgvector in a schema of its own, which is on nobody's search_path", () => {
  let chain: Chain;
  let backups: string;
  let ctx: MigrationContext;
  const watched: Watched = { table: 'segments', key: 'id', text: 'text', extension: '"Ext ensions"' };

  beforeAll(async () => {
    backups = await mkdtemp(join(tmpdir(), 'reembed-oid-'));
    chain = await openChain();
    await chain.db.query(
      `DROP EXTENSION vector; CREATE SCHEMA "Ext ensions"; CREATE EXTENSION vector SCHEMA "Ext ensions";
       CREATE TABLE segments (id bigserial PRIMARY KEY, text text, embedding "Ext ensions".vector(8), voice "Ext ensions".halfvec(3));
       INSERT INTO segments (text, embedding, voice)
         SELECT 'text ' || md5(i::text), (SELECT array_agg(i + n + random()) FROM generate_series(1, 8) n)::"Ext ensions".vector, '[1,2,3]' FROM generate_series(1, ${ROWS}) i;
       CREATE INDEX segments_idx ON segments USING ivfflat (embedding "Ext ensions".vector_cosine_ops) WITH (lists = 2)`,
    );
    ctx = chain.context({}, { backupDir: backups });
  });
  afterAll(async () => {
    await chain.close();
    await rm(backups, { recursive: true, force: true });
  });

  it('does not keep the chain from going up, down and up again', async () => {
    await walkChain(ctx, watched, 'text, embedding::text, voice::text');
    expect(
      (await verify(ctx, { full: true, provider: async () => hashProvider('hash/384') })).checks.filter(
        (check) => !check.ok,
      ),
    ).toEqual([]);
  });

  it('nor triggers, backups and what they bring back', async () => {
    await chain.db.query(`UPDATE segments SET text = 'edited' WHERE id = 5`);
    const { rows } = await chain.db.query(
      'SELECT embedding_old IS NULL AS cleared, embedding IS NULL AS served FROM segments WHERE id = 5',
    );
    expect(rows).toEqual([{ cleared: true, served: false }]);
    const old = await checksumOf(chain.db, watched, 'embedding_old::text');
    const { backup } = await finalize(ctx, { now: true });
    await restore(ctx, { path: backup?.path ?? '' });
    expect(await checksumOf(chain.db, watched, 'embedding_old::text')).toBe(old);
  });

  it('nor halfvec as the new type', async () => {
    await chain.db.query(
      'CREATE TABLE halves AS SELECT id, text, embedding_old AS embedding FROM segments; ALTER TABLE halves ADD PRIMARY KEY (id)',
    );
    const half = chain.context({ id: 'halves', table: 'halves', vectorType: 'halfvec' }, { backupDir: backups });
    const halves = { ...watched, table: 'halves' };
    await expand(half);
    await fill(half);
    await undoFill(half);
    expect(await fill(half)).toMatchObject({ rows: { done: ROWS } });
    expect(half).toMatchObject({
      events: expect.arrayContaining([
        expect.objectContaining({ message: expect.stringMatching(/^1100 vectors came back from /) }),
      ]),
    });
    await cutOver(half);
    expect(await wrongVectors(chain.db, halves, 'embedding', { minCosine: 0.9999 })).toEqual([]);
  });
});
