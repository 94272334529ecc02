import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import type { MigrationInput } from '../../src/config/define-migration.ts';
import { IntegrityError, PreflightError } from '../../src/errors.ts';
import { resolveMigration } from '../../src/state/resolve.ts';
import { expand } from '../../src/steps/expand.ts';
import { fill } from '../../src/steps/fill.ts';
import { buildIndexes } from '../../src/swap/build-indexes.ts';
import { checkExchange } from '../../src/swap/check-exchange.ts';
import { exchange } from '../../src/swap/exchange.ts';
import { finalizeSwap } from '../../src/swap/finalize.ts';
import { finishExchange } from '../../src/swap/finish-exchange.ts';
import { undoExchange } from '../../src/swap/undo.ts';
import { type Chain, openChain } from '../helpers/chain.ts';

const TABLE = '"Odd Schema"."My ""Table"""';
const ODD: Partial<MigrationInput> = {
  id: 'odd-names',
  table: { schema: 'Odd Schema', name: 'My "Table"' },
  text: 'The Text',
  column: 'Em bedding',
  index: { kind: 'ivfflat' as const },
};

const nothing = async (): Promise<void> => undefined;

/** Everything about the table that an application or its operator could miss. */
async function catalogOf(chain: Chain): Promise<unknown> {
  const { rows } = await chain.db.query(
    `SELECT 'column' AS kind, a.attname AS name, format_type(a.atttypid, a.atttypmod) AS definition,
       concat_ws('|', a.attnotnull, pg_get_expr(d.adbin, d.adrelid), col_description(a.attrelid, a.attnum), a.attstattarget, a.attstorage,
         (SELECT string_agg(x::text, ',' ORDER BY x::text) FROM unnest(a.attacl) x)) AS extra
      FROM pg_attribute a LEFT JOIN pg_attrdef d ON d.adrelid = a.attrelid AND d.adnum = a.attnum
      WHERE a.attrelid = $1::regclass AND a.attnum > 0 AND NOT a.attisdropped
     UNION ALL SELECT 'index', c.relname, pg_get_indexdef(c.oid), i.indisvalid::text
      FROM pg_index i JOIN pg_class c ON c.oid = i.indexrelid WHERE i.indrelid = $1::regclass
     UNION ALL SELECT 'trigger', tgname, pg_get_triggerdef(oid), tgenabled::text FROM pg_trigger WHERE tgrelid = $1::regclass
     UNION ALL SELECT 'constraint', conname, pg_get_constraintdef(oid), concat_ws('|', convalidated, obj_description(oid, 'pg_constraint'))
      FROM pg_constraint WHERE conrelid = $1::regclass
     ORDER BY 1, 2`,
    [TABLE],
  );
  return rows;
}

async function makeOddTable(chain: Chain): Promise<void> {
  await chain.db.query(`CREATE SCHEMA "Odd Schema"; CREATE TABLE ${TABLE} (a int, "B c" text, "The Text" text, active boolean NOT NULL DEFAULT true,
      "Em bedding" vector(16) NOT NULL CONSTRAINT "not zero" CHECK (vector_norm("Em bedding") > 0), voice vector(4), PRIMARY KEY ("B c", a));
    COMMENT ON COLUMN ${TABLE}."Em bedding" IS 'what it''s about';
    COMMENT ON CONSTRAINT "not zero" ON ${TABLE} IS 'zero vectors vanish';
    ALTER TABLE ${TABLE} ALTER COLUMN "Em bedding" SET STATISTICS 50;
    ALTER TABLE ${TABLE} ADD CONSTRAINT later CHECK (active OR "Em bedding" IS NOT NULL) NOT VALID`);
  await chain.db.query(`INSERT INTO ${TABLE} (a, "B c", "The Text", active, "Em bedding", voice)
    SELECT i, 'k' || i % 7, 'text number ' || i, i % 2 = 0, (SELECT array_agg(0.1 + random()) FROM generate_series(1, 16) WHERE i > 0)::vector,
      ARRAY[i, 1, 2, 3]::vector FROM generate_series(1, 1200) i`);
  await chain.db.query(`CREATE INDEX "Idx One" ON ${TABLE} USING ivfflat ("Em bedding" vector_cosine_ops) WITH (lists = 5);
    CREATE INDEX partial ON ${TABLE} USING hnsw ("Em bedding" vector_l2_ops) WITH (m = 8) WHERE active;
    CREATE INDEX half ON ${TABLE} USING hnsw (("Em bedding"::halfvec(16)) halfvec_cosine_ops);
    CREATE INDEX todo ON ${TABLE} (a) WHERE "Em bedding" IS NULL;
    CREATE INDEX voices ON ${TABLE} USING hnsw (voice vector_l2_ops)`);
  await chain.db.query(`DO $$ BEGIN IF NOT EXISTS (SELECT 1 FROM pg_roles WHERE rolname = 'Restricted app') THEN CREATE ROLE "Restricted app"; END IF; END $$;
    GRANT USAGE ON SCHEMA "Odd Schema" TO "Restricted app";
    GRANT SELECT (a, "B c", "The Text", "Em bedding"), INSERT (a, "B c", "The Text", "Em bedding"), UPDATE ("The Text", "Em bedding")
      ON ${TABLE} TO "Restricted app";
    GRANT SELECT ("Em bedding") ON ${TABLE} TO "Restricted app" WITH GRANT OPTION`);
}

