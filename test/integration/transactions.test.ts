import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { sqlStateOf } from '../../src/db/sqlstate.ts';
import { expand } from '../../src/steps/expand.ts';
import { fill } from '../../src/steps/fill.ts';
import { type Chain, makeSegments, openChain } from '../helpers/chain.ts';
import { SEGMENTS, wrongVectors } from '../helpers/oracle.ts';

const ROWS = 60;
const OPTIONS = { userTriggers: 'fire' } as const;

/** A trigger of the user that raises `state` in its first `times` statements. A sequence counts, because it survives the rollback. */
async function raiseAt(chain: Chain, state: string, times: number): Promise<void> {
  await chain.db.query('CREATE SEQUENCE attempts');
  await chain.db.query(
    `CREATE FUNCTION raise_at() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN
       IF nextval('attempts') <= ${times} THEN RAISE EXCEPTION 'raised on purpose' USING ERRCODE = '${state}'; END IF;
       RETURN NULL; END $$`,
  );
  await chain.db.query(
    'CREATE TRIGGER raise_at AFTER UPDATE ON segments FOR EACH STATEMENT EXECUTE FUNCTION raise_at()',
  );
}

async function attempts(chain: Chain): Promise<string | undefined> {
  const { rows } = await chain.db.query<{ last_value: string }>('SELECT last_value FROM attempts');
  return rows[0]?.last_value;
}

async function openTransactions(chain: Chain): Promise<unknown[]> {
  const { rows } = await chain.db.query(
    `SELECT state, query FROM pg_stat_activity WHERE application_name = 'reembed' AND datname = current_database()
       AND pid <> pg_backend_pid() AND (state LIKE 'idle in transaction%' OR (state = 'idle' AND xact_start IS NOT NULL))`,
  );
  return rows;
}

describe('a batch whose write fails', () => {
  let chain: Chain;
  beforeEach(async () => {
    chain = await openChain();
    await makeSegments(chain.db, { rows: ROWS });
  });
  afterEach(() => chain.close());

  it('is tried again after a deadlock: two of them and a success are exactly 3 attempts', async () => {
    const context = chain.context(OPTIONS);
    await expand(context);
    await raiseAt(chain, '40P01', 2);
    const { run } = await fill(context);
    expect(run).toMatchObject({ written: ROWS });
    expect(await attempts(chain)).toBe('3');
    const warnings = context.events.filter((event) => event.kind === 'warning').map((event) => event.message);
    expect(warnings).toEqual([expect.stringMatching(/Attempt 1 of 3/), expect.stringMatching(/Attempt 2 of 3/)]);
    expect(await wrongVectors(chain.db, SEGMENTS, 'embedding_384')).toEqual([]);
  });

  it('is not tried a fourth time, and the next run takes it up', async () => {
    await expand(chain.context(OPTIONS));
    await raiseAt(chain, '40001', 3);
    const failure = await fill(chain.context(OPTIONS)).catch((error: unknown) => error);
    expect(sqlStateOf(failure)).toBe('40001');
    expect(await attempts(chain)).toBe('3');
    expect(await fill(chain.context(OPTIONS))).toMatchObject({ rows: { done: ROWS, pending: 0 } });
  });

  it('is tried once only where trying again cannot help, leaves no open transaction, and does not block the next run', async () => {
    await expand(chain.context(OPTIONS));
    await raiseAt(chain, '22000', 1_000);
    const failure = await fill(chain.context(OPTIONS)).catch((error: unknown) => error);
    expect(sqlStateOf(failure)).toBe('22000');
    expect(await attempts(chain)).toBe('1');
    expect(await openTransactions(chain)).toEqual([]);
    const { rows } = await chain.db.query(
      'SELECT count(*)::int AS written FROM segments WHERE embedding_384 IS NOT NULL',
    );
    expect(rows).toEqual([{ written: 0 }]);
    await chain.db.query('DROP TRIGGER raise_at ON segments');
    expect(await fill(chain.context(OPTIONS))).toMatchObject({ rows: { done: ROWS, pending: 0 } });
  });

  it('loses no batch that was written before it', async () => {
    await expand(chain.context(OPTIONS));
    await raiseAt(chain, '22000', 1_000);
    await chain.db.query(`SELECT setval('attempts', 1000)`);
    await chain.db.query(
      'CREATE OR REPLACE TRIGGER raise_at AFTER UPDATE ON segments FOR EACH ROW WHEN (NEW.id = 45) EXECUTE FUNCTION raise_at()',
    );
    await chain.db.query(`SELECT setval('attempts', 1, false)`);
    const failure = await fill(chain.context(OPTIONS, { batchRows: 10, concurrency: 1 })).catch(
      (error: unknown) => error,
    );
    expect(sqlStateOf(failure)).toBe('22000');
    const { rows } = await chain.db.query<{ id: string }>(
      'SELECT max(id) AS id FROM segments WHERE embedding_384 IS NOT NULL AND id < 41',
    );
    expect(rows[0]?.id).toBe('40');
    expect(await openTransactions(chain)).toEqual([]);
    await chain.db.query('DROP TRIGGER raise_at ON segments');
    await fill(chain.context(OPTIONS));
    expect(await wrongVectors(chain.db, SEGMENTS, 'embedding_384')).toEqual([]);
  });
});
