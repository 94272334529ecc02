import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { type Passage, readPassages } from '../../src/cli/demo/demo-files.ts';
import { loadRuntimeSettings } from '../../src/config/runtime.ts';
import type { QuerySource } from '../../src/evaluate/load-queries.ts';
import { readStatus } from '../../src/inspect/status.ts';
import { createProvider } from '../../src/providers/create-provider.ts';
import type { EmbeddingProvider } from '../../src/providers/types.ts';
import { evaluationText } from '../../src/reports/evaluation-report.ts';
import { knownItemRecall } from '../../src/search/recall.ts';
import { textArrayLiteral } from '../../src/sql/array-literal.ts';
import { cutOver } from '../../src/steps/cut-over.ts';
import { evaluate } from '../../src/steps/evaluate.ts';
import { expand } from '../../src/steps/expand.ts';
import { fill } from '../../src/steps/fill.ts';
import { type Chain, openChain } from '../helpers/chain.ts';
import { refusalOf } from '../helpers/refusal.ts';

/** Consecutive passages in which the two encoders differ enough to be told apart by so few. */
const START = 240;
const ROWS = 160;
/** Rows that come in behind the backfill. */
const LATER = 40;
/** Only a GO swaps, and no loss at all is tolerated: with so few queries that is decided sooner. */
const STRICT = {
  gate: 'required',
  threads: 1,
  evaluation: loadRuntimeSettings({ REEMBED_TOLERANCE: '0' }).evaluation,
} as const;
const LEGACY = { provider: 'file', model: 'examples/postgres-docs/vectors.json', dimensions: 1536 } as const;
const MINILM = { provider: 'local', model: 'sentence-transformers/all-MiniLM-L6-v2', dimensions: 384 } as const;
const UP = { ...MINILM, id: 'up', from: LEGACY, index: { kind: 'none' } } as const;
const DOWN = { ...LEGACY, id: 'down', table: 'reversed', from: MINILM, index: { kind: 'none' } } as const;

let chain: Chain;
let directory: string;
let passages: Passage[];
let legacy: EmbeddingProvider;
let minilm: EmbeddingProvider;

beforeAll(async () => {
  chain = await openChain();
  directory = await mkdtemp(join(tmpdir(), 'reembed-evaluate-'));
  passages = (await readPassages('examples/postgres-docs/passages.jsonl')).slice(START, START + ROWS + LATER);
  legacy = await createProvider(LEGACY);
  minilm = await createProvider(MINILM, { threads: 1 });
  await chain.db.query(
    'CREATE TABLE segments (id int PRIMARY KEY, title text, text text NOT NULL, embedding vector(1536))',
  );
});
afterAll(async () => {
  await legacy.close();
  await minilm.close();
  await chain.close();
  await rm(directory, { recursive: true });
});

/** Rows as an application has them, with the vectors of the older model. */
async function insertPassages(from: number, to: number): Promise<void> {
  const rows = passages.slice(from, to);
  const texts = rows.map(({ text }) => text);
  const { vectors } = await legacy.embed(texts, { kind: 'document' });
  await chain.db.query(
    `INSERT INTO segments SELECT $1::int + n, title, text, e::vector
     FROM unnest($2::text[], $3::text[], $4::text[]) WITH ORDINALITY u(title, text, e, n)`,
    [
      from,
      textArrayLiteral(rows.map(({ title }) => title)),
      textArrayLiteral(texts),
      textArrayLiteral(vectors.map((vector) => `[${vector.join(',')}]`)),
    ],
  );
}

const upwards = { old: async () => legacy, new: async () => minilm };

