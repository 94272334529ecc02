import { afterAll, beforeAll, beforeEach, describe, expect, it } from 'vitest';
import type { Database } from '../../src/db/types.ts';
import { hashProvider } from '../../src/providers/hash.ts';
import type { EmbeddingProvider } from '../../src/providers/types.ts';
import type { MigrationContext } from '../../src/state/context.ts';
import { registerModel } from '../../src/state/models.ts';
import { readRecord, updateRecord } from '../../src/state/records.ts';
import { embedPending } from '../../src/steps/embed-pending.ts';
import { expand } from '../../src/steps/expand.ts';
import { fill } from '../../src/steps/fill.ts';
import { withLease } from '../../src/steps/with-lease.ts';
import { type Chain, openChain, staleKeys } from '../helpers/chain.ts';

const MODEL = 'hash/8';
/** More than are counted exactly for the progress line. */
const ROWS = 120_000;
const DONE = 60_000;

let chain: Chain;
beforeAll(async () => {
  chain = await openChain();
});
beforeEach(async () => {
  await chain.db.query('DROP TABLE IF EXISTS segments; DROP SCHEMA IF EXISTS reembed CASCADE');
  await chain.db.query('CREATE TABLE segments (id bigserial PRIMARY KEY, text text, embedding vector(2))');
});
afterAll(() => chain.close());

const migration = { model: MODEL, dimensions: 8, target: 'embedding_8' };

interface Asked {
  readonly text: string;
  readonly params: readonly unknown[];
}

/** Keeps what is asked while `record` is true. */
function recording(db: Database): { readonly db: Database; readonly asked: Asked[]; record: boolean } {
  const recorder = {
    record: true,
    asked: [] as Asked[],
    db: {
      ...db,
      query: ((text: string, params: readonly unknown[] = []) => {
        if (recorder.record) recorder.asked.push({ text, params });
        return db.query(text, params);
      }) as Database['query'],
    },
  };
  return recorder;
}

/** Pages that a statement looks at, of whatever table or index. */
async function pagesRead({ text, params }: Asked): Promise<number> {
  const { rows } = await chain.db.query<{ 'QUERY PLAN': [{ Plan: Record<string, number> }] }>(
    `EXPLAIN (ANALYZE, BUFFERS, FORMAT JSON) ${text}`,
    params,
  );
  const plan = rows[0]?.['QUERY PLAN'][0].Plan;
  return (plan?.['Shared Hit Blocks'] ?? Number.NaN) + (plan?.['Shared Read Blocks'] ?? Number.NaN);
}

async function pagesOf(table: string): Promise<number> {
  const { rows } = await chain.db.query<{ pages: number }>(
    `SELECT (pg_relation_size($1::regclass) / current_setting('block_size')::int)::int AS pages`,
    [table],
  );
  return rows[0]?.pages ?? Number.NaN;
}

describe('a table that is half done', () => {
  /** As a run leaves it that was stopped in the middle: done up to the cursor, the done rows' new versions behind all others. */
  async function halfDone(ctx: MigrationContext): Promise<void> {
    await insertRows();
    await expand(ctx);
    const modelId = await registerModel(chain.db, 'reembed', { ...hashProvider(MODEL).model, configuredAs: MODEL });
    await chain.db.query(
      `UPDATE segments SET embedding_8 = '[1,0,0,0,0,0,0,0]', embedding_8_model = $1, embedding_8_hash = '\\x00', embedding_8_at = now()
       WHERE id <= ${DONE}`,
      [modelId],
    );
    await chain.db.query('ANALYZE segments');
    const done = { modelId, cursor: [String(DONE)], rowsWritten: DONE, phase: 'backfilling' as const };
    await updateRecord(chain.db, 'reembed', ctx.definition.id, done);
  }

  async function insertRows(): Promise<void> {
    await chain.db.query(`INSERT INTO segments (text) SELECT 'passage ' || i FROM generate_series(1, ${ROWS}) i`);
  }

  it('is gone on with at the cursor: nothing on the way to the first batch looks at what is done', async () => {
    const ctx = chain.context(migration);
    await halfDone(ctx);
    const recorder = recording(chain.db);
    const stop = new AbortController();
    const first: string[][] = [];
    const provider: EmbeddingProvider = {
      ...hashProvider(MODEL),
      async embed(texts) {
        recorder.record = false;
        first.push([...texts]);
        stop.abort();
        throw stop.signal.reason;
      },
    };
    const resumed = withLease({ ...ctx, db: recorder.db, signal: stop.signal }, 'fill', ({ ctx: leased, lease }) =>
      embedPending(leased, lease, { get: async () => provider, close: async () => undefined }),
    );
    await expect(resumed).rejects.toMatchObject({ name: 'InterruptedError' });
    expect(first[0]?.[0]).toBe(`passage ${DONE + 1}`);
    const selects = recorder.asked.filter(({ text }) => /^SELECT/.test(text) && /"segments"/.test(text));
    expect(selects.length).toBeGreaterThan(1);
    const tenth = (await pagesOf('segments')) / 10;
    for (const asked of selects) expect(await pagesRead(asked), asked.text).toBeLessThan(tenth);
  }, 60_000);

  it('is finished, rows before the cursor included that were edited meanwhile', async () => {
    const ctx = chain.context(migration);
    await halfDone(ctx);
    await chain.db.query(`UPDATE segments SET text = 'edited' WHERE id IN (3, ${DONE - 1})`);
    const { rows, run } = await fill(ctx);
    expect(rows).toMatchObject({ total: ROWS, done: ROWS, pending: 0 });
    expect(run).toMatchObject({ written: ROWS - DONE + 2 });
    const progress = ctx.events.flatMap((event) => (event.kind === 'rows' ? [event] : []));
    expect(progress[0]?.done).toBeGreaterThan(DONE);
    expect(progress.at(-1)?.tokenRate).toBeGreaterThan(0);
  }, 120_000);
});

