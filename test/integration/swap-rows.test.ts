import { afterAll, afterEach, beforeAll, describe, expect, it } from 'vitest';
import type { MigrationInput } from '../../src/config/define-migration.ts';
import type { RuntimeSettings } from '../../src/config/types.ts';
import { BusyError } from '../../src/errors.ts';
import { type ResolvedMigration, resolveMigration } from '../../src/state/resolve.ts';
import { expand } from '../../src/steps/expand.ts';
import { fill } from '../../src/steps/fill.ts';
import { buildIndexes } from '../../src/swap/build-indexes.ts';
import { checkExchange } from '../../src/swap/check-exchange.ts';
import { exchange } from '../../src/swap/exchange.ts';
import { finishExchange } from '../../src/swap/finish-exchange.ts';
import { undoExchange } from '../../src/swap/undo.ts';
import { type Chain, makeSegments, openChain } from '../helpers/chain.ts';

let chain: Chain;
type Context = ReturnType<Chain['context']>;

beforeAll(async () => {
  chain = await openChain();
});
afterEach(async () => {
  await chain.db.query(
    'DROP TABLE IF EXISTS segments CASCADE; DROP SCHEMA IF EXISTS reembed CASCADE; DROP FUNCTION IF EXISTS nearest(vector)',
  );
});
afterAll(() => chain.close());

const nothing = async (): Promise<void> => undefined;
const resolve = (ctx: Context): Promise<ResolvedMigration> => resolveMigration(ctx);

/** `segments`, expanded and filled; `after` runs in between where preflight would already refuse what it does. */
async function filled(
  options: { rows?: number; input?: Partial<MigrationInput>; runtime?: Partial<RuntimeSettings>; before?: string } = {},
): Promise<Context> {
  await makeSegments(chain.db, { rows: options.rows ?? 60 });
  if (options.before !== undefined) await chain.db.query(options.before);
  const ctx = chain.context({ index: { kind: 'hnsw' }, ...options.input }, options.runtime);
  await expand(ctx);
  await fill(ctx);
  return ctx;
}

async function insertPending(rows: number): Promise<void> {
  await chain.db.query(`INSERT INTO segments (text) SELECT 'late ' || i FROM generate_series(1, ${rows}) i`);
}

describe('rows that are pending at the exchange', () => {
  it('are embedded by the catch-up, and none is left over', async () => {
    const ctx = await filled();
    await insertPending(3);
    let calls = 0;
    const result = await exchange(ctx, await resolve(ctx), {
      catchUp: async () => {
        calls++;
        await chain.db.query(`DELETE FROM segments WHERE text LIKE 'late%'`);
        // A writer is quick once: the next look under the lock finds one more.
        if (calls === 1) await insertPending(1);
      },
    });
    expect(calls).toBe(2);
    expect(result.stragglers).toBe(0);
    expect((await resolve(ctx)).record).toMatchObject({ phase: 'swapped', active: 'new', keptColumn: 'embedding_old' });
  });

  it('that keep coming are accepted in the end, up to the limit, and counted', async () => {
    const ctx = await filled();
    await insertPending(3);
    const result = await exchange(ctx, await resolve(ctx), { catchUp: nothing });
    expect(result.stragglers).toBe(3);
    expect(result.attempts).toBeGreaterThan(8);
  });

  it('above the limit stop the exchange with the count, and nothing is changed', async () => {
    const ctx = await filled();
    await insertPending(3);
    const attempt = exchange(ctx, await resolve(ctx), { catchUp: nothing, acceptPending: 2 });
    await expect(attempt).rejects.toThrow(BusyError);
    await expect(attempt).rejects.toMatchObject({ code: 'cannot_catch_up', context: { pending: 3 } });
    const { record, table } = await resolve(ctx);
    expect(record).toMatchObject({ phase: 'backfilled', active: 'old' });
    expect(table.columns.map((column) => column.name)).toContain('embedding_384');
  });

  it('are never accepted under NOT NULL', async () => {
    const ctx = await filled({ before: 'ALTER TABLE segments ALTER COLUMN embedding SET NOT NULL' });
    await chain.db.query(
      `INSERT INTO segments (text, embedding) SELECT 'late', embedding FROM segments WHERE embedding IS NOT NULL LIMIT 1`,
    );
    const attempt = exchange(ctx, await resolve(ctx), { catchUp: nothing });
    await expect(attempt).rejects.toMatchObject({ message: expect.stringContaining('NOT NULL') });
  });
});

