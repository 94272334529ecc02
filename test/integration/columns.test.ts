import { randomBytes } from 'node:crypto';
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import type { MigrationInput } from '../../src/config/define-migration.ts';
import type { MigrationContext } from '../../src/state/context.ts';
import { cutOver } from '../../src/steps/cut-over.ts';
import { expand } from '../../src/steps/expand.ts';
import { fill } from '../../src/steps/fill.ts';
import { finalize } from '../../src/steps/finalize.ts';
import { undoCutOver } from '../../src/steps/undo-cut-over.ts';
import { type Chain, openChain } from '../helpers/chain.ts';
import { catalogOf, checksumOf, type Watched, wrongVectors } from '../helpers/oracle.ts';
import { walkChain } from '../helpers/walk-chain.ts';

const ROWS = 200;
/** Roles belong to the whole server. */
const READER = `"dressed reader ${randomBytes(4).toString('hex')}"`;

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

function failsWith(promise: Promise<unknown>): Promise<{ code: string; message: string; hint: string | undefined }> {
  return promise.then(
    () => expect.fail('it passed'),
    ({ code, message, hint }) => ({ code, message, hint }),
  );
}

describe('a column that is NOT NULL', () => {
  const insertWithout = (table: string) =>
    chain.db.query(`INSERT INTO ${table} (text, voice) VALUES ('new', '[1,1,1,1]')`);

  it('is NOT NULL before, during and after: an insert without a vector fails as it always did', async () => {
    const watched = await makeTable('strict', 'vector(8) NOT NULL');
    const refused = { code: '23502', column: 'embedding' };
    const ctx = contextFor('strict');
    await expect(insertWithout('strict')).rejects.toMatchObject(refused);
    await expand(ctx);
    await fill(ctx);
    await expect(insertWithout('strict')).rejects.toMatchObject(refused);
    await cutOver(ctx);
    await expect(insertWithout('strict')).rejects.toMatchObject(refused);
    // The kept column became nullable: the application, which knows nothing of it, goes on inserting.
    await chain.db.query(
      `INSERT INTO strict (text, embedding, voice) VALUES ('new', array_fill(0.1, ARRAY[384])::vector, '[1,1,1,1]')`,
    );
    await chain.db.query(`DELETE FROM strict WHERE text = 'new'`);
    await undoCutOver(ctx);
    await expect(insertWithout('strict')).rejects.toMatchObject(refused);
    await cutOver(ctx);
    expect(await wrongVectors(chain.db, watched, 'embedding')).toEqual([]);
  });

  it('refuses the exchange while a row will have no vector, and says which rows', async () => {
    await makeTable('strict_blank', 'vector(8) NOT NULL');
    await chain.db.query(`UPDATE strict_blank SET text = E' \\n ' WHERE id = 3`);
    await chain.db.query(`UPDATE strict_blank SET text = NULL WHERE id = 4`);
    const ctx = contextFor('strict_blank');
    await expand(ctx);
    expect((await fill(ctx)).rows).toMatchObject({ total: ROWS, done: ROWS - 2, skipped: 2 });
    const before = await checksumOf(
      chain.db,
      { table: 'strict_blank', key: 'id', text: 'text' },
      'text, embedding, voice',
    );
    expect(await failsWith(cutOver(ctx))).toEqual({
      code: 'not_null_violated',
      message:
        'public.strict_blank.embedding is NOT NULL, and 2 rows will have no new vector: their text is empty, blank or in quarantine.',
      hint: 'Give these rows a text, delete them, or run "ALTER TABLE "public"."strict_blank" ALTER COLUMN "embedding" DROP NOT NULL".',
    });
    expect(
      await checksumOf(chain.db, { table: 'strict_blank', key: 'id', text: 'text' }, 'text, embedding, voice'),
    ).toBe(before);
    await chain.db.query(`UPDATE strict_blank SET text = 'a text at last' WHERE id = 3`);
    await chain.db.query('DELETE FROM strict_blank WHERE id = 4');
    await cutOver(ctx);
    expect(await wrongVectors(chain.db, { table: 'strict_blank', key: 'id', text: 'text' }, 'embedding')).toEqual([]);
  });
});

