import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { providerSource } from '../../src/backfill/provider-source.ts';
import { runBackfill } from '../../src/backfill/run-backfill.ts';
import type { VectorSource } from '../../src/backfill/types.ts';
import { verify } from '../../src/inspect/verify.ts';
import { hashProvider } from '../../src/providers/hash.ts';
import { registerModel } from '../../src/state/models.ts';
import { resolveMigration } from '../../src/state/resolve.ts';
import { expand } from '../../src/steps/expand.ts';
import { fill } from '../../src/steps/fill.ts';
import { type Chain, openChain } from '../helpers/chain.ts';
import { SEGMENTS, wrongVectors } from '../helpers/oracle.ts';

const ROWS = 60;
const EMBEDDED = { ...SEGMENTS, table: '(SELECT * FROM segments WHERE embedding_384_model IS NOT NULL) s' };
const REINSERTED = `INSERT INTO segments (id, text) SELECT i, 'again ' || i FROM generate_series(1, ${ROWS}) i`;

interface Edit {
  readonly title: string;
  readonly sql: string;
  /** Rows there are afterwards. */
  readonly rows: number;
  readonly only?: 'server' | 'unpartitioned server';
}

/** What happens between the reading of a batch and its writing. */
const EDITS: readonly Edit[] = [
  { title: 'TRUNCATE', sql: 'TRUNCATE segments', rows: 0 },
  { title: 'TRUNCATE and the same keys with other texts', sql: `TRUNCATE segments; ${REINSERTED}`, rows: ROWS },
  { title: 'deletes', sql: 'DELETE FROM segments WHERE id % 2 = 0', rows: ROWS / 2 },
  {
    title: 'deletes, and the same keys with other texts and with the same',
    sql: `CREATE TABLE kept AS SELECT id, text FROM segments; DELETE FROM segments;
      INSERT INTO segments (id, text) SELECT id, CASE WHEN id % 2 = 0 THEN text ELSE 'other ' || id END FROM kept; DROP TABLE kept`,
    rows: ROWS,
  },
  { title: 'an update of every text', sql: `UPDATE segments SET text = text || ' edited'`, rows: ROWS },
  {
    title: 'A to B and back to A',
    sql: `UPDATE segments SET text = 'b' || text; UPDATE segments SET text = substr(text, 2)`,
    rows: ROWS,
  },
  {
    title: 'two rows that exchange their keys',
    sql: 'UPDATE segments SET id = 0 WHERE id = 7; UPDATE segments SET id = 7 WHERE id = 53; UPDATE segments SET id = 53 WHERE id = 0',
    rows: ROWS,
  },
  {
    title: 'keys that move behind what was read and before it, to another partition too',
    sql: 'UPDATE segments SET id = id + 100 WHERE id <= 20; UPDATE segments SET id = id - 100 WHERE id BETWEEN 40 AND 50',
    rows: ROWS,
  },
  {
    title: 'edits past the trigger',
    sql: `SET session_replication_role = replica; UPDATE segments SET text = 'past ' || id WHERE id % 3 = 0; RESET session_replication_role`,
    rows: ROWS,
  },
  {
    title: 'COPY of further rows and of keys deleted before',
    sql: `DELETE FROM segments WHERE id <= 10; COPY segments (id, text) FROM PROGRAM 'for i in 1 2 3 4 5 6 7 8 9 10 101 102; do printf "%d\\tcopied %d\\n" $i $i; done'`,
    rows: ROWS + 2,
    only: 'server',
  },
  {
    title: 'COPY FREEZE of the same keys',
    sql: `BEGIN; TRUNCATE segments; COPY segments (id, text) FROM PROGRAM 'for i in $(seq 1 ${ROWS}); do printf "%d\\tfrozen %d\\n" $i $i; done' WITH (FREEZE); COMMIT`,
    rows: ROWS,
    only: 'unpartitioned server',
  },
];

describe.each([
  ['a table', ''],
  ['a partitioned table', 'PARTITION BY RANGE (id)'],
])('%s whose rows change while they are embedded', (_, options) => {
  let chain: Chain;
  beforeAll(async () => {
    chain = await openChain();
    await chain.db.query(`CREATE TABLE segments (id int PRIMARY KEY, text text, embedding vector(8)) ${options}`);
    if (options !== '') {
      await chain.db.query(
        `CREATE TABLE low PARTITION OF segments FOR VALUES FROM (1) TO (31); CREATE TABLE high PARTITION OF segments FOR VALUES FROM (31) TO (61);
         CREATE TABLE rest PARTITION OF segments DEFAULT`,
      );
    }
    await expand(chain.context());
  });
  afterAll(() => chain.close());

  /** Embeds like any backfill, but runs `sql` when the first batch was read and before it is written. */
  async function backfillWith(sql: string): Promise<void> {
    const ctx = chain.context({}, { batchRows: 40, concurrency: 1 });
    const embed = providerSource(hashProvider('hash/384'));
    let done = false;
    const source: VectorSource = {
      needs: 'text',
      model: embed.model,
      async produce(rows, signal) {
        if (!done) await chain.db.query(sql);
        done = true;
        return embed.produce(rows, signal);
      },
    };
    const { target, extension } = await resolveMigration(ctx);
    const modelId = await registerModel(chain.db, ctx.runtime.stateSchema, { ...source.model });
    const to = { target, modelId, vectorOid: extension.vectorOid, fence: undefined };
    const rest = { cursor: null, rowsDone: 0, rowsTotal: 0, signal: undefined, onCheckpoint: undefined };
    await runBackfill({ ctx, to, source, ...rest });
  }

  it.each(EDITS)('$title: no stale, lost or ghost vector', async ({ sql, rows, only }) => {
    if (only !== undefined && (chain.db.embedded || (only === 'unpartitioned server' && options !== ''))) return;
    await chain.db.query('TRUNCATE segments');
    await chain.db.query(`INSERT INTO segments (id, text) SELECT i, 'text ' || i FROM generate_series(1, ${ROWS}) i`);
    await backfillWith(sql);
    expect(await wrongVectors(chain.db, EMBEDDED, 'embedding_384')).toEqual([]);
    expect(await fill(chain.context())).toMatchObject({ rows: { total: rows, done: rows, pending: 0 } });
    expect(await wrongVectors(chain.db, SEGMENTS, 'embedding_384')).toEqual([]);
  });

  it('edits past the trigger after that are found by verify --full and mended by backfill --recheck', async () => {
    await chain.db.query(`TRUNCATE segments; ${REINSERTED}`);
    await fill(chain.context());
    await chain.db.query(
      // Row 34, the fourth of its partition, now lies there where row 3 does in its own: only one of them was edited.
      `SET session_replication_role = replica; UPDATE segments SET text = CASE id WHEN 3 THEN 'past 3' ELSE text END WHERE id IN (3, 34); RESET session_replication_role`,
    );
    expect(await fill(chain.context())).toMatchObject({ changed: false, rows: { pending: 0 } });
    const provider = async () => hashProvider('hash/384');
    const failed = (await verify(chain.context(), { full: true, provider })).checks.filter((check) => !check.ok);
    expect(failed.map((check) => check.name)).toEqual(['text hashes', 'embedded again']);
    expect(failed[0]?.detail).toContain('embedded: 3');
    expect(await fill(chain.context(), { recheck: true })).toMatchObject({ run: { written: 1 } });
    expect(await verify(chain.context(), { full: true, provider })).toMatchObject({ ok: true });
  });
});
