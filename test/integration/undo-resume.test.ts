import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, it } from 'vitest';
import type { MigrationInput } from '../../src/config/define-migration.ts';
import type { Session } from '../../src/db/types.ts';
import type { MigrationContext } from '../../src/state/context.ts';
import { resolveMigration } from '../../src/state/resolve.ts';
import { cutOver } from '../../src/steps/cut-over.ts';
import { expand } from '../../src/steps/expand.ts';
import { fill } from '../../src/steps/fill.ts';
import { undoCutOver } from '../../src/steps/undo-cut-over.ts';
import { undoExpand } from '../../src/steps/undo-expand.ts';
import { undoFill } from '../../src/steps/undo-fill.ts';
import { exchange } from '../../src/swap/exchange.ts';
import { type Chain, insertSegments, makeSegments, openChain } from '../helpers/chain.ts';
import { SEGMENTS, wrongVectors } from '../helpers/oracle.ts';

const OLD: Partial<MigrationInput> = { from: { provider: 'hash', model: 'hash/16', dimensions: 16 } };
/** What the forgetting of edited rows sends; the moment before it is where these tests step in. */
const FORGETTING = 'WITH l AS MATERIALIZED (SELECT t.ctid';

let chain: Chain;
let holder: Session;
type Context = ReturnType<Chain['context']>;

beforeAll(async () => {
  chain = await openChain();
  holder = await chain.db.openSession();
});
afterAll(async () => {
  await holder.close();
  await chain.close();
});
beforeEach(() => makeSegments(chain.db, { rows: 60 }));
afterEach(async () => {
  await holder.query('ROLLBACK');
  await chain.db.query('DROP TABLE IF EXISTS segments CASCADE; DROP SCHEMA IF EXISTS reembed CASCADE');
});

async function swappedAndEdited(): Promise<void> {
  await chain.db.query('ALTER TABLE segments ALTER COLUMN embedding SET NOT NULL');
  await expand(chain.context(OLD));
  await fill(chain.context(OLD));
  await cutOver(chain.context(OLD));
  await chain.db.query(`UPDATE segments SET text = text || ' edited' WHERE id IN (7, 9)`);
}

/** Stops as Ctrl-C would, in the moment after the exchange's commit. */
function stoppedAfterExchange(): MigrationContext {
  const stop = new AbortController();
  return {
    ...chain.context(OLD),
    signal: stop.signal,
    onProgress: (event) => {
      if (event.kind === 'notice' && event.message.includes('must return to the old model')) stop.abort();
    },
  };
}

function beforeForgetting(ctx: Context, work: () => Promise<void>, signal?: AbortSignal): MigrationContext {
  let done = false;
  const query: Context['db']['query'] = async (text, params) => {
    if (!done && text.startsWith(FORGETTING)) {
      done = true;
      await work();
    }
    return chain.db.query(text, params);
  };
  return { ...ctx, db: { ...chain.db, query }, signal: signal };
}

async function vectorsOfBlankTexts(): Promise<number> {
  const { rowCount } = await chain.db.query(
    `SELECT 1 FROM segments WHERE trim(coalesce(text, '')) = '' AND embedding IS NOT NULL`,
  );
  return rowCount;
}

async function isNotNull(): Promise<boolean | undefined> {
  const { table } = await resolveMigration(chain.context());
  return table.columns.find((column) => column.name === 'embedding')?.notNull;
}

async function takenForDone(): Promise<string[]> {
  const { rows } = await chain.db.query<{ id: string }>(
    'SELECT id FROM segments WHERE embedding_384_model IS NOT NULL AND id IN (7, 9) ORDER BY id',
  );
  return rows.map((row) => row.id);
}

async function expectGoodNextUp(): Promise<void> {
  await fill(chain.context(OLD));
  expect(await wrongVectors(chain.db, SEGMENTS, 'embedding_384')).toEqual([]);
  await cutOver(chain.context(OLD));
  expect(await wrongVectors(chain.db, SEGMENTS, 'embedding')).toEqual([]);
}

describe('007 down, stopped right after its exchange', () => {
  beforeEach(async () => {
    await swappedAndEdited();
    await expect(undoCutOver(stoppedAfterExchange())).rejects.toMatchObject({ name: 'InterruptedError' });
    expect((await resolveMigration(chain.context())).record.active).toBe('old');
    expect(await isNotNull()).toBe(false);
    expect(await takenForDone()).toEqual(['7', '9']);
  });

  it('is finished by the same command, after which there is nothing to do', async () => {
    expect(await undoCutOver(chain.context(OLD))).toMatchObject({ changed: true });
    expect(await isNotNull()).toBe(true);
    expect(await takenForDone()).toEqual([]);
    expect(await undoCutOver(chain.context(OLD))).toMatchObject({ changed: false });
    await expectGoodNextUp();
  });

  it('is finished by the next up too', async () => {
    await expectGoodNextUp();
    expect(await isNotNull()).toBe(true);
  });

  it.each([
    ['straight after it', async () => undefined],
    ['after 006 down', async () => void (await undoFill(chain.context(OLD)))],
  ])('is finished by 005 down %s: the column is NOT NULL, without a stand-in for it', async (_when, first) => {
    await first();
    await undoExpand(chain.context(OLD));
    const { rows } = await chain.db.query(
      `SELECT attnotnull AS "notNull", (SELECT array_agg(conname) FROM pg_constraint WHERE conrelid = attrelid AND contype = 'c') AS checks
       FROM pg_attribute WHERE attrelid = 'segments'::regclass AND attname = 'embedding'`,
    );
    expect(rows).toEqual([{ notNull: true, checks: null }]);
  });
});