describe('a run that is stopped', () => {
  it('keeps how far it came to the last batch, however soon after it began', async () => {
    await chain.db.query(`INSERT INTO segments (text) SELECT 'passage ' || i FROM generate_series(1, 400) i`);
    const context = chain.context(migration, { batchRows: 20 });
    await expand(context);
    const stop = new AbortController();
    const onProgress: MigrationContext['onProgress'] = (event) => {
      if (event.kind === 'rows' && event.done >= 60) stop.abort();
    };
    await expect(fill({ ...context, onProgress, signal: stop.signal })).rejects.toMatchObject({ code: 'interrupted' });
    const record = await readRecord(chain.db, 'reembed', context.definition.id);
    const { rows } = await chain.db.query<{ n: number; last: string }>(
      'SELECT count(*)::int AS n, max(id)::text AS last FROM segments WHERE embedding_8 IS NOT NULL',
    );
    expect(rows[0]?.n).toBeGreaterThanOrEqual(60);
    expect(rows[0]?.n).toBeLessThan(400);
    expect(record).toMatchObject({ rowsWritten: rows[0]?.n, cursor: [rows[0]?.last] });
  });
});

describe('a run that was held up for longer than its lease', () => {
  /** Another process takes over and swaps; this one does not notice before it writes. */
  async function takeOver(): Promise<void> {
    await chain.db.query('UPDATE reembed.leases SET token = token + 1');
    await chain.db.query(`UPDATE reembed.migrations SET phase = 'swapped', cursor = NULL, rows_written = 7`);
  }

  it.each(['before its first batch', 'after its last one'])(
    'puts nothing back that its successor moved on: %s',
    async (when) => {
      await insertSegmentsOf(50);
      const context = chain.context(migration, { leaseSeconds: 3_600 });
      await expand(context);
      let taking: Promise<void> | undefined;
      const ctx: MigrationContext = {
        ...context,
        onProgress(event) {
          const due = when === 'before its first batch' ? event.kind === 'step' : event.kind === 'rows';
          if (due) taking ??= takeOver();
        },
        db: {
          ...chain.db,
          async query(text, params) {
            await taking;
            return chain.db.query(text, params);
          },
          async transaction(work, options) {
            await taking;
            return chain.db.transaction(work, options);
          },
        },
      };
      await expect(fill(ctx)).rejects.toMatchObject({ code: 'lease_lost' });
      const record = await readRecord(chain.db, 'reembed', ctx.definition.id);
      expect(record).toMatchObject({ phase: 'swapped', rowsWritten: 7, cursor: null });
    },
  );

  async function insertSegmentsOf(rows: number): Promise<void> {
    await chain.db.query(`INSERT INTO segments (text) SELECT 'passage ' || i FROM generate_series(1, $1::int) i`, [
      rows,
    ]);
  }
});

describe('an application that inserts while the backfill walks', () => {
  it('does not lengthen the walk, but is warned of: what comes in behind it is for the next one', async () => {
    const insert = (rows: number): Promise<unknown> =>
      chain.db.query(`INSERT INTO segments (text) SELECT 'passage ' || i FROM generate_series(1, $1::int) i`, [rows]);
    await insert(1_000);
    const ctx = chain.context(migration, { batchRows: 100, concurrency: 1, writers: 1 });
    await expand(ctx);
    const inner = hashProvider(MODEL);
    let calls = 0;
    const provider: EmbeddingProvider = {
      ...inner,
      async embed(texts, options) {
        // As many rows come in as are embedded, for four times the table.
        calls += 1;
        if (calls <= 40) await insert(100);
        return inner.embed(texts, options);
      },
    };
    const result = await withLease(ctx, 'fill', ({ ctx: leased, lease }) =>
      embedPending(leased, lease, { get: async () => provider, close: async () => undefined }),
    );
    expect(result).toMatchObject({ written: 5_000, passes: 5 });
    const warnings = ctx.events.flatMap((event) => (event.kind === 'warning' ? [event.message] : []));
    expect(warnings).toEqual([expect.stringMatching(/^Walk 2 met 1000 pending rows, the one before it 1000: /)]);
    expect(await staleKeys(chain.db, 'embedding_8', 'segments', MODEL)).toEqual([]);
  });
});
