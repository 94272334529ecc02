import { describe, expect, it } from 'vitest';
import type { PlanInputs } from '../../../src/plan/inputs.ts';
import { hnswMemoryBytes } from '../../../src/sql/hnsw-memory.ts';
import { OLD_INDEX, planOf, sampleOf } from './plan-facts.ts';

const LOCAL_PROBE = { texts: 256, tokens: 25_600, requests: undefined, seconds: 2, device: 'cpu (2 threads)' };
const OPENAI = { model: 'text-embedding-3-small', provider: 'openai', dimensions: 1536 } as const;

/** 100,000 rows of 100 tokens: ten million tokens. */
function timed(inputs: PlanInputs, input: Parameters<typeof planOf>[1] = {}) {
  return planOf({ annIndexes: [] }, input, { sample: sampleOf(), ...inputs });
}

describe('the time', () => {
  it('of embedding is that of the probe, by the token', () => {
    const { time } = timed({ probe: LOCAL_PROBE });
    expect(time.embedSeconds?.value).toBeCloseTo(10_000_000 / 12_800, 6);
  });

  it('is not told without a probe, and the plan says how to get it', () => {
    const plan = timed({});
    expect(plan.time).toMatchObject({ embedSeconds: undefined, backfillSeconds: undefined });
    expect(plan.assumptions.join('\n')).toContain('add --probe');
  });

  it('of a service is that of its requests, as many at a time as are in flight', () => {
    const probe = { texts: 1000, tokens: 100_000, requests: 1, seconds: 3, device: 'openai' };
    const { requests, time } = timed({ probe }, OPENAI);
    expect(requests?.value).toBe(100);
    // Two windows at a time, a request each.
    expect(time.embedSeconds).toMatchObject({ value: 150, high: 300 });
  });

  it("of a service is never below what the minute's limits allow", () => {
    const probe = { texts: 1000, tokens: 100_000, requests: 1, seconds: 3, device: 'openai' };
    const pace = (tokensPerMinute: number | undefined, requestsPerMinute: number | undefined) => ({
      batchRows: 1000,
      concurrency: 2,
      batchSize: undefined,
      remote: { maxRequests: 8, requestsPerMinute, tokensPerMinute },
    });
    expect(timed({ probe, pace: pace(1_000_000, undefined) }, OPENAI).time.embedSeconds?.value).toBe(600);
    expect(timed({ probe, pace: pace(undefined, 10) }, OPENAI).time.embedSeconds?.value).toBe(600);
  });

  it('of the backfill is the longer of embedding and writing', () => {
    const fast = { ...LOCAL_PROBE, seconds: 0.001 };
    const { time } = timed({ probe: fast });
    expect(time.backfillSeconds?.value).toBe(time.writeSeconds.value);
    const slow = timed({ probe: LOCAL_PROBE }).time;
    expect(slow.backfillSeconds?.value).toBe(slow.embedSeconds?.value);
  });

  it('of writing grows with what the kept index costs', () => {
    const seconds = (input = {}) => planOf({}, input).time.writeSeconds.value;
    expect(seconds()).toBeGreaterThan(4 * seconds({ oldIndex: 'drop' }));
  });
});

describe('the memory', () => {
  it('of an HNSW graph is what pgvector was seen to need: it held 7,450 vectors of 384 dimensions in 16 MB', () => {
    const nodes = (16 * 1024 ** 2) / hnswMemoryBytes(1, 16, 8 + 4 * 384);
    expect(nodes).toBeGreaterThan(7_300);
    expect(nodes).toBeLessThan(7_600);
  });

  it('of the largest index build is told, and what the model takes', () => {
    const model = { graphBytes: 30e6, dtype: 'int8', threads: 2, sessionBytes: 100e6 } as const;
    const { memory, indexes } = planOf({ annIndexes: [] }, { index: { kind: 'hnsw' } }, { model });
    expect(memory.model?.bytes.value).toBe(200e6);
    expect(memory.indexBuildBytes).toBe(indexes[0]?.graphBytes);
    expect(memory.indexBuildBytes).toBeGreaterThan(100_000 * 1544);
  });
});