describe('rows that the application holds during 007 down', () => {
  beforeEach(swappedAndEdited);

  it.each([
    ['locked', 'SELECT FROM segments WHERE id = 7 FOR UPDATE'],
    ['being updated', 'UPDATE segments SET voice = NULL WHERE id = 7'],
  ])('are pending again although they were %s', async (_state, statement) => {
    const ctx = beforeForgetting(chain.context(OLD), async () => {
      await holder.query('BEGIN');
      await holder.query(statement);
      setTimeout(() => void holder.query('COMMIT'), 700);
    });
    await undoCutOver(ctx);
    expect(await takenForDone()).toEqual([]);
    expect(await isNotNull()).toBe(true);
    await expectGoodNextUp();
  });
});

describe('a trigger that was dropped during 006', () => {
  it('leaves no vector of another text when the run that makes it again is stopped', async (test) => {
    test.skip(chain.db.embedded, 'the embedded database has one session: who holds a row holds everybody up');
    await expand(chain.context());
    await fill(chain.context());
    await chain.db.query(
      `DROP TRIGGER "zzz_reembed_segments-hash" ON segments; UPDATE segments SET text = 'edited' WHERE id = 7`,
    );
    const stop = new AbortController();
    const stopped = beforeForgetting(
      chain.context(),
      async () => {
        await holder.query('BEGIN; SELECT FROM segments WHERE id = 7 FOR UPDATE');
        setTimeout(() => stop.abort(), 300);
      },
      stop.signal,
    );
    await expect(fill(stopped)).rejects.toMatchObject({ name: 'InterruptedError' });
    await holder.query('ROLLBACK');
    expect(await wrongVectors(chain.db, SEGMENTS, 'embedding_384')).toEqual(['7']);
    await fill(chain.context());
    expect(await wrongVectors(chain.db, SEGMENTS, 'embedding_384')).toEqual([]);
  });
});

describe('what an exchange meets on its way', () => {
  it('the first rows of an empty table are embedded and exchanged, none of them missing for ever', async () => {
    await chain.db.query('TRUNCATE segments');
    const ctx = chain.context({ index: { kind: 'none' } });
    await expand(ctx);
    await fill(ctx);
    const before = await resolveMigration(ctx);
    expect(before.record.modelId).toBeNull();
    await insertSegments(chain.db, 20, 16);
    const result = await exchange(ctx, before, { catchUp: async () => void (await fill(ctx)), acceptPending: 0 });
    expect(result.stragglers).toBe(0);
    expect(await wrongVectors(chain.db, SEGMENTS, 'embedding')).toEqual([]);
  });

  it('on a large table under NOT NULL goes back without reading it under the lock', async (test) => {
    test.skip(chain.db.embedded, 'the embedded database builds no index beside its traffic: it has none');
    await chain.db.query(
      `ALTER TABLE segments ADD ballast text; ALTER TABLE segments ALTER ballast SET STORAGE PLAIN;
       UPDATE segments SET ballast = repeat('x', 4000);
       INSERT INTO segments (text, embedding, ballast) SELECT 'more ' || i, s.embedding, s.ballast FROM segments s, generate_series(1, 40) i`,
    );
    await swappedAndEdited();
    const plans: string[] = [];
    const transaction: Context['db']['transaction'] = (work, options) =>
      chain.db.transaction(
        (tx) =>
          work({
            query: async (text, params) => {
              if (text.includes('"embedding_old" IS NULL LIMIT 1)')) {
                plans.push(JSON.stringify((await tx.query(`EXPLAIN ${text}`)).rows));
              }
              return tx.query(text, params);
            },
          }),
        options,
      );
    const ctx = { ...chain.context(OLD, { rollback: 'accept-missing' }), db: { ...chain.db, transaction } };
    await undoCutOver(ctx);
    expect(plans).toHaveLength(1);
    expect(plans[0]).toContain('reembed');
    expect(plans[0]).not.toContain('Seq Scan');
  });

  it('a halfvec column without declared dimensions is filled by the old model on the way back', async () => {
    await chain.db.query(
      'DROP INDEX idx_segments_text_embedding_ivfflat; ALTER TABLE segments ALTER embedding TYPE halfvec',
    );
    const input = { ...OLD, index: { kind: 'none' } } as const;
    await expand(chain.context(input));
    await fill(chain.context(input));
    await cutOver(chain.context(input));
    await chain.db.query(`UPDATE segments SET text = 'edited' WHERE id = 7`);
    await undoCutOver(chain.context(input));
    const { rows } = await chain.db.query('SELECT vector_dims(embedding) AS dims FROM segments WHERE id = 7');
    expect(rows).toEqual([{ dims: 16 }]);
  });
});

it('a text that was blanked after the swap leaves no vector behind, back and forth again', async () => {
  await expand(chain.context(OLD));
  await fill(chain.context(OLD));
  await cutOver(chain.context(OLD));
  await chain.db.query(`UPDATE segments SET text = CASE id WHEN 7 THEN NULL ELSE '  ' END WHERE id IN (7, 9)`);
  await undoCutOver(chain.context(OLD));
  await cutOver(chain.context(OLD));
  expect(await vectorsOfBlankTexts()).toBe(0);
  expect(await wrongVectors(chain.db, SEGMENTS, 'embedding')).toEqual([]);
});