describe('what belongs to the name of the column', () => {
  it('goes with the name, and comes back with it: DEFAULT, CHECK, comment, statistics, grants', async () => {
    const watched = await makeTable('dressed', 'vector');
    await chain.db.query(
      `UPDATE dressed SET embedding = (SELECT array_agg(0.5 + random()) FROM generate_series(1, 384) WHERE id > 0)::vector;
       ALTER TABLE dressed ALTER COLUMN embedding TYPE vector(384), ALTER COLUMN embedding SET STATISTICS 37,
         ALTER COLUMN embedding SET DEFAULT array_fill(0.25::real, ARRAY[384])::vector,
         ADD CONSTRAINT "Len ok" CHECK (vector_norm(embedding) > 0.5 AND voice IS NOT NULL);
       COMMENT ON COLUMN dressed.embedding IS 'the one that ''we'' search';
       COMMENT ON CONSTRAINT "Len ok" ON dressed IS 'no zero vectors';
       CREATE ROLE ${READER}; GRANT SELECT (embedding, text), UPDATE (embedding) ON dressed TO ${READER} WITH GRANT OPTION`,
    );
    const of = (name: string) => async () =>
      (await catalogOf(chain.db, 'dressed')).filter(
        (row) =>
          ['constraint', 'column'].includes((row as { kind: string }).kind) && (row as { name: string }).name === name,
      );
    const column = of('embedding');
    const check = of('Len ok');
    const before = [await column(), await check()];
    expect(JSON.stringify(before)).toMatch(/we.*Len ok/s);
    const ctx = contextFor('dressed', { target: 'embedding_next' });
    await walkChain(ctx, watched, 'text, embedding, voice');
    expect([await column(), await check()]).toEqual(before);
    await expect(
      chain.db.query(
        'UPDATE dressed SET embedding = embedding * array_fill(0.001::real, ARRAY[384])::vector WHERE id = 1',
      ),
    ).rejects.toMatchObject({ code: '23514' });
    const { rows } = await chain.db.query(
      `INSERT INTO dressed (text, voice) VALUES ('x', '[1,1,1,1]') RETURNING vector_dims(embedding) AS n`,
    );
    expect(rows).toEqual([{ n: 384 }]);
    await chain.db.query(`DROP OWNED BY ${READER}; DROP ROLE ${READER}`);
  });

  it('is looked at before the exchange: a CHECK and a DEFAULT for the old dimension are refused by name', async () => {
    await makeTable('narrow', 'vector(8)');
    await chain.db.query('ALTER TABLE narrow ADD CONSTRAINT eight CHECK (vector_dims(embedding) = 8)');
    const ctx = contextFor('narrow');
    await expand(ctx);
    expect(await failsWith(cutOver(ctx))).toEqual({
      code: 'check_violated',
      message: 'The CHECK "eight" of public.narrow does not hold for the new vectors: the row with key 1 violates it.',
      hint: 'Drop it ("ALTER TABLE "public"."narrow" DROP CONSTRAINT "eight"") or change it so that it holds for both, then run the same command again.',
    });
    await chain.db.query(
      `ALTER TABLE narrow DROP CONSTRAINT eight, ALTER COLUMN embedding SET DEFAULT '[1,2,3,4,5,6,7,8]'`,
    );
    expect(await failsWith(cutOver(ctx))).toEqual({
      code: 'default_unfit',
      message: 'The DEFAULT of public.narrow.embedding does not fit vector(384): expected 384 dimensions, not 8.',
      hint: 'Run "ALTER TABLE "public"."narrow" ALTER COLUMN "embedding" DROP DEFAULT", then the same command again.',
    });
    await chain.db.query('ALTER TABLE narrow ALTER COLUMN embedding DROP DEFAULT');
    await cutOver(ctx);
  });
});

