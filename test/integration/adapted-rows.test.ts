import { afterAll, beforeAll, beforeEach, describe, expect, it } from 'vitest';
import { readStatus } from '../../src/inspect/status.ts';
import { type VerifyReport, verify } from '../../src/inspect/verify.ts';
import { hashProvider } from '../../src/providers/hash.ts';
import { registerModel } from '../../src/state/models.ts';
import { expand } from '../../src/steps/expand.ts';
import { fill } from '../../src/steps/fill.ts';
import { type AdaptedBed, adaptRows, makeAdaptedBed } from '../helpers/adapted-bed.ts';
import { type Chain, makeSegments, openChain } from '../helpers/chain.ts';

const ROWS = 300;
const ADAPTED = 200;

let chain: Chain;
let bed: AdaptedBed;
beforeAll(async () => {
  chain = await openChain();
  bed = await makeAdaptedBed();
});
afterAll(async () => {
  await chain.close();
  await bed.remove();
});

/** 200 rows of 300 are adapted, the first five of them have lost their text; the others are the model's own. */
beforeEach(async () => {
  await chain.db.query('DROP TABLE IF EXISTS segments CASCADE; DROP SCHEMA IF EXISTS reembed CASCADE');
  await makeSegments(chain.db, { rows: ROWS });
  await chain.db.query('UPDATE segments SET text = NULL WHERE id <= 5');
  await expand(context());
  await adaptRows(chain, bed, `s.id <= ${ADAPTED}`);
  await fill(context());
});

const context = (input = {}, runtime = {}) => chain.context(input, { ...bed.runtime, ...runtime });
const provider = async () => hashProvider('hash/384');
const verified = (options = {}) => verify(context(), { provider, seed: 1, full: true, ...options });

function failed(report: VerifyReport): string[] {
  return report.checks.filter(({ ok }) => !ok).map(({ name }) => name);
}

function detailOf(report: VerifyReport, name: string): string {
  return report.checks.find((check) => check.name === name)?.detail ?? 'not there';
}

async function behindTheTrigger(sql: string): Promise<void> {
  await chain.db.query(`ALTER TABLE segments DISABLE TRIGGER USER; ${sql}; ALTER TABLE segments ENABLE TRIGGER USER`);
}

describe('verify', () => {
  it('maps adapted rows again, embeds the others again, and says how near adapted vectors are to real ones', async () => {
    const report = await verified();
    expect(failed(report)).toEqual([]);
    expect(report).toMatchObject({
      rows: { total: ROWS, done: ROWS, pending: 0, skipped: 0 },
      compared: { rows: ROWS - ADAPTED, below: 0 },
      adapted: {
        adapter: 'adapted:old--hash',
        rows: ADAPTED,
        mapped: { rows: ADAPTED, below: 0, withoutOld: 0 },
        nearness: { rows: ADAPTED - 5 },
      },
    });
    expect(detailOf(report, 'provenance')).toBe(
      `${ROWS - ADAPTED} by the migration's model, ${ADAPTED} by adapted:old--hash`,
    );
    // A random map has nothing to do with the model.
    expect(report.adapted?.nearness?.meanCosine).toBeLessThan(0.5);
  });

  it('finds an old vector that was changed or lost past the trigger, also under a lost text', async () => {
    await behindTheTrigger(`UPDATE segments SET embedding = (SELECT s.embedding FROM segments s WHERE s.id = 90) WHERE id IN (3, 77);
      UPDATE segments SET embedding = NULL WHERE id = 150; UPDATE segments SET embedding = NULL WHERE id = 250`);
    const report = await verified();
    expect(failed(report)).toEqual(['mapped again']);
    expect(detailOf(report, 'mapped again')).toMatch(/; 3 below it, 1 of them without an old vector: 3, 77, 150$/);
    expect(report.adapted?.mismatches.map(({ key }) => key)).toEqual([['3'], ['77'], ['150']]);
  });

  it('takes nothing for done that it cannot map again, and another adapter for another model', async () => {
    const other = await registerModel(chain.db, 'reembed', { provider: 'adapted', name: 'adapted:other' });
    await behindTheTrigger(`UPDATE segments SET embedding_384_model = ${other} WHERE id = 20`);
    const moved = context({}, { adapters: { ...bed.runtime.adapters, dir: `${bed.registry.dir}-gone` } });
    const report = await verify(moved, { provider, seed: 1, sample: 200 });
    expect(report.ok).toBe(false);
    expect(failed(report)).toEqual(['completeness', 'provenance', 'embedded again', 'mapped again']);
    expect(detailOf(report, 'provenance')).toMatch(/1 by another model \(adapted:other\)$/);
    expect(report.checks.at(-2)).toMatchObject({
      unknown: true,
      detail: expect.stringMatching(/No projection "old--hash"/),
    });
  });

  it('opens no model where every row is adapted', async () => {
    await chain.db.query(`DELETE FROM segments WHERE id > ${ADAPTED}`);
    const report = await verify(context(), { provider: () => Promise.reject(new Error('opened')), seed: 1 });
    expect(failed(report)).toEqual([]);
    expect(report.adapted).toMatchObject({ mapped: { rows: ADAPTED }, nearness: null });
  });
});

it('status counts adapted rows as done, and names the projection with what it keeps', async () => {
  const status = await readStatus(context());
  expect(status).toMatchObject({
    rows: { done: ROWS, pending: 0, skipped: 0 },
    model: { to: 'hash/384' },
    adapted: {
      adapter: 'adapted:old--hash',
      rows: ADAPTED,
      withoutText: 5,
      retention: { value: 0.93, low: 0.91 },
      problem: null,
    },
  });
});
