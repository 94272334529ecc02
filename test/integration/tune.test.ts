import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { searchTable } from '../../src/search/search.ts';
import { readSearchSide } from '../../src/search/search-side.ts';
import { mulberry32 } from '../../src/search/tuning/bootstrap-mean.ts';
import { findRecord } from '../../src/state/resolve.ts';
import { cutOver } from '../../src/steps/cut-over.ts';
import { expand } from '../../src/steps/expand.ts';
import { fill } from '../../src/steps/fill.ts';
import { tune } from '../../src/steps/tune.ts';
import { type Chain, openChain } from '../helpers/chain.ts';

const ROWS = 2_000;
const DIMENSIONS = 32;

let chain: Chain;

/** Vectors around 60 centres that lie near each other: neighbours are spread over several lists. */
async function makeClusters(): Promise<void> {
  const random = mulberry32(7);
  const normal = (): number => Math.sqrt(-2 * Math.log(1 - random())) * Math.cos(2 * Math.PI * random());
  const centres = Array.from({ length: 60 }, () => Array.from({ length: DIMENSIONS }, normal));
  const vectors = Array.from({ length: ROWS }, (_, i) =>
    (centres[i % 60] ?? []).map((value) => (value + 2 * normal()).toFixed(4)),
  );
  await chain.db.query(`CREATE TABLE segments (id bigint PRIMARY KEY, text text, embedding vector(${DIMENSIONS}))`);
  await chain.db.query(
    `INSERT INTO segments SELECT n, 'passage ' || n || ' word' || n % 97, e::vector FROM unnest($1::text[]) WITH ORDINALITY u(e, n)`,
    [`{${vectors.map((vector) => `"[${vector.join(',')}]"`).join(',')}}`],
  );
  await chain.db.query(
    'CREATE INDEX segments_ann ON segments USING ivfflat (embedding vector_l2_ops) WITH (lists = 50)',
  );
}

beforeAll(async () => {
  chain = await openChain();
  await makeClusters();
});
afterAll(() => chain.close());

const context = () => chain.context({ model: 'hash/64', dimensions: 64 });
const probesOf = async () => (await readSearchSide(context(), 'active')).index?.probes;

describe('tune', () => {
  it('measures before 005 and keeps nothing, as there is no state', async () => {
    const result = await tune(context(), { queryCount: 20 });
    expect(result).toMatchObject({ side: 'old', stored: false, rows: ROWS, index: { name: 'segments_ann' } });
    await expand(context());
  });

  it('finds that one probe misses, and the smallest setting that reaches the target', async () => {
    expect(await probesOf()).toBe(8);
    const result = await tune(context(), { queryCount: 50, recall: 0.9, dryRun: true });
    const [first] = result.curve;
    expect(first?.setting).toBe(1);
    expect(first?.recall.mean).toBeLessThan(0.7);
    expect(result.chosen?.recall.low).toBeGreaterThanOrEqual(0.9);
    const below = result.curve.filter(({ setting }) => setting < (result.chosen?.setting ?? 0));
    expect(below.every(({ recall }) => recall.low < 0.9)).toBe(true);
    expect(await probesOf()).toBe(8);
  });

  it('stores it, and a search uses it and finds the share that was promised', async () => {
    const result = await tune(context(), { queryCount: 50, recall: 0.99 });
    expect(result.stored).toBe(true);
    const probes = result.chosen?.setting ?? 0;
    expect(probes).toBeGreaterThan(8);
    const query = Float32Array.from({ length: DIMENSIONS }, (_, i) => Math.sin(i));
    expect((await searchTable(context(), { query, providers: {} })).index).toMatchObject({ probes });
    expect((await findRecord(context()))?.searchSettings?.segments_ann).toMatchObject({
      setting: probes,
      rows: ROWS,
      side: 'old',
    });
  });

  it('does not take the old index’s setting for the new one that has its name after the swap', async () => {
    const before = await probesOf();
    await fill(context());
    await cutOver(context());
    expect(await probesOf()).not.toBe(before);
  });
});