describe('the disk', () => {
  it('holds a second version of every row at the peak, and both indexes', () => {
    const { storage } = planOf({ heapBytes: 60_000_000 });
    expect(storage.peakBytes.high).toBeGreaterThan(900e6 + 800e6 + storage.newColumnBytes + storage.newIndexBytes);
    expect(storage.peakBytes.low).toBeLessThan(storage.peakBytes.high - 800e6);
  });

  it('gets less WAL where the old index is dropped first', () => {
    const wal = (input = {}) => planOf({ heapBytes: 60_000_000 }, input).storage.walBytes.backfill.value;
    expect(wal({ oldIndex: 'drop' })).toBeLessThan(0.5 * wal());
  });

  it('needs nothing for an empty table', () => {
    const empty = planOf({ rowsEstimate: 0, rowsCounted: true, tableBytes: 8192, heapBytes: 0, indexBytes: 8192 });
    expect(empty.storage.walBytes.backfill.value).toBe(0);
    expect(empty.time.writeSeconds.value).toBe(0);
  });
});

describe('the order of deployment', () => {
  const commands = (plan = planOf()) => plan.deployment.steps.flatMap((step) => step.commands);

  it('of a large table has the backfill beside the application between two deploys', () => {
    const { deployment } = planOf();
    expect(deployment.way).toBe('two deploys');
    expect(deployment.steps.map((step) => step.title)).toEqual([
      'Look',
      'Deploy N ships 005_add_embedding_384',
      'Beside the application',
      'Deploy N+1 ships 006_backfill_embedding_384 and 007_swap_embedding',
      'Verify',
      'After 7 days',
      'When it suits',
    ]);
    expect(commands()).toContain('reembed backfill --migration segments-bge');
  });

  it('of a small table is one deploy', () => {
    const { deployment } = planOf({ rowsEstimate: 2000, rowsCounted: true });
    expect(deployment.way).toBe('one deploy');
    expect(commands(planOf({ rowsEstimate: 2000 }))).not.toContain('reembed backfill --migration segments-bge');
  });

  it('goes by the measured time where there is one', () => {
    expect(timed({ probe: LOCAL_PROBE }).deployment.way).toBe('two deploys');
    expect(timed({ probe: { ...LOCAL_PROBE, seconds: 0.1 } }).deployment.way).toBe('one deploy');
  });

  it('has no finalize where 007 drops the old column', () => {
    expect(commands(planOf({}, { oldColumn: 'drop' })).join('\n')).not.toContain('finalize');
  });
});

it('the indexes of a half-done migration take the time of all rows that have vectors', () => {
  const { texts } = sampleOf();
  const half = texts.map((text, i) => (i % 2 === 0 ? text : { ...text, bytes: 0, tokens: 0, done: true }));
  const rest = timed({ sample: { ...sampleOf(), texts: half } });
  expect(rest.texts?.texts.value).toBe(50_000);
  expect(rest.time.indexSeconds.value).toBe(timed({}).time.indexSeconds.value);
});

describe('the notes', () => {
  it('warn of a budget that is too small, and of one that may be', () => {
    const over = timed({ price: { usdPerMillionTokens: 1, source: '--price' }, budgetUsd: 9 });
    expect(over.cost.overBudget).toBe(true);
    expect(over.notes[0]).toBe('Over budget: about $10.00 of $9.00; the backfill would stop there, resumably.');
    const spent = { usd: 4, unpricedTokens: 0 };
    const begun = timed({ price: { usdPerMillionTokens: 1, source: '--price' }, budgetUsd: 13, spent });
    expect(begun.notes[0]).toBe(
      'Over budget: about $10.00 of $13.00 after the $4.00 that are spent; the backfill would stop there, resumably.',
    );
    const unknown = timed({ budgetUsd: 9 }, { model: 'BAAI/bge-m3', provider: 'tei', dimensions: 1024 });
    expect(unknown.notes[0]).toContain('cannot be told');
  });

  it('say first that the migration is over where it is', () => {
    expect(timed({ swapped: true }).notes[0]).toContain('has exchanged the columns already');
  });

  it('say what becomes of texts over the limit', () => {
    const sample = sampleOf(10, { maxTokens: 50 });
    expect(timed({ sample }).notes.join('\n')).toContain('cut there');
    expect(timed({ sample: sampleOf() }).notes.join('\n')).not.toContain('cut there');
  });
});

it('a kept HNSW index is told as such, and its graph', () => {
  const hnsw = {
    ...OLD_INDEX,
    method: 'hnsw' as const,
    definition: OLD_INDEX.definition.replace(/ivfflat \(/, 'hnsw (').replace(/ WITH .*/, " WITH (m='32')"),
  };
  const [index] = planOf({ annIndexes: [hnsw] }).indexes;
  expect(index?.graphBytes).toBe(hnswMemoryBytes(100_000, 32, 8 + 4 * 384));
});
