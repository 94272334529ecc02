import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, beforeEach, describe, expect, it } from 'vitest';
import type { MigrationInput } from '../../src/config/define-migration.ts';
import { loadRuntimeSettings } from '../../src/config/runtime.ts';
import { hashProvider } from '../../src/providers/hash.ts';
import type { Reranker } from '../../src/providers/reranker.ts';
import { evaluationText } from '../../src/reports/evaluation-report.ts';
import { textArrayLiteral } from '../../src/sql/array-literal.ts';
import { cutOver } from '../../src/steps/cut-over.ts';
import { evaluate } from '../../src/steps/evaluate.ts';
import { expand } from '../../src/steps/expand.ts';
import { fill } from '../../src/steps/fill.ts';
import { type Chain, makeSegments, openChain } from '../helpers/chain.ts';
import { refusalOf } from '../helpers/refusal.ts';
import { writeTinyCrossEncoder } from '../helpers/tiny-cross-encoder.ts';

let chain: Chain;
let directory: string;
beforeAll(async () => {
  chain = await openChain();
  directory = await mkdtemp(join(tmpdir(), 'reembed-gate-'));
});
afterAll(async () => {
  await chain.close();
  await rm(directory, { recursive: true });
});
beforeEach(() => chain.db.query('DROP TABLE IF EXISTS segments; DROP SCHEMA IF EXISTS reembed CASCADE'));

const told = (context: { readonly events: readonly object[] }) => JSON.stringify(context.events);

it('007 by default says that nobody has measured the new vectors, and with REEMBED_GATE=off nothing', async () => {
  await makeSegments(chain.db, { rows: 20 });
  await expand(chain.context());
  await fill(chain.context());
  const gateOf = (environment: Record<string, string>) => ({ gate: loadRuntimeSettings(environment).gate });
  const silent = chain.context({}, gateOf({ REEMBED_GATE: 'off' }));
  const context = chain.context({}, gateOf({}));
  // What stops at the exchange has passed the gate.
  await chain.db.query('ALTER TABLE segments ADD COLUMN embedding_old int');
  await refusalOf(cutOver(silent));
  await chain.db.query('ALTER TABLE segments DROP COLUMN embedding_old');
  expect(told(silent)).not.toContain('REEMBED_GATE=off');
  expect(await cutOver(context)).toMatchObject({ changed: true });
  expect(told(context)).toMatch(/not yet for quality: no evaluation is on record \(REEMBED_GATE=off silences this\)/);
});

it('a look that fails stops a required swap and no other; rows that nobody can compare are no empty table', async () => {
  await makeSegments(chain.db, { rows: 20 });
  await chain.db.query('UPDATE segments SET text = NULL');
  await expand(chain.context());
  await fill(chain.context());
  const required = chain.context({}, { gate: 'required' });
  expect(await refusalOf(cutOver(required))).toMatchObject({ code: 'gate_no_verdict' });
  await chain.db.query('ALTER TABLE reembed.evaluations RENAME COLUMN report TO other');
  expect(await refusalOf(cutOver(required))).toMatchObject({
    code: 'gate_no_verdict',
    message: expect.stringMatching(/could not be evaluated: column "report" does not exist/),
  });
  const warned = chain.context({}, { gate: 'warn' });
  expect(await cutOver(warned)).toMatchObject({ changed: true });
  expect(told(warned)).toMatch(/"warning".*could not be evaluated: column \\"report\\" does not exist/);
});

