import { readFileSync } from 'node:fs';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import type { MigrationPlan } from '../../src/plan/types.ts';
import { cutOver } from '../../src/steps/cut-over.ts';
import { expand } from '../../src/steps/expand.ts';
import { fill } from '../../src/steps/fill.ts';
import { planMigration } from '../../src/steps/plan-migration.ts';
import { type Chain, openChain } from '../helpers/chain.ts';

const MODEL = 'sentence-transformers/all-MiniLM-L6-v2';
const PASSAGES = readFileSync(new URL('../../examples/postgres-docs/passages.jsonl', import.meta.url), 'utf8')
  .trimEnd()
  .split('\n')
  .map((line) => (JSON.parse(line) as { readonly text: string }).text);
/** Enough to embed really in some seconds. */
const EMBEDDED = 60;

let chain: Chain;
beforeAll(async () => {
  chain = await openChain();
});
afterAll(() => chain.close());

async function makeTable(name: string, texts: readonly (string | null)[]): Promise<void> {
  await chain.db.query(`CREATE TABLE ${name} (id int PRIMARY KEY, text text, embedding vector(64))`);
  await chain.db.query(
    `INSERT INTO ${name} SELECT u.position, u.text, (SELECT array_agg(random()) FROM generate_series(1, 64) WHERE u.position > 0)::vector
     FROM json_array_elements_text($1::json) WITH ORDINALITY AS u(text, position)`,
    [JSON.stringify(texts)],
  );
  await chain.db.query(`ANALYZE ${name}`);
}

async function walPosition(): Promise<number> {
  const { rows } = await chain.db.query<{ bytes: number }>(
    `SELECT pg_wal_lsn_diff(pg_current_wal_insert_lsn(), '0/0')::float8 AS bytes`,
  );
  return rows[0]?.bytes ?? 0;
}

describe('a plan of the bundled model over real texts', () => {
  it('counts the tokens that the backfill then reads, cut and blank texts included', async () => {
    const long = PASSAGES.slice(0, 20).join('\n');
    const texts = [...PASSAGES.slice(0, EMBEDDED), long, '', ' \n', null];
    await makeTable('tokens', texts);
    const ctx = chain.context({ id: 'tokens', table: 'tokens', model: MODEL });
    const plan = await planMigration(ctx, { probe: true });
    await expand(ctx);
    const { run, rows } = await fill(ctx);
    const left = await planMigration(ctx);

    expect(plan.texts).toMatchObject({
      sampledRows: texts.length,
      tokenizer: `the tokenizer of ${MODEL}`,
      texts: { value: rows.done, basis: 'counted' },
      tokens: { value: run?.tokens, basis: 'counted' },
      maxTokens: 256,
      truncated: { value: run?.truncated },
    });
    expect(left.texts).toMatchObject({ done: { value: rows.done }, texts: { value: 0 }, tokens: { value: 0 } });
    expect(run?.truncated).toBeGreaterThan(0);
    expect(plan.texts?.tokensLost.value).toBeGreaterThan(256);
    expect(plan.time.embedSeconds).toMatchObject({ basis: 'measured' });
    expect(plan.memory.model).toMatchObject({ dtype: 'int8' });
    expect(plan).toMatchObject({ requests: undefined, cost: { usd: { value: 0 } }, rows: texts.length });
  });
});

describe('a sample', () => {
  let plan: MigrationPlan;
  const all = Array.from({ length: 12_000 }, (_, i) => PASSAGES[i % 400]?.slice(0, 40 + ((i * 37) % 500)) ?? '');

  beforeAll(async () => {
    await makeTable('sampled', all);
    await chain.db.query('CREATE INDEX ON sampled USING ivfflat (embedding vector_cosine_ops) WITH (lists = 20)');
    plan = await planMigration(chain.context({ id: 'sampled', table: 'sampled', model: MODEL }));
  });

  it('of a table that is too large to read whole holds its truth within the range that it gives', async () => {
    const bytes = all.reduce((sum, text) => sum + Buffer.byteLength(text), 0);
    expect(plan.texts?.sampledRows).toBeLessThan(4_001);
    expect(plan.texts?.bytes.basis).toBe('sampled');
    // Twice the interval: a test may not fail once in twenty runs.
    const { value = 0, high = 0 } = plan.texts?.bytes ?? {};
    expect(Math.abs(value - bytes)).toBeLessThan(2 * (high - value));
    expect(high - value).toBeLessThan(0.1 * bytes);
  });

  it('tells the WAL that the backfill writes to within the range that it gives', async () => {
    const ctx = chain.context({ id: 'wal', table: 'sampled', model: 'hash/384', target: 'wal_384' });
    const planned = await planMigration(ctx);
    await expand(ctx);
    await chain.db.query('CHECKPOINT');
    const before = await walPosition();
    await fill(ctx);
    const written = (await walPosition()) - before;
    const { low, high } = planned.storage.walBytes.backfill;
    expect(written).toBeGreaterThan(low);
    expect(written).toBeLessThan(high);
    await cutOver(ctx);
    const over = await planMigration(ctx);
    expect(over.notes[0]).toContain('has exchanged the columns already');
    expect(over.texts?.texts.value).toBe(0);
  });
});
