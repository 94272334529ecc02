import { afterAll, beforeAll, beforeEach, describe, expect, it } from 'vitest';
import type { ModelReference, RemoteSettings } from '../../src/config/types.ts';
import { readStatus } from '../../src/inspect/status.ts';
import type { ProgressEvent } from '../../src/progress.ts';
import { expand } from '../../src/steps/expand.ts';
import { planMigration } from '../../src/steps/plan-migration.ts';
import { undoExpand } from '../../src/steps/undo-expand.ts';
import { type MigrationLedger, openLedger } from '../../src/steps/usage-ledger.ts';
import { type Chain, makeSegments, openChain } from '../helpers/chain.ts';

const MODEL: ModelReference = { provider: 'openai', model: 'some-model', dimensions: 8 };
/** A dollar a million tokens: 1,000 tokens are 0.1 cents. */
const PRICE = 1;

let chain: Chain;
beforeAll(async () => {
  chain = await openChain();
  await makeSegments(chain.db, { rows: 5 });
  await expand(chain.context());
});
beforeEach(() => chain.db.query('DELETE FROM reembed.usage'));
afterAll(() => chain.close());

function contextWith(settings: Partial<RemoteSettings>) {
  const { remote } = chain.context().runtime;
  return chain.context({}, { remote: { ...remote, usdPerMillionTokens: PRICE, ...settings } });
}

/** The ledger as a new process opens it. */
async function ledgerOf(settings: Partial<RemoteSettings>): Promise<MigrationLedger> {
  const ledger = await openLedger(contextWith(settings), MODEL);
  return ledger ?? expect.fail('the state has no ledger');
}

const spent = async () => (await readStatus(chain.context())).spent;
const codesOf = (results: readonly PromiseSettledResult<unknown>[]): string[] =>
  results.map((result) => (result.status === 'fulfilled' ? 'admitted' : String(result.reason.code)));

describe('a budget', () => {
  it('is never overdrawn by requests at the same time, of two processes', async () => {
    const ledgers = [await ledgerOf({ budgetUsd: 0.007 }), await ledgerOf({ budgetUsd: 0.007 })];
    const requests = Array.from({ length: 20 }, (_, i) => ledgers[i % 2]?.admit(1_000, undefined));
    const codes = codesOf(await Promise.allSettled(requests));
    expect(codes.filter((code) => code === 'admitted')).toHaveLength(7);
    expect(codes.filter((code) => code === 'budget_reached')).toHaveLength(13);
    expect(await spent()).toEqual({ requests: 7, tokens: 7_000, usd: 0.007, unpricedTokens: 0 });
  });

  it('stops the next process at once, says what is spent of what, and goes on when it is raised', async () => {
    // Admitted and never settled: as a process leaves it that was killed.
    await (await ledgerOf({ budgetUsd: 0.01 })).admit(9_500, undefined);
    await expect((await ledgerOf({ budgetUsd: 0.01 })).admit(1_000, undefined)).rejects.toMatchObject({
      name: 'InterruptedError',
      code: 'budget_reached',
      message:
        '$0.0095 of REEMBED_BUDGET_USD=0.01 are spent, the next request to openai some-model would cost about $0.001; everything written so far is kept.',
      hint: expect.stringContaining('Raise REEMBED_BUDGET_USD'),
      context: { spentUsd: 0.0095, budgetUsd: 0.01, nextUsd: 0.001 },
    });
    await (await ledgerOf({ budgetUsd: 0.02 })).admit(1_000, undefined);
    expect(await spent()).toMatchObject({ requests: 2, usd: 0.0105 });
  });

  it('is what a plan compares the rest with, after what is spent', async () => {
    const planned = async (budgetUsd: number) => {
      const ctx = contextWith({ budgetUsd, vectorCache: 'off' });
      return (await planMigration({ ...ctx, definition: { ...ctx.definition, ...MODEL } })).cost;
    };
    const { usd } = await planned(1);
    const rest = usd?.value ?? expect.fail('the plan has no cost');
    expect(rest).toBeGreaterThan(0);
    const ledger = await ledgerOf({});
    await ledger.settle(0, { requests: 1, tokens: 2_000_000 });
    await ledger.close();
    expect(await planned(2 + 2 * rest)).toMatchObject({ usd: { value: rest }, spentUsd: 2, overBudget: false });
    expect(await planned(2 + rest / 2)).toMatchObject({ usd: { value: rest }, spentUsd: 2, overBudget: true });
  });

  it('counts what a request really took, and nothing for one that failed', async () => {
    const ledger = await ledgerOf({ budgetUsd: 0.01 });
    await ledger.admit(9_000, undefined);
    await ledger.settle(9_000, { requests: 1, tokens: 2_500 });
    await ledger.admit(7_000, undefined);
    await ledger.settle(7_000, { requests: 0, tokens: 0 });
    expect(await spent()).toEqual({ requests: 1, tokens: 2_500, usd: 0.0025, unpricedTokens: 0 });
    await ledger.admit(7_500, undefined);
  });

  it('keeps the estimate as spent, and the answer, when what a request took cannot be written down', async () => {
    const warnings: string[] = [];
    let isDown = false;
    const ctx = contextWith({ budgetUsd: 1 });
    const db = new Proxy(ctx.db, {
      get(target, name) {
        if (name === 'query' && isDown) return async () => Promise.reject(new Error('connection lost'));
        const value: unknown = Reflect.get(target, name);
        return typeof value === 'function' ? value.bind(target) : value;
      },
    });
    const onProgress = (event: ProgressEvent): void => void (event.kind === 'warning' && warnings.push(event.message));
    const ledger = await openLedger({ ...ctx, db, onProgress }, MODEL);
    await ledger?.admit(9_000, undefined);
    isDown = true;
    await ledger?.settle(9_000, { requests: 1, tokens: 2_500 });
    expect(warnings).toEqual(['A request of 2500 tokens stays recorded at its estimate, 9000: connection lost']);
    expect(await spent()).toMatchObject({ requests: 1, tokens: 9_000 });
  });

  it('of a model whose price nobody knows is refused before anything is asked', async () => {
    await expect(ledgerOf({ budgetUsd: 1, usdPerMillionTokens: undefined })).rejects.toMatchObject({
      name: 'ConfigError',
      code: 'price_unknown',
      message: 'REEMBED_BUDGET_USD is 1, but the price of openai some-model is unknown.',
      hint: expect.stringContaining('EMBEDDING_PRICE'),
    });
  });

  it('takes the published price, and EMBEDDING_PRICE before it', async () => {
    const published = { ...MODEL, model: 'text-embedding-3-small' };
    const ctx = contextWith({ budgetUsd: 1, usdPerMillionTokens: undefined });
    await (await openLedger(ctx, published))?.admit(1_000_000, undefined);
    expect(await spent()).toMatchObject({ usd: 0.02 });
    await (await openLedger(contextWith({ budgetUsd: 9 }), published))?.admit(1_000_000, undefined);
    expect(await spent()).toMatchObject({ usd: 1.02 });
  });
});