describe('indexes', () => {
  it('several, partial and over expressions, are built for the new vectors and kept for the old', async () => {
    const watched = await makeTable('indexed', 'vector(8)', 600);
    await chain.db.query(
      `CREATE INDEX indexed_cosine ON indexed USING ivfflat (embedding vector_cosine_ops) WITH (lists = 3);
       CREATE INDEX "indexed L2" ON indexed USING hnsw (embedding vector_l2_ops) WITH (m = 8, ef_construction = 40);
       CREATE INDEX indexed_partial ON indexed USING hnsw (embedding vector_ip_ops) WHERE id % 2 = 0 AND embedding IS NOT NULL;
       CREATE INDEX indexed_half ON indexed USING hnsw ((embedding::halfvec(8)) halfvec_cosine_ops);
       CREATE INDEX indexed_text ON indexed (text)`,
    );
    const definitions = async (): Promise<Record<string, string>> => {
      const { rows } = await chain.db.query<{ name: string; def: string }>(
        `SELECT c.relname AS name, pg_get_indexdef(c.oid) AS def FROM pg_index i JOIN pg_class c ON c.oid = i.indexrelid
         WHERE i.indrelid = 'indexed'::regclass AND i.indisvalid ORDER BY 1`,
      );
      return Object.fromEntries(rows.map((row) => [row.name, row.def]));
    };
    const before = await definitions();
    const ctx = contextFor('indexed', { index: { kind: 'hnsw' } });
    await walkChain(ctx, watched, 'text, embedding, voice');
    const after = await definitions();
    expect(after).toMatchObject({
      indexed_cosine: expect.stringMatching(/USING hnsw \(embedding vector_cosine_ops\)/),
      'indexed L2': expect.stringMatching(
        /USING hnsw \(embedding vector_l2_ops\) WITH \(m='8', ef_construction='40'\)/,
      ),
      indexed_partial: expect.stringMatching(
        /USING hnsw \(embedding vector_ip_ops\) WHERE .*id % .*2.*embedding IS NOT NULL/,
      ),
      indexed_half: expect.stringMatching(/\(\(embedding\)::halfvec\(384\)\) halfvec_cosine_ops/),
      indexed_text: before.indexed_text,
    });
    expect(Object.values(after).filter((def) => def.includes('embedding_old'))).toHaveLength(4);
    await finalize(ctx, { now: true });
    expect(Object.keys(await definitions()).sort()).toEqual(Object.keys(before).sort());
  });

  it('keep their kinds, and an HNSW index its options, where no kind is asked for', async () => {
    const watched = await makeTable('alike', 'vector(8)', 600);
    await chain.db.query(
      `CREATE INDEX alike_a ON alike USING hnsw (embedding vector_cosine_ops) WITH (m = 8);
       CREATE INDEX alike_b ON alike USING ivfflat (embedding vector_l2_ops) WITH (lists = 3)`,
    );
    await walkChain(contextFor('alike'), watched, 'text, embedding, voice');
    const { rows } = await chain.db.query<{ def: string }>(
      `SELECT regexp_replace(indexdef, '^.* USING ', '') AS def FROM pg_indexes
       WHERE tablename = 'alike' AND indexname IN ('alike_a', 'alike_b') ORDER BY indexname`,
    );
    expect(rows.map(({ def }) => def)).toEqual([
      `hnsw (embedding vector_cosine_ops) WITH (m='8')`,
      // l2 is IVFFlat's default, which Postgres does not print.
      `ivfflat (embedding) WITH (lists='12')`,
    ]);
  });

  it.each(['none', 'hnsw'] as const)("of kind '%s' on a table that had none", async (kind) => {
    const table = `bare_${kind}`;
    const watched = await makeTable(table, 'vector(8)', 50);
    await walkChain(contextFor(table, { index: { kind } }), watched, 'text, embedding, voice');
    const { rows } = await chain.db.query(`SELECT indexname AS name FROM pg_indexes WHERE tablename = $1 ORDER BY 1`, [
      table,
    ]);
    const built = kind === 'none' ? [] : [{ name: `${table}_embedding_hnsw_idx` }];
    expect(rows).toEqual([...built, { name: `${table}_pkey` }]);
  });

  it("index 'none' leaves the old indexes with the old column", async () => {
    const watched = await makeTable('kept_none', 'vector(8)', 50);
    await chain.db.query('CREATE INDEX kept_none_idx ON kept_none USING hnsw (embedding vector_cosine_ops)');
    const ctx = contextFor('kept_none', { index: { kind: 'none' } });
    await walkChain(ctx, watched, 'text, embedding, voice');
    const { rows } = await chain.db.query(
      `SELECT indexdef AS def FROM pg_indexes WHERE tablename = 'kept_none' AND indexdef LIKE '%hnsw%'`,
    );
    expect(rows).toEqual([{ def: expect.stringContaining('(embedding_old vector_cosine_ops)') }]);
  });

  it("oldIndex 'drop' takes them away in 005 and builds them again on the way down", async () => {
    const watched = await makeTable('unindexed', 'vector(8)', 600);
    await chain.db.query(
      `CREATE INDEX unindexed_a ON unindexed USING ivfflat (embedding vector_cosine_ops) WITH (lists = 3);
       CREATE INDEX unindexed_b ON unindexed USING hnsw (embedding vector_l2_ops) WHERE id > 5`,
    );
    const ctx = contextFor('unindexed', { oldIndex: 'drop' });
    await walkChain(ctx, watched, 'text, embedding, voice');
    const { rows } = await chain.db.query(
      `SELECT c.relname AS name FROM pg_index i JOIN pg_class c ON c.oid = i.indexrelid
       WHERE i.indrelid = 'unindexed'::regclass AND i.indisvalid AND NOT i.indisprimary ORDER BY 1`,
    );
    expect(rows).toEqual([{ name: 'unindexed_a' }, { name: 'unindexed_b' }]);
  });
});