describe('an exchange', () => {
  it('whose guard throws has changed nothing', async () => {
    const ctx = await filled();
    const guard = async (): Promise<void> => {
      throw new BusyError('lease_lost', 'Another process took over.');
    };
    await expect(exchange(ctx, await resolve(ctx), { catchUp: nothing, guard })).rejects.toThrow('took over');
    expect((await resolve(ctx)).record.active).toBe('old');
  });

  it('whose COMMIT went unanswered is found done, not done twice', async () => {
    const ctx = await filled();
    let lost = 0;
    const transaction: Context['db']['transaction'] = async (work, options) => {
      const value = await chain.db.transaction(work, options);
      if (lost++ === 0) throw Object.assign(new Error('Connection terminated unexpectedly'), { code: 'ECONNRESET' });
      return value;
    };
    const cut = { ...ctx, db: { ...chain.db, transaction } };
    const result = await exchange(cut, await resolve(ctx), { catchUp: nothing });
    expect(result).toMatchObject({ stragglers: 0, attempts: 0 });
    expect(lost).toBe(2);
    const { table, record } = await resolve(ctx);
    expect(record.active).toBe('new');
    expect(table.columns.map((column) => column.name).filter((name) => name.startsWith('embedding'))).toHaveLength(5);
  });

  it('happens once: a second call finds it done', async () => {
    const ctx = await filled();
    await exchange(ctx, await resolve(ctx), { catchUp: nothing });
    expect((await exchange(ctx, await resolve(ctx), { catchUp: nothing })).attempts).toBe(0);
  });

  it('between equal dimensions takes the DEFAULT along and brings it back', async () => {
    const sql = 'pg_catalog.array_fill(0.1::real, ARRAY[384])::vector';
    await chain.db.query(
      `CREATE TABLE segments (id bigserial PRIMARY KEY, text text, embedding vector(384) DEFAULT ${sql});
       INSERT INTO segments (text) VALUES ('a'), ('b')`,
    );
    const ctx = chain.context({ index: { kind: 'hnsw' } });
    await expand(ctx);
    await fill(ctx);
    const defaultOf = async (name: string): Promise<unknown> =>
      (await resolve(ctx)).table.columns.find((column) => column.name === name)?.defaultSql;
    const before = await defaultOf('embedding');
    await checkExchange(ctx, await resolve(ctx));
    await exchange(ctx, await resolve(ctx), { catchUp: nothing });
    expect([await defaultOf('embedding'), await defaultOf('embedding_old')]).toEqual([before, null]);
    await chain.db.query(`INSERT INTO segments (text) VALUES ('c')`);
    await chain.db.query(`DELETE FROM segments WHERE text = 'c'`);
    await undoExchange(ctx, await resolve(ctx));
    expect([await defaultOf('embedding'), await defaultOf('embedding_384')]).toEqual([before, null]);
  });

  it('with oldColumn "drop" leaves no old column, and the way back names the backup', async () => {
    const ctx = await filled({ input: { oldColumn: 'drop', index: { kind: 'hnsw' } } });
    await buildIndexes(ctx, await resolve(ctx));
    await exchange(ctx, await resolve(ctx), { catchUp: nothing });
    const { table, record } = await resolve(ctx);
    expect(record.keptColumn).toBeNull();
    expect(table.columns.map((column) => column.name)).not.toContain('embedding_old');
    expect(table.indexes.map((index) => index.name)).toContain('idx_segments_text_embedding_ivfflat');
    await expect(undoExchange(ctx, await resolve(ctx))).rejects.toMatchObject({
      code: 'old_column_dropped',
      message: expect.stringContaining('backup'),
    });
  });
});

