import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import type { MigrationInput } from '../../src/config/define-migration.ts';
import { hashProvider } from '../../src/providers/hash.ts';
import type { MigrationContext } from '../../src/state/context.ts';
import { cutOver } from '../../src/steps/cut-over.ts';
import { expand } from '../../src/steps/expand.ts';
import { fill } from '../../src/steps/fill.ts';
import { finalize } from '../../src/steps/finalize.ts';
import { restore } from '../../src/steps/restore.ts';
import { undoCutOver } from '../../src/steps/undo-cut-over.ts';
import { type Chain, openChain } from '../helpers/chain.ts';
import { checksumOf, type Watched, wrongVectors } from '../helpers/oracle.ts';
import { walkChain } from '../helpers/walk-chain.ts';

const ROWS = 200;

let chain: Chain;
let backups: string;

beforeAll(async () => {
  backups = await mkdtemp(join(tmpdir(), 'reembed-columns-'));
  chain = await openChain();
});
afterAll(async () => {
  await chain.close();
  await rm(backups, { recursive: true, force: true });
});

function contextFor(table: string, input: Partial<MigrationInput> = {}): MigrationContext {
  return chain.context({ id: table.replaceAll('_', '-'), table, ...input }, { backupDir: backups });
}

/** `table(id, text, embedding, voice)` with rows; `column` is the definition of `embedding`. */
async function makeTable(table: string, column: string, rows = ROWS): Promise<Watched> {
  const dimensions = Number(/\((\d+)\)/.exec(column)?.[1] ?? 8);
  await chain.db.query(
    `CREATE TABLE ${table} (id bigserial PRIMARY KEY, text text, embedding ${column}, voice vector(4) NOT NULL)`,
  );
  await chain.db.query(
    `INSERT INTO ${table} (text, embedding, voice)
     SELECT 'passage ' || md5(i::text), (SELECT array_agg(0.5 + random()) FROM generate_series(1, ${dimensions}) WHERE i > 0)::vector, ARRAY[i, 1, 2, 3]::vector
     FROM generate_series(1, ${rows}) i`,
  );
  return { table, key: 'id', text: 'text' };
}

describe('types', () => {
  it('halfvec takes a model of more than 2,000 dimensions, with its index', async () => {
    const watched = await makeTable('wide', 'vector(8)', 60);
    await chain.db.query('CREATE INDEX wide_idx ON wide USING hnsw (embedding vector_cosine_ops)');
    const ctx = contextFor('wide', {
      model: 'hash/3072',
      dimensions: 3072,
      vectorType: 'halfvec',
      index: { kind: 'hnsw' },
    });
    await walkChain(ctx, watched, 'text, embedding, voice', { provider: hashProvider('hash/3072'), minCosine: 0.9999 });
    const { rows } = await chain.db.query(`SELECT pg_get_indexdef('wide_idx'::regclass) AS def`);
    expect(rows[0]).toMatchObject({ def: expect.stringContaining('USING hnsw (embedding halfvec_cosine_ops)') });
  });

  it('a halfvec column goes to vector and comes back, from a backup too', async () => {
    const watched = await makeTable('half', 'halfvec(8)');
    await chain.db.query('CREATE INDEX half_idx ON half USING hnsw (embedding halfvec_l2_ops)');
    const ctx = contextFor('half');
    await walkChain(ctx, watched, 'text, embedding, voice');
    const old = await checksumOf(chain.db, watched, 'embedding_old');
    const { backup } = await finalize(ctx, { now: true });
    expect(await restore(ctx, { path: backup?.path ?? '' })).toMatchObject({ restored: ROWS });
    expect(await checksumOf(chain.db, watched, 'embedding_old')).toBe(old);
    await undoCutOver(ctx);
    expect(await checksumOf(chain.db, watched, 'embedding')).toBe(old);
  });

  it('a column without declared dimensions, with rows of several, comes back as it was', async () => {
    const watched = await makeTable('loose', 'vector');
    await chain.db.query(
      `UPDATE loose SET embedding = '[1,2,3]' WHERE id % 3 = 0; UPDATE loose SET embedding = NULL WHERE id % 7 = 0`,
    );
    const ctx = chain.context({ id: 'loose', table: 'loose' }, { backupDir: backups, rollback: 'accept-missing' });
    await walkChain(ctx, watched, 'text, embedding, voice');
  });
});

describe('text', () => {
  it.each(['char(80)', 'varchar(200)', 'jsonb'])('of type %s is embedded as its text form', async (type) => {
    const table = `as_${type.replace(/\W.*/, '')}`;
    const watched = await makeTable(table, 'vector(8)', 50);
    const using = type === 'jsonb' ? `jsonb_build_object('title', text)` : `text::${type}`;
    await chain.db.query(`ALTER TABLE ${table} ALTER COLUMN text TYPE ${type} USING ${using}`);
    await walkChain(contextFor(table), watched, 'text, embedding, voice');
  });

  it('that is equal under its collation and yet another one is embedded again', async ({ skip }) => {
    const made = await chain.db
      .query(`CREATE COLLATION loose_case (provider = icu, locale = 'und-u-ks-level2', deterministic = false)`)
      .then(
        () => true,
        () => false,
      );
    skip(!made, 'this Postgres has no ICU collations');
    const watched = await makeTable('loose_text', 'vector(8)', 50);
    await chain.db.query('ALTER TABLE loose_text ALTER COLUMN text TYPE text COLLATE loose_case');
    const ctx = contextFor('loose_text');
    await expand(ctx);
    await fill(ctx);
    await chain.db.query('UPDATE loose_text SET text = upper(text) WHERE id <= 3');
    expect((await fill(ctx)).run).toMatchObject({ written: 3 });
    await cutOver(ctx);
    await chain.db.query('UPDATE loose_text SET text = lower(text) WHERE id = 2');
    const { rows } = await chain.db.query('SELECT id::int AS id FROM loose_text WHERE embedding_old IS NULL');
    expect(rows).toEqual([{ id: 2 }]);
    expect(await wrongVectors(chain.db, watched, 'embedding')).toEqual([]);
  });
});