describe('a key of two columns, and a reranker that knows the answers', () => {
  const ROWS = 60;
  const OLD = { provider: 'hash', model: 'hash/16', dimensions: 16 } as const;
  const TWO: Partial<MigrationInput> = { from: OLD, index: { kind: 'none' } };
  const texts = Array.from({ length: ROWS }, (_, i) => `Passage number ${i} begins here. It is about item ${i}.`);
  // No word of a question stands in its passage: the hash finds it by chance only.
  const questions = texts.map((_, i) => `q${i}`);
  const knowing: Reranker = {
    model: { provider: 'local', name: 'knows', dtype: null, files: {} },
    score: async (query, candidates) =>
      Float32Array.from(candidates, (text) => Number(text.includes(`item ${query.slice(1)}.`))),
    close: async () => undefined,
  };
  let file: string;

  beforeEach(async () => {
    const { vectors } = await hashProvider(OLD.model).embed(texts, { kind: 'document' });
    await chain.db.query(
      `CREATE TABLE segments (lang text, n int, text text, embedding vector(16), PRIMARY KEY (n, lang))`,
    );
    await chain.db.query(
      `INSERT INTO segments SELECT CASE WHEN i % 2 = 0 THEN 'de, "x"' ELSE 'en' END, i, text, e::vector
       FROM unnest($1::text[], $2::text[]) WITH ORDINALITY u(text, e, i)`,
      [textArrayLiteral(texts), textArrayLiteral(vectors.map((vector) => `[${vector.join(',')}]`))],
    );
    await expand(chain.context(TWO));
    await fill(chain.context(TWO));
    file = join(directory, 'two.jsonl');
    const lines = questions.map((query, i) => ({ query, relevant: [[i + 1, i % 2 === 0 ? 'en' : 'de, "x"']] }));
    await writeFile(file, lines.map((line) => JSON.stringify(line)).join('\n'));
  });

  it('the reranked side is judged; its GO opens the gate only where a reranker will serve', async () => {
    const result = await evaluate(chain.context(TWO), { queries: { file }, rerank: knowing });
    expect(result).toMatchObject({
      verdict: 'go',
      queries: { labelled: ROWS, unknownKeys: 0 },
      comparisons: [{ to: 'new' }, { to: 'new, reranked', verdict: 'go' }],
    });
    expect(evaluationText(result)).toMatch(/^GO: Recall@10 behind the reranker knows changes by \+0\.9/);
    expect(result.comparisons[0]?.verdict).not.toBe('go');
    expect(result.sides[2]).toMatchObject({ reranker: { name: 'knows' }, exact: { metrics: { recallAt1: 1 } } });
    // What says nothing of quality does not take its place.
    const agreement = { queries: questions.slice(0, 3).map((query) => ({ query, relevant: undefined })) };
    expect(await evaluate(chain.context(TWO), { queries: agreement })).toMatchObject({ verdict: 'inconclusive' });

    const refusal = await refusalOf(cutOver(chain.context(TWO, { gate: 'required' })));
    expect(refusal).toMatchObject({ code: 'gate_refused', message: expect.not.stringContaining('reranker') });
    const { reranking } = loadRuntimeSettings({ ENABLE_RERANKER: '1' });
    const reranks = chain.context(TWO, { gate: 'required', reranking });
    expect(await cutOver(reranks)).toMatchObject({ changed: true });
    expect(told(reranks)).toMatch(/The gate is open: GO, .* behind the reranker knows;/);
  });

  it('first sentences find their rows by both columns of the key; other queries than those on record are asked', async () => {
    const { reranking } = loadRuntimeSettings({ RERANK_MODEL: await writeTinyCrossEncoder(join(directory, 'tiny')) });
    const asked = await evaluate(chain.context(TWO, { threads: 1, reranking: { ...reranking, topK: 5 } }), {
      ...{ queries: { knownItem: 'text' }, rerank: true, sample: 2, checks: false },
    });
    expect(asked).toMatchObject({
      queries: { source: 'first sentences of the text', used: 2 },
      sides: [{}, {}, { reranker: { name: expect.stringMatching(/tiny$/), topK: 5 } }],
    });
    const evaluation = loadRuntimeSettings({ REEMBED_QUERIES: file }).evaluation;
    const refusal = await refusalOf(cutOver(chain.context(TWO, { gate: 'required', evaluation })));
    expect(refusal).toMatchObject({ code: 'gate_refused', message: expect.stringContaining(`of ${file}`) });
    // The words themselves are what the hash finds.
    const exact = texts.map((query, i) => ({
      query,
      relevant: [{ key: [`${i + 1}`, i % 2 ? 'de, "x"' : 'en'], grade: 1 }],
    }));
    const found = await evaluate(chain.context(TWO), { queries: { queries: exact }, checks: false });
    expect(found.sides.map(({ exact: { metrics } }) => metrics?.recallAt1)).toEqual([1, 1]);
    // A vector of another model stands in the column, in a row that the old side does not have: nobody finds it.
    await chain.db.query('UPDATE segments SET embedding = NULL, embedding_384_model = 99 WHERE n = 1');
    const without = await evaluate(chain.context(TWO), { queries: { queries: exact }, checks: false });
    expect(without.rows).toMatchObject({ sides: [ROWS - 1, ROWS - 1], common: ROWS - 1, restricted: true });
  });
});
