import { randomBytes } from 'node:crypto';
import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, beforeEach, describe, expect, it } from 'vitest';
import { runChecks } from '../../src/evaluate/checks/run-checks.ts';
import { reportShadow } from '../../src/evaluate/shadow/report-shadow.ts';
import type { EvaluationCheck } from '../../src/evaluate/types.ts';
import type { TransactionSource } from '../../src/search/active-model.ts';
import { createSearch } from '../../src/search/client/create-search.ts';
import { searchTable } from '../../src/search/search.ts';
import { createShadow } from '../../src/search/shadow/create-shadow.ts';
import type { ServedSearch } from '../../src/search/shadow/types.ts';
import { recordEvent } from '../../src/state/events.ts';
import { cutOver } from '../../src/steps/cut-over.ts';
import { monitor } from '../../src/steps/monitor.ts';
import { overlapAt, rankBiasedOverlap } from '../../src/vector/rank-agreement.ts';
import { type ManualBed, openManualBed } from '../helpers/manual-bed.ts';

const ROWS = 80;
const ID = 'segments-hash';
const ROLE = `shadow_${randomBytes(4).toString('hex')}`;
const seed = 42;

let bed: ManualBed;
let titles: readonly string[];
let folder: string;
beforeAll(async () => {
  bed = await openManualBed(ROWS);
  titles = [...new Set(bed.passages.map(({ title }) => title))].slice(0, 30);
  folder = await mkdtemp(join(tmpdir(), 'reembed-checks-'));
});
afterAll(async () => {
  await bed.close();
  await rm(folder, { recursive: true, force: true });
});

function search(options: Partial<Parameters<typeof createSearch>[1]> = {}) {
  const { definition } = bed.context();
  return createSearch(bed.chain.db, { migration: definition, encoders: { old: bed.old, new: bed.new }, ...options });
}

/** All that was logged, in the order of the searches. */
async function logged() {
  const { rows } = await bed.chain.db.query<{
    served: string;
    k: number;
    overlap: number;
    rank_biased_overlap: number;
    detail: { query: string | null; queryHash: string; lost: string[]; gained: string[]; moved: unknown[] };
  }>('SELECT served, k, overlap, rank_biased_overlap, detail FROM reembed.shadow_searches ORDER BY id');
  return rows;
}

const byCode = (checks: readonly EvaluationCheck[], code: string) => checks.filter((check) => check.code === code);