async function asApplication<T>(chain: Chain, sql: string, params: readonly unknown[] = []): Promise<T[]> {
  return chain.db.transaction(async (tx) => {
    await tx.query('SET LOCAL ROLE "Restricted app"');
    return (await tx.query<T>(sql, params)).rows;
  });
}

async function swap(ctx: ReturnType<Chain['context']>): Promise<void> {
  const resolved = await resolveMigration(ctx);
  await checkExchange(ctx, resolved);
  await buildIndexes(ctx, resolved);
  await exchange(ctx, resolved, { catchUp: nothing });
}

describe('an exchange on a table with every peculiarity', () => {
  let chain: Chain;
  let before: unknown;
  let voices: unknown;
  const context = (): ReturnType<Chain['context']> => chain.context(ODD);
  const checksum = async (column: string): Promise<unknown> =>
    (await chain.db.query(`SELECT md5(string_agg(${column}::text, ',' ORDER BY "B c", a)) AS sum FROM ${TABLE}`)).rows;

  beforeAll(async () => {
    chain = await openChain();
    await makeOddTable(chain);
    await expand(context());
    await fill(context());
    before = await catalogOf(chain);
    voices = await checksum('voice');
    await swap(context());
  });
  afterAll(async () => {
    await chain.db.query('DROP OWNED BY "Restricted app"').catch(() => undefined);
    await chain.close();
  });

  it('refuses new rows without a vector from the first moment, and turns that into NOT NULL afterwards', async () => {
    const insert = `INSERT INTO ${TABLE} (a, "B c", "The Text") VALUES (-1, 'x', 'y')`;
    await expect(chain.db.query(insert)).rejects.toMatchObject({ code: '23514' });
    await finishExchange(context(), await resolveMigration(context()));
    await finishExchange(context(), await resolveMigration(context()));
    await expect(chain.db.query(insert)).rejects.toMatchObject({ code: '23502' });
    const { rows } = await chain.db.query(
      `SELECT conname, convalidated, obj_description(oid, 'pg_constraint') AS comment, pg_get_constraintdef(oid) AS definition
       FROM pg_constraint WHERE conrelid = $1::regclass AND contype = 'c' ORDER BY 1`,
      [TABLE],
    );
    expect(rows).toMatchObject([
      { conname: 'later', convalidated: false, comment: null, definition: expect.stringContaining('"Em bedding"') },
      { conname: 'not zero', convalidated: true, comment: 'zero vectors vanish' },
    ]);
  });

  it('gives the name all that belonged to it', async () => {
    const { rows } = await chain.db.query(
      `SELECT attname AS name, format_type(atttypid, atttypmod) AS type, attnotnull AS "notNull", col_description(attrelid, attnum) AS comment,
         NULLIF(attstattarget, -1) AS statistics, attacl IS NOT NULL AS granted FROM pg_attribute
       WHERE attrelid = $1::regclass AND attname IN ('Em bedding', 'Em bedding_old') ORDER BY 1`,
      [TABLE],
    );
    expect(rows).toEqual([
      {
        name: 'Em bedding',
        type: 'vector(384)',
        notNull: true,
        comment: "what it's about",
        statistics: 50,
        granted: true,
      },
      { name: 'Em bedding_old', type: 'vector(16)', notNull: false, comment: null, statistics: null, granted: false },
    ]);
  });

  it('rebuilds every index of the column under its name, of the kind that is asked for, and touches no other', async () => {
    const { table, record } = await resolveMigration(context());
    const shown = table.indexes
      .filter((index) => !index.name.endsWith('_old') && !index.name.endsWith('_pkey'))
      .map((index) => [index.name, index.valid, index.definition.replace(/^.* USING /, '')]);
    expect(shown).toEqual([
      ['Idx One', true, `ivfflat ("Em bedding" vector_cosine_ops) WITH (lists='24')`],
      ['half', true, `ivfflat ((("Em bedding")::halfvec(384)) halfvec_cosine_ops) WITH (lists='24')`],
      // l2 is IVFFlat's default, which Postgres does not print.
      ['partial', true, `ivfflat ("Em bedding") WITH (lists='12') WHERE active`],
      ['todo', true, 'btree (a) WHERE ("Em bedding" IS NULL)'],
      ['voices', true, 'hnsw (voice vector_l2_ops)'],
    ]);
    expect(record.newIndexes.map(({ name, kind, lists, probes }) => ({ name, kind, lists, probes }))).toEqual([
      { name: 'Idx One', kind: 'ivfflat', lists: 24, probes: 5 },
      { name: 'half', kind: 'ivfflat', lists: 24, probes: 5 },
      { name: 'partial', kind: 'ivfflat', lists: 12, probes: 4 },
    ]);
    expect(await checksum('voice')).toEqual(voices);
  });

  it('lets a restricted role read and write as before', async () => {
    const vector = `[${Array(384).fill(0.5).join(',')}]`;
    await asApplication(
      chain,
      `INSERT INTO ${TABLE} (a, "B c", "The Text", "Em bedding") VALUES (-5, 'x', 'new', $1)`,
      [vector],
    );
    await asApplication(chain, `UPDATE ${TABLE} SET "Em bedding" = $1 WHERE a = -5`, [vector]);
    const rows = await asApplication<{ dims: number }>(
      chain,
      `SELECT vector_dims("Em bedding") AS dims FROM ${TABLE} WHERE a = -5`,
    );
    expect(rows).toEqual([{ dims: 384 }]);
    await expect(asApplication(chain, `SELECT voice FROM ${TABLE}`)).rejects.toMatchObject({ code: '42501' });
  });

  it('does not go back while a row would be without a vector, and says how many and what to do', async () => {
    const back = undoExchange(context(), await resolveMigration(context()));
    await expect(back).rejects.toThrow(IntegrityError);
    await expect(back).rejects.toMatchObject({
      message: expect.stringContaining('1 row of Odd Schema.My "Table" has no old vector'),
      hint: expect.stringContaining('REEMBED_ROLLBACK=accept-missing'),
    });
    await chain.db.query(`DELETE FROM ${TABLE} WHERE a = -5`);
  });

  it('goes back to exactly the catalog there was before', async () => {
    await undoExchange(context(), await resolveMigration(context()));
    expect(await catalogOf(chain)).toEqual(before);
    const { record } = await resolveMigration(context());
    expect(record).toMatchObject({
      phase: 'backfilled',
      active: 'old',
      keptColumn: null,
      newIndexes: [],
      swappedAt: null,
    });
    const again = await undoExchange(context(), await resolveMigration(context()));
    expect(again.attempts).toBe(0);
  });

  it('can be exchanged again, kept for its days, and finalized for good', async () => {
    await swap(context());
    await finishExchange(context(), await resolveMigration(context()));
    const early = finalizeSwap(context());
    await expect(early).rejects.toThrow(PreflightError);
    await expect(early).rejects.toMatchObject({ code: 'retention', hint: expect.stringContaining('--now') });
    let backups = 0;
    const backup = async (): Promise<void> => void backups++;
    expect(await finalizeSwap(context(), { now: true, backup })).toEqual({ dropped: 'Em bedding_old' });
    expect(await finalizeSwap(context(), { now: true, backup })).toEqual({ dropped: undefined });
    expect(backups).toBe(1);
    const { table, record } = await resolveMigration(context());
    expect(record).toMatchObject({ phase: 'finalized', keptColumn: null });
    expect(table.columns.map((column) => column.name)).not.toContain('Em bedding_old');
    expect(table.indexes.map((index) => index.name).sort()).toEqual([
      'Idx One',
      'My "Table"_pkey',
      'half',
      'partial',
      'todo',
      'voices',
    ]);
    const { rows } = await chain.db.query(
      'SELECT 1 FROM pg_trigger WHERE tgrelid = $1::regclass AND NOT tgisinternal',
      [TABLE],
    );
    expect(rows).toEqual([]);
    await expect(undoExchange(context(), await resolveMigration(context()))).rejects.toMatchObject({
      code: 'old_column_dropped',
    });
  });
});