describe('going back', () => {
  it('never serves the old vector of another text, nor takes an edited row for done', async () => {
    const ctx = await filled({ runtime: { rollback: 'accept-missing' } });
    await exchange(ctx, await resolve(ctx), { catchUp: nothing });
    await chain.db.query(`UPDATE segments SET text = 'something else' WHERE id = 7`);
    const result = await undoExchange(ctx, await resolve(ctx));
    expect(result.stragglers).toBe(1);
    const { rows } = await chain.db.query(
      'SELECT id FROM segments WHERE embedding IS NULL OR embedding_384_model IS NULL ORDER BY id',
    );
    expect(rows).toEqual([{ id: '7' }]);
    const old = await chain.db.query(
      'SELECT embedding IS NULL AS gone, embedding_384_model AS model FROM segments WHERE id = 7',
    );
    expect(old.rows).toEqual([{ gone: true, model: null }]);
    expect(ctx.events).toContainEqual({
      kind: 'notice',
      message: expect.stringContaining('must return to the old model'),
    });
  });

  it('refuses without the old model, and goes on when something fills the rows', async () => {
    const ctx = await filled();
    await exchange(ctx, await resolve(ctx), { catchUp: nothing });
    await insertPending(2);
    await expect(undoExchange(ctx, await resolve(ctx))).rejects.toMatchObject({
      code: 'old_vectors_missing',
      context: { missing: 2 },
      hint: expect.stringContaining('EMBEDDING_OLD_'),
    });
    expect((await resolve(ctx)).record.active).toBe('new');
    const fillMissing = async (): Promise<void> => {
      await chain.db.query(
        'UPDATE segments SET embedding_old = (SELECT embedding_old FROM segments WHERE id = 1) WHERE embedding_old IS NULL',
      );
    };
    expect((await undoExchange(ctx, await resolve(ctx), { fillMissing })).stragglers).toBe(0);
  });

  it('leaves the name without NOT NULL, and says so, when rows are accepted without a vector', async () => {
    const ctx = await filled({
      before: 'ALTER TABLE segments ALTER COLUMN embedding SET NOT NULL',
      runtime: { rollback: 'accept-missing' },
    });
    await exchange(ctx, await resolve(ctx), { catchUp: nothing });
    await finishExchange(ctx, await resolve(ctx));
    await chain.db.query(`UPDATE segments SET text = 'something else' WHERE id = 7`);
    await undoExchange(ctx, await resolve(ctx));
    const { table } = await resolve(ctx);
    expect(table.columns.find((column) => column.name === 'embedding')?.notNull).toBe(false);
    expect(ctx.events).toContainEqual({ kind: 'warning', message: expect.stringContaining('stays nullable') });
  });
});

describe('an exchange that could not be carried through is refused before anything is built', () => {
  it.each([
    ['ALTER TABLE segments ADD embedding_old vector(16)', 'name_taken', '"embedding_old"'],
    ['ALTER TABLE segments ADD embedding_model text', 'name_taken', '"embedding_model"'],
    [
      'CREATE INDEX idx_segments_text_embedding_ivfflat_old ON segments (text)',
      'name_taken',
      '"idx_segments_text_embedding_ivfflat_old"',
    ],
    ['CREATE VIEW shown AS SELECT id, embedding FROM segments', 'column_has_dependents', 'view public.shown'],
    ['CREATE MATERIALIZED VIEW stored AS SELECT embedding FROM segments', 'column_has_dependents', 'materialized view'],
    ['CREATE POLICY seen ON segments USING (embedding IS NOT NULL)', 'column_has_dependents', 'policy seen'],
    [
      'ALTER TABLE segments ADD d int GENERATED ALWAYS AS (vector_dims(embedding)) STORED',
      'column_has_dependents',
      'generated column d',
    ],
    ['ALTER TABLE segments ADD CONSTRAINT once UNIQUE (id, embedding)', 'constraint_index', '"once"'],
    ['ALTER TABLE segments ADD CONSTRAINT dims CHECK (vector_dims(embedding) = 16)', 'check_violated', '"dims"'],
    [
      `ALTER TABLE segments ALTER embedding SET DEFAULT array_fill(0.1::real, ARRAY[16])::vector`,
      'default_unfit',
      'vector(384)',
    ],
    [
      `ALTER TABLE segments ALTER embedding SET NOT NULL; UPDATE segments SET text = ' ', embedding_384 = NULL, embedding_384_model = NULL WHERE id < 4`,
      'not_null_violated',
      '3 rows',
    ],
  ])('%s', async (sql, code, named) => {
    const ctx = await filled();
    await chain.db.query(sql);
    await expect(checkExchange(ctx, await resolve(ctx))).rejects.toMatchObject({
      code,
      message: expect.stringContaining(named),
      hint: expect.any(String),
    });
  });

  it('on an empty table too, where no row shows what a CHECK would refuse', async () => {
    const ctx = await filled({ rows: 0 });
    await chain.db.query('ALTER TABLE segments ADD CONSTRAINT dims CHECK (vector_dims(embedding) = 16)');
    await expect(checkExchange(ctx, await resolve(ctx))).rejects.toMatchObject({ code: 'check_violated' });
  });

  it('but a function that mentions the column is only warned of', async () => {
    const ctx = await filled();
    await chain.db.query(
      `CREATE FUNCTION nearest(q vector) RETURNS bigint LANGUAGE sql AS 'SELECT id FROM segments ORDER BY embedding <=> q LIMIT 1'`,
    );
    await checkExchange(ctx, await resolve(ctx));
    expect(ctx.events).toContainEqual({ kind: 'warning', message: expect.stringContaining('public.nearest') });
  });
});