describe('the quick checks on real text', () => {
  it('look at the old vectors alone before there are others', async () => {
    const checks = await runChecks(bed.context(), { providers: bed.providers, seed });
    expect(byCode(checks, 'sample')[0]?.message).toBe(
      `Looked at ${ROWS} rows with a text and the old vector (seed ${seed}).`,
    );
    expect(checks.map(({ code }) => code)).toEqual([
      'sample',
      'dimensions',
      'norms',
      'isotropy',
      'near_duplicates',
      'distances',
    ]);
    await bed.fill();
  });

  it('tell two encoders apart, find nothing against the new one, and move a threshold so that as many hits pass', async () => {
    const hits = { old: [] as number[][], new: [] as number[][] };
    for (const side of ['old', 'new'] as const) {
      for (const query of titles) {
        const options = { query, side, exact: true, providers: bed.providers };
        const found = await searchTable(bed.context(), options);
        hits[side].push(found.hits.map(({ score }) => score));
      }
    }
    const checks = await runChecks(bed.context(), { providers: bed.providers, seed, thresholds: [0.78, 0.999], hits });
    expect(checks.filter(({ level }) => level === 'fail')).toEqual([]);
    // The older encoder keeps all texts within a narrow cone, all-MiniLM-L6-v2 does not.
    const [old, present] = byCode(checks, 'isotropy').map(({ values }) => Number(values.meanCosine));
    expect(old).toBeGreaterThan(0.6);
    expect(present).toBeLessThan(0.25);
    const [moved, unknown] = byCode(checks, 'threshold');
    const suggested = Number(moved?.values.new);
    const passing = (side: 'old' | 'new', threshold: number) => hits[side].flat().filter((s) => s >= threshold).length;
    expect(passing('new', suggested)).toBe(passing('old', 0.78));
    expect(suggested).toBeLessThan(0.6);
    expect(moved).toMatchObject({
      level: 'warn',
      message: expect.stringMatching(/^Suggested threshold: 0\.78 → 0\.\d+ \(95% interval/),
    });
    expect(unknown).toMatchObject({ level: 'warn', values: { new: null } });
  });

  it('judge similar pairs by each model’s own scale: a fixed 0.8 would fail a good model', async () => {
    const pairs = join(folder, 'pairs.jsonl');
    const line = (a: string, b: string, similar?: boolean) => JSON.stringify({ a, b, similar });
    const lines = [
      line('machine learning', 'artificial intelligence'),
      line('delete a row', 'the price of milk', false),
    ];
    await writeFile(pairs, lines.join('\n'));
    const providers = { new: bed.providers.new };
    const check = async (pairLimit?: number) =>
      byCode(await runChecks(bed.context(), { providers, seed, pairs, pairLimit }), 'similar_pairs')[0];
    expect(await check()).toMatchObject({ level: 'info', values: { side: 'new', similar: 1, below: 0, ordered: 1 } });
    expect((await check())?.values.lowest).toBeCloseTo(0.69, 1);
    expect(await check(0.8)).toMatchObject({ level: 'fail', values: { below: 1, limit: 0.8 } });
    await writeFile(pairs, `${lines[0]}\n{"a": "x"}`);
    await expect(check()).rejects.toMatchObject({
      code: 'pairs_invalid',
      message: `Line 2 of ${pairs} is {"a": "x"}, expected texts "a" and "b", and "similar" true or false where it is there.`,
    });
  });
});

describe('a search client with a shadow', () => {
  beforeEach(() => bed.chain.db.query('DELETE FROM reembed.shadow_searches'));

  it('logs how far the other side agrees, and the report says what was logged', async () => {
    const client = search({ shadow: { sample: 1, queryText: true } });
    for (const title of titles) await client.query(title);
    await client.shadow?.settled();
    expect(client.shadow?.counts).toMatchObject({ offered: 30, sampled: 30, compared: 30, logged: 30, failed: 0 });
    await client.shadow?.close();
    const plain = search();
    const rows = await logged();
    const expected = [];
    for (const title of titles) {
      const keys = async (mode: 'old' | 'new') =>
        (await plain.query(title, { mode })).hits.map(({ key }) => key[0] ?? '');
      const [served, other] = [await keys('old'), await keys('new')];
      expected.push({ overlap: overlapAt(served, other, 10), first: served[0] !== other[0] });
      const row = rows.find(({ detail }) => detail.query === title);
      expect(row).toMatchObject({ served: 'old', k: 10 });
      expect(row?.overlap).toBeCloseTo(overlapAt(served, other, 10), 6);
      expect(row?.rank_biased_overlap).toBeCloseTo(rankBiasedOverlap(served, other), 6);
      expect(row?.detail.gained).toEqual(other.filter((key) => !served.includes(key)));
    }

    const report = await reportShadow(bed.context(), { seed });
    const mean = expected.reduce((sum, { overlap }) => sum + overlap, 0) / expected.length;
    expect(report).toMatchObject({ searches: 30, served: { old: 30, new: 0 }, k: { least: 10, most: 10 }, leftOut: 0 });
    const { rows: times } = await bed.chain.db.query(
      'SELECT min(at) AS since, max(at) AS until FROM reembed.shadow_searches',
    );
    expect([{ since: report.since, until: report.until }]).toEqual(times);
    expect(report.overlap.mean).toBeCloseTo(mean, 6);
    expect(report.overlap.low).toBeLessThan(mean);
    expect(report.overlap.high).toBeGreaterThan(mean);
    expect(report.firstChanged).toBeCloseTo(expected.filter(({ first }) => first).length / 30, 6);
    expect(report.worst[0]?.overlap).toBeCloseTo(Math.min(...expected.map(({ overlap }) => overlap)), 6);
    expect(titles).toContain(report.worst[0]?.query);
  });

  it('answers at once while the other side hangs, drops what has no place in the queue, and fails to nobody', async () => {
    let release = (): void => {};
    const hanging = new Promise<never>((_, reject) => {
      release = () => reject(new Error('the model is out of order'));
    });
    const notices: string[] = [];
    const client = search({
      encoders: { old: bed.old, new: { model: bed.new.model, encodeTexts: () => hanging } },
      shadow: { sample: 1, queue: 3, onNotice: (message) => notices.push(message) },
    });
    for (const title of titles.slice(0, 10)) {
      const { hits, served } = await client.query(title);
      expect([served, hits.length]).toEqual(['old', 10]);
    }
    // One is asked, three wait.
    expect(client.shadow?.counts).toMatchObject({ sampled: 10, dropped: 6, compared: 0, failed: 0 });
    release();
    await client.shadow?.settled();
    expect(client.shadow?.counts).toMatchObject({ dropped: 6, failed: 4, compared: 0, logged: 0 });
    expect(notices).toEqual(['The new side could not be asked: the model is out of order']);
    expect(await logged()).toEqual([]);
  });

  it('samples as its seed says, and keeps no text of a query unless told to', async () => {
    const ask = async () => ({ keys: [['1']], milliseconds: 1 });
    const shadow = createShadow({ migrationId: ID, db: bed.chain.db, ask, sample: 0.25, seed, queue: 1000 });
    for (let i = 0; i < 400; i++) shadow.offer(servedSearch(`secret ${i}`));
    // Binomial(400, 0.25): 70 to 130 with a probability of 0.999, and the same in every run.
    expect(shadow.counts.sampled).toBeGreaterThan(70);
    expect(shadow.counts.sampled).toBeLessThan(130);
    await shadow.settled();
    const rows = await logged();
    expect(rows).toHaveLength(shadow.counts.sampled);
    expect(rows.filter(({ detail }) => detail.query !== null || !/^[0-9a-f]{16}$/.test(detail.queryHash))).toEqual([]);
    await shadow.close();
    shadow.offer(servedSearch('too late'));
    expect(shadow.counts.offered).toBe(400);
  });

  it('says which rights are missing, and works with them', async () => {
    const { db } = bed.chain;
    await db.query(`CREATE ROLE ${ROLE}`);
    try {
      const inRole: TransactionSource = {
        transaction: (work) =>
          db.transaction(async (tx) => {
            await tx.query(`SET LOCAL ROLE ${ROLE}`);
            return work(tx);
          }),
      };
      const notices: string[] = [];
      const open = () =>
        createShadow({
          ...{ migrationId: ID, db: inRole, sample: 1 },
          ask: async () => ({ keys: [['1']], milliseconds: 1 }),
          onNotice: (message) => notices.push(message),
        });
      const denied = open();
      denied.offer(servedSearch('x'));
      await denied.settled();
      denied.offer(servedSearch('y'));
      expect(denied.counts).toMatchObject({ offered: 1, compared: 1, logged: 0, unwritten: 1 });
      const grants = /Run "(.+)"\.$/.exec(notices.join('\n'))?.[1] ?? '';
      await db.query(grants.replaceAll('<role>', ROLE));
      const allowed = open();
      allowed.offer(servedSearch('x'));
      await allowed.close();
      expect(allowed.counts).toMatchObject({ offered: 1, dropped: 1 });
      const again = open();
      again.offer(servedSearch('x'));
      await again.settled();
      expect(again.counts).toMatchObject({ logged: 1, unwritten: 0 });
    } finally {
      await db.query(`DROP OWNED BY ${ROLE}; DROP ROLE ${ROLE}`);
    }
  });

  it('keeps no more of the log than it was told, and reports only what was logged of a whole column', async () => {
    const { db } = bed.chain;
    const log = async (count: number) => {
      const ask = async () => ({ keys: [['2'], ['1']], milliseconds: 1 });
      const shadow = createShadow({ migrationId: ID, db, ask, sample: 1, keepSearches: 5, keepDays: 30 });
      for (let i = 0; i < count; i++) shadow.offer(servedSearch(`q${i}`));
      await shadow.settled();
      await shadow.close();
    };
    await log(8);
    expect(await logged()).toHaveLength(5);
    await db.query(`UPDATE reembed.shadow_searches SET at = at - interval '31 days'`);
    await log(1);
    expect(await logged()).toHaveLength(1);
    expect((await reportShadow(bed.context(), { seed })).leftOut).toBe(0);
    await recordEvent(db, 'reembed', ID, 'backfilled');
    await expect(reportShadow(bed.context(), { seed })).rejects.toMatchObject({
      code: 'no_shadow_log',
      message: `No search of the migration "${ID}" was shadowed since its backfill was complete; 1 were before it.`,
    });
    await log(2);
    expect(await reportShadow(bed.context(), { seed })).toMatchObject({
      searches: 2,
      leftOut: 1,
      overlap: { mean: 0.5 },
    });
  });
});

describe('after the swap', () => {
  it('the monitor asks the kept old column what the new one served', async () => {
    await cutOver(bed.context());
    const queries = join(folder, 'queries.txt');
    await writeFile(queries, titles.slice(0, 3).join('\n'));
    const report = await monitor(bed.context(), { durationMs: 400, queries, providers: bed.providers, seed });
    expect(report.searches).toBeGreaterThanOrEqual(1);
    expect(report).toMatchObject({ complete: true, failed: 0, served: { old: 0, new: report.searches } });
    const [first = ''] = titles;
    const keys = async (side: 'old' | 'new') =>
      (await searchTable(bed.context(), { query: first, side, providers: bed.providers })).hits.map(
        ({ key }) => key[0] ?? '',
      );
    const row = (await logged()).find(({ detail }) => detail.query === first);
    expect(row?.overlap).toBeCloseTo(overlapAt(await keys('new'), await keys('old'), 10), 6);
    // Without queries: what the application's own shadow logs meanwhile.
    const watched = { durationMs: 1, providers: bed.providers, seed };
    await expect(monitor(bed.context(), watched)).rejects.toMatchObject({ code: 'no_shadow_log' });
    await bed.chain.db.query(
      `UPDATE reembed.shadow_searches SET at = now() + '1 hour' WHERE id = (SELECT min(id) FROM reembed.shadow_searches)`,
    );
    expect(await monitor(bed.context(), watched)).toMatchObject({ searches: 1, leftOut: 0 });
  });

  it('the checks find zero vectors and texts that became one vector', async () => {
    await bed.chain.db.query(
      `UPDATE segments SET embedding = (SELECT embedding FROM segments WHERE id = 1) WHERE id % 4 = 0;
       UPDATE segments SET embedding = array_fill(0, ARRAY[384])::vector WHERE id = 3`,
    );
    const checks = await runChecks(bed.context(), { providers: bed.providers, seed });
    expect(byCode(checks, 'near_duplicates')).toMatchObject([{ level: 'fail', values: { new: ROWS / 4 + 1 } }]);
    const norms = byCode(checks, 'norms').find(({ values }) => values.side === 'new');
    expect(norms).toMatchObject({ level: 'fail', values: { zero: 1, rows: ROWS } });
  });
});

function servedSearch(query: string): ServedSearch {
  return { side: 'old', query, limit: 10, keys: [['1']], milliseconds: 2 };
}