describe('real passages, an older encoder and all-MiniLM-L6-v2, their titles as queries', () => {
  it('older encoder → MiniLM is GO; status tells it, the state keeps no text of it', async () => {
    await insertPassages(0, ROWS);
    const ctx = chain.context(UP, STRICT);
    await expand(ctx);
    await fill(ctx);
    const result = await evaluate(ctx, { queries: { knownItem: 'title' }, providers: upwards });
    expect(result).toMatchObject({ verdict: 'go', rows: { restricted: false, common: ROWS } });
    const { rows } = await chain.db.query<{ report: string }>('SELECT report::text FROM reembed.evaluations');
    expect(rows).toHaveLength(1);
    expect(passages.filter(({ title, text }) => [title, text].some((each) => rows[0]?.report.includes(each)))).toEqual(
      [],
    );
    expect((await readStatus(ctx)).evaluation).toMatchObject({
      verdict: 'go',
      summary: expect.stringMatching(/^GO, Recall@10 \+0\.\d+ \(95%: /),
    });
  });

  it('a half-done backfill is evaluated on the rows that both sides have, by the queries that those answer', async () => {
    await insertPassages(ROWS, ROWS + LATER);
    const lines = passages.map(({ title }, i) => ({ query: title, relevant: [i + 1], slice: i % 2 ? 'odd' : 'even' }));
    const file = join(directory, 'titles.jsonl');
    const asked = [...lines.slice(ROWS - LATER), { query: 'a row that is not there', relevant: [ROWS + LATER + 1] }];
    await writeFile(file, asked.map((line) => JSON.stringify(line)).join('\n'));
    const options = { queries: { file }, providers: upwards, store: false, checks: false } as const;
    const result = await evaluate(chain.context(UP), options);
    expect(result.rows).toMatchObject({
      total: ROWS + LATER,
      sides: [ROWS + LATER, ROWS],
      common: ROWS,
      restricted: true,
    });
    const found = 2 * LATER + 1;
    expect(result.queries).toMatchObject({
      found,
      used: LATER,
      labelled: LATER,
      withoutRow: LATER + 1,
      unknownKeys: 1,
    });
    expect(result.comparisons[0]?.slices).toMatchObject([
      { slice: 'even', queries: LATER / 2 },
      { slice: 'odd', queries: LATER / 2 },
    ]);
    // What only the old side has must not stand in its way: among all rows it finds fewer of the same answers.
    const queries = asked.slice(0, LATER).map(({ query, relevant }) => ({ query, relevant: [relevant.map(String)] }));
    const among = { queries, side: 'old', exact: true, providers: upwards } as const;
    const all = await knownItemRecall(chain.context(UP), among);
    expect(result.sides[0]?.exact.metrics?.reciprocalRank).toBeGreaterThan(all.mrr);
    expect(evaluationText(result)).toContain(`only the ${ROWS} rows that every side has a vector for were searched`);
    await chain.db.query(`DELETE FROM segments WHERE id > ${ROWS}`);
  });

  it('the gate lets that swap through by the verdict on record, without asking again', async () => {
    const ctx = chain.context(UP, STRICT);
    expect(await cutOver(ctx)).toMatchObject({ changed: true });
    const told = ctx.events.flatMap((event) => (event.kind === 'notice' ? [event.message] : []));
    expect(told).toContainEqual(expect.stringMatching(/^The gate is open: GO, .*0% of the rows changed since/));
    expect((await chain.db.query('SELECT 1 FROM reembed.evaluations')).rows).toHaveLength(1);
  });

  it('MiniLM → older encoder is NO-GO: the gate asks the configured queries and refuses, also when called again', async () => {
    await chain.db.query(
      `CREATE TABLE reversed (id int PRIMARY KEY, title text, text text NOT NULL, embedding vector(384));
       INSERT INTO reversed SELECT id, title, text, embedding FROM segments`,
    );
    const ctx = chain.context(DOWN, { ...STRICT, evaluation: { ...STRICT.evaluation, knownItem: 'title' } });
    await expand(ctx);
    const refused = await refusalOf(cutOver(ctx));
    expect(refused).toMatchObject({
      code: 'gate_refused',
      message: expect.stringMatching(/NO-GO, Recall@10 −0\.\d+ .*The application keeps the old vectors/),
      hint: expect.stringContaining('REEMBED_GATE=warn'),
    });
    expect(await refusalOf(cutOver(ctx))).toMatchObject({
      message: expect.stringContaining('0% of the rows changed since'),
    });
    expect(await readStatus(ctx)).toMatchObject({
      active: 'old',
      phase: 'backfilled',
      evaluation: { verdict: 'no-go' },
    });
    expect((await chain.db.query(`SELECT 1 FROM reembed.evaluations WHERE migration_id = 'down'`)).rows).toHaveLength(
      1,
    );
  });

  it('the verdict on record is worth nothing after too many edits; by another tolerance it is decided anew', async () => {
    const lax = chain.context(DOWN, { gate: 'required', evaluation: { ...STRICT.evaluation, tolerance: 0.9 } });
    await chain.db.query(
      `INSERT INTO reversed SELECT id + ${ROWS}, title, text, embedding FROM reversed WHERE id <= ${0.15 * ROWS}`,
    );
    await fill(lax);
    expect(await refusalOf(cutOver(lax))).toMatchObject({
      code: 'gate_no_verdict',
      message: expect.stringMatching(/15% of the rows changed since the evaluation of .*, 10% may/),
    });
    await chain.db.query(`DELETE FROM reversed WHERE id > ${ROWS}`);
    const other = chain.context({ ...DOWN, from: { ...MINILM, model: 'another' } }, STRICT);
    expect(await refusalOf(cutOver(other))).toMatchObject({
      message: expect.stringContaining('made with other models'),
    });
    expect(await cutOver(lax)).toMatchObject({ changed: true });
  });
});

describe('what cannot be measured', () => {
  it('an old model that did not make the old vectors is refused, with both named', async () => {
    const ctx = chain.context(UP);
    const hash = await createProvider({ provider: 'hash', model: 'hash/1536', dimensions: 1536 });
    const asked = evaluate(ctx, { queries: { knownItem: 'title' }, providers: { ...upwards, old: async () => hash } });
    expect(await refusalOf(asked)).toMatchObject({
      code: 'old_model_differs',
      message: expect.stringMatching(
        /^hash\/1536 .* makes of 8 texts what is stored in public\.segments\.embedding_old \(1536\) with a mean cosine of/,
      ),
      hint: expect.stringContaining('"from"'),
    });
  });

  it('queries without answers measure agreement only, which decides nothing', async () => {
    const file = join(directory, 'queries.txt');
    await writeFile(
      file,
      passages
        .slice(0, 5)
        .map(({ title }) => title)
        .join('\n'),
    );
    const result = await evaluate(chain.context(UP), {
      queries: { file },
      providers: upwards,
      store: false,
      checks: false,
    });
    expect(result).toMatchObject({ verdict: 'inconclusive', queries: { used: 5, labelled: 0 } });
    expect(result.comparisons[0]?.overlap).toBeGreaterThan(0);
    expect(result.sides[0]?.exact.metrics).toBeUndefined();
  });

  it('bad keys and columns are told with what is there', async () => {
    const file = join(directory, 'keys.jsonl');
    await writeFile(file, JSON.stringify({ query: 'x', relevant: ['pg-00001'] }));
    const ask = (queries: QuerySource) => refusalOf(evaluate(chain.context(UP), { queries, providers: upwards }));
    expect(await ask({ file })).toMatchObject({
      code: 'keys_invalid',
      message: expect.stringContaining('(id integer)'),
    });
    expect(await ask({ knownItem: 'headline' })).toMatchObject({
      code: 'known_item_unknown',
      message: expect.stringMatching(/no column "headline" .* id, title, text/),
    });
  });

  it('an empty table passes the required gate, one with rows and without queries does not', async () => {
    await chain.db.query('CREATE TABLE fresh (id int PRIMARY KEY, text text, embedding vector(16))');
    const ctx = chain.context({ id: 'fresh', table: 'fresh' }, { gate: 'required' });
    await expand(ctx);
    expect(await cutOver(ctx)).toMatchObject({ changed: true });
    const filled = chain.context({ id: 'filled', table: 'filled' }, { gate: 'required' });
    await chain.db.query(
      `CREATE TABLE filled (id int PRIMARY KEY, text text, embedding vector(2));
       INSERT INTO filled VALUES (1, 'a row', '[1,2]')`,
    );
    await expand(filled);
    expect(await refusalOf(cutOver(filled))).toMatchObject({
      code: 'gate_no_verdict',
      message: expect.stringContaining('no evaluation is on record'),
    });
  });
});