describe('limits of a minute', () => {
  it.each([
    ['requests', { requestsPerMinute: 2 }],
    ['tokens', { tokensPerMinute: 1_999 }],
  ])('%s: what is too much waits for the next minute, whoever asks', async (_, limits) => {
    const [first, second] = [await ledgerOf(limits), await ledgerOf(limits)];
    await first.admit(999, undefined);
    await second.admit(999, undefined);
    let admitted = false;
    const third = first.admit(999, undefined).then(() => {
      admitted = true;
    });
    await expect(second.admit(999, AbortSignal.timeout(100))).rejects.toMatchObject({ name: 'InterruptedError' });
    expect(admitted).toBe(false);
    await chain.db.query(`UPDATE reembed.usage SET minute_began = minute_began - interval '61 seconds'`);
    await third;
    expect(await spent()).toMatchObject({ requests: 3, tokens: 2_997 });
  });

  it('let a request through that alone is more than a minute has', async () => {
    await (await ledgerOf({ tokensPerMinute: 10 })).admit(500, undefined);
    expect(await spent()).toMatchObject({ requests: 1, tokens: 500 });
  });
});

describe('without limits', () => {
  it('what was spent is recorded, at the price that is known later where none was known', async () => {
    const unpriced = await ledgerOf({ usdPerMillionTokens: undefined });
    await unpriced.admit(10, undefined);
    await unpriced.settle(10, { requests: 1, tokens: 1_000 });
    await unpriced.settle(10, { requests: 1, tokens: 1_000 });
    await unpriced.close();
    expect(await spent()).toEqual({ requests: 2, tokens: 2_000, usd: 0, unpricedTokens: 2_000 });
    await ledgerOf({});
    expect(await spent()).toEqual({ requests: 2, tokens: 2_000, usd: 0.002, unpricedTokens: 0 });
  });
});

it('nothing is recorded before 005, and nothing stays behind after its down', async () => {
  const before = { ...contextWith({}), definition: { ...contextWith({}).definition, id: 'another' } };
  expect(await openLedger(before, MODEL)).toBeUndefined();
  await (await ledgerOf({ budgetUsd: 1 })).admit(10, undefined);
  await undoExpand(chain.context());
  const { rows } = await chain.db.query(`SELECT to_regnamespace('reembed') IS NULL AS gone`);
  expect(rows).toEqual([{ gone: true }]);
  expect(await openLedger(contextWith({}), MODEL)).toBeUndefined();
  // For the tests that may come after this one.
  await expand(chain.context());
});
