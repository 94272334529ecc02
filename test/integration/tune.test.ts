import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import type { Database } from '../../src/db/types.ts';
import { readStatus } from '../../src/inspect/status.ts';
import { verify } from '../../src/inspect/verify.ts';
import { hashProvider } from '../../src/providers/hash.ts';
import { applySettings, nearestSql, quantizedOf, searchSettings } from '../../src/search/nearest.ts';
import { searchTable } from '../../src/search/search.ts';
import { readSearchSide } from '../../src/search/search-side.ts';
import { textHashSql } from '../../src/sql/target.ts';
import { findRecord, resolveMigration } from '../../src/state/resolve.ts';
import { cutOver } from '../../src/steps/cut-over.ts';
import { expand } from '../../src/steps/expand.ts';
import { fill } from '../../src/steps/fill.ts';
import { settleRebuild } from '../../src/steps/settle-rebuild.ts';
import { tune } from '../../src/steps/tune.ts';
import { tuneBuild } from '../../src/steps/tune-build.ts';
import { rebuildTunedIndex } from '../../src/steps/tune-rebuild.ts';
import { undoCutOver } from '../../src/steps/undo-cut-over.ts';
import { undoExpand } from '../../src/steps/undo-expand.ts';
import { buildIndexes } from '../../src/swap/build-indexes.ts';
import { refuseUnfilled } from '../../src/swap/refuse-unfilled.ts';
import { seededRandom } from '../../src/vector/random.ts';
import { type Chain, openChain } from '../helpers/chain.ts';

const ROWS = 1_000;
const DIMENSIONS = 32;

let chain: Chain;

/** Vectors around 60 centres that lie near each other: neighbours are spread over several lists. */
async function makeClusters(): Promise<void> {
  const random = seededRandom(7);
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
    'CREATE INDEX segments_ann ON segments USING ivfflat (embedding vector_l2_ops) WITH (lists = 20)',
  );
}

beforeAll(async () => {
  chain = await openChain();
  await makeClusters();
});
afterAll(() => chain.close());

const context = (index = {}) => chain.context({ model: 'hash/64', dimensions: 64, index });
const commentOf = async (index: string) =>
  (await chain.db.query<{ comment: string }>(`SELECT obj_description($1::regclass) AS comment`, [index])).rows[0]
    ?.comment;
/** As a killed run leaves the state. */
const leave = (how: { exchanged: boolean }) => {
  const shape = { method: 'ivfflat', keys: 'embedding', unique: false, nullsNotDistinct: false };
  const rebuild = {
    index: 'segments_ann',
    definition: { ...shape, options: { lists: '25' } },
    dropFirst: false,
    ...how,
  };
  const value = JSON.stringify(rebuild);
  return chain.db.query(`INSERT INTO reembed.meta VALUES ('rebuild:segments-hash', $1)`, [value]);
};
const probesOf = async () => (await readSearchSide(context(), 'active')).index?.probes;
const indexes = async () => {
  const { rows } = await chain.db.query<{ name: string; lists: string }>(
    `SELECT c.relname AS name, substring(pg_get_indexdef(c.oid) FROM 'lists=''(\\d+)') AS lists FROM pg_index i
     JOIN pg_class c ON c.oid = i.indexrelid WHERE i.indrelid = 'segments'::regclass AND i.indisvalid AND NOT i.indisprimary ORDER BY 1`,
  );
  return rows.map(({ name, lists }) => `${name} ${lists}`);
};

describe('tune', () => {
  it('measures before 005 and keeps nothing, as there is no state', async () => {
    // Searches by a distance that it does not have would never use it, and find everything.
    await chain.db.query(
      'CREATE INDEX a_l1 ON segments USING hnsw (embedding vector_l1_ops) WITH (m = 2, ef_construction = 4)',
    );
    expect((await readSearchSide(context({ distance: 'cosine' }), 'active')).index).toMatchObject({
      name: 'segments_ann',
    });
    expect((await readSearchSide(context(), 'active')).index).toMatchObject({ name: 'segments_ann' });
    await chain.db.query('DROP INDEX a_l1');
    const result = await tune(context(), { queryCount: 10 });
    expect(result).toMatchObject({ side: 'old', stored: false, rows: ROWS, index: { name: 'segments_ann' } });
    await expand(context());
  });

  it('finds that one probe misses, and the smallest setting that reaches the target', async () => {
    expect(await probesOf()).toBe(5);
    const result = await tune(context(), { queryCount: 20, recall: 0.9, dryRun: true });
    const [first] = result.curve;
    expect(first?.setting).toBe(1);
    expect(first?.recall.mean).toBeLessThan(0.7);
    expect(result.chosen?.recall.low).toBeGreaterThanOrEqual(0.9);
    const below = result.curve.filter(({ setting }) => setting < (result.chosen?.setting ?? 0));
    expect(below.every(({ recall }) => recall.low < 0.9)).toBe(true);
    expect(await probesOf()).toBe(5);
  });

  it('stores it, shows it, and a search uses it', async () => {
    const result = await tune(context(), { queryCount: 20, recall: 0.99 });
    const probes = result.chosen?.setting ?? 0;
    expect(result.stored).toBe(true);
    expect(probes).toBeGreaterThan(5);
    const query = Float32Array.from({ length: DIMENSIONS }, (_, i) => Math.sin(i));
    expect((await searchTable(context(), { query, providers: {} })).index).toMatchObject({ probes });
    expect((await readStatus(context())).indexes).toMatchObject([
      { name: 'segments_ann', probes, tuned: { setting: probes, rows: ROWS, grown: false } },
    ]);
  });
});

describe('tuneBuild', () => {
  const copies = async () =>
    (await chain.db.query(`SELECT 1 FROM pg_class WHERE relname LIKE 'tune\\_sample\\_%' AND relkind = 'r'`)).rows
      .length;

  it('tries every rule for lists on a copy, says what it gives for the whole, and leaves nothing behind', async () => {
    const result = await tuneBuild(context(), { sample: 600, kind: 'ivfflat', queryCount: 10, recall: 0.8 });
    expect(result).toMatchObject({ rows: ROWS, sampleRows: 600, tried: [{ kind: 'ivfflat' }, {}, {}] });
    expect(result.tried[0]).toMatchObject({ options: { lists: '12' }, wholeOptions: { lists: '20' } });
    expect(result.tried.every(({ chosen, bytes }) => bytes > 0 && (chosen?.recall.low ?? 0) >= 0.8)).toBe(true);
    expect(await copies()).toBe(0);
  });

  it('drops the copy when it is stopped', async () => {
    const controller = new AbortController();
    let seen = 0;
    const onProgress = ({ kind }: { kind: string }) => {
      if (kind === 'index') controller.abort();
      if (kind === 'index') seen++;
    };
    const stopping = { ...context(), signal: controller.signal, onProgress };
    await expect(tuneBuild(stopping, { sample: 1_000 })).rejects.toMatchObject({ name: 'InterruptedError' });
    expect(seen).toBeGreaterThan(0);
    expect(await copies()).toBe(0);
  });
});

describe('rebuildTunedIndex', () => {
  it('leaves the old one valid when it is stopped, and the next run finishes what it was told', async () => {
    const controller = new AbortController();
    const stopping = {
      ...context(),
      signal: controller.signal,
      onProgress: ({ kind }: { kind: string }) => void (kind === 'step' && controller.abort()),
    };
    await chain.db.query(`COMMENT ON INDEX segments_ann IS 'it''s ours'`);
    await expect(rebuildTunedIndex(stopping, { lists: 10 })).rejects.toMatchObject({ name: 'InterruptedError' });
    expect(await indexes()).toEqual(['segments_ann 20']);
    expect(await rebuildTunedIndex(context())).toMatchObject({ index: 'segments_ann', options: { lists: '10' } });
    expect(await indexes()).toEqual(['segments_ann 10']);
    expect(await commentOf('segments_ann')).toBe("it's ours");
  });

  it('has a valid index under the name at every moment, and forgets what was measured of the old one', async () => {
    await tune(context(), { queryCount: 10, recall: 0.9 });
    let over = false;
    const seen = new Set<boolean>();
    const watching = (async () => {
      while (!over) seen.add((await indexes()).some((index) => index.startsWith('segments_ann ')));
    })();
    await rebuildTunedIndex(context(), { lists: 12 });
    over = true;
    await watching;
    expect([...seen]).toEqual([true]);
    expect(await indexes()).toEqual(['segments_ann 12']);
    expect((await findRecord(context()))?.searchSettings).toEqual({});
  });

  it('comes back to its definition when a run was stopped that had dropped the old one first', async () => {
    const controller = new AbortController();
    const signal = controller.signal;
    const onProgress = ({ kind }: { kind: string }) => void (kind === 'step' && controller.abort());
    const stopping = { ...context(), signal, onProgress };
    const tooMany = rebuildTunedIndex(context(), { lists: 40_000, dropFirst: true });
    await expect(tooMany).rejects.toMatchObject({ code: 'index_option' });
    expect(await indexes()).toEqual(['segments_ann 12']);
    await expect(rebuildTunedIndex(stopping, { lists: 14, dropFirst: true })).rejects.toMatchObject({
      name: 'InterruptedError',
    });
    await chain.db.query('DROP INDEX segments_ann');
    await expect(settleRebuild(context(), (await resolveMigration(context())).table, 'forth')).rejects.toMatchObject({
      code: 'rebuild_unfinished',
    });
    await rebuildTunedIndex(context());
    expect(await indexes()).toEqual(['segments_ann 14']);
    expect(await commentOf('segments_ann')).toBe("it's ours");
  });

  it('drops what a run that was killed after the exchange has left', async () => {
    await chain.db.query('ALTER INDEX segments_ann RENAME TO segments_ann_reembed_before');
    await chain.db.query(
      'CREATE INDEX segments_ann ON segments USING ivfflat (embedding vector_l2_ops) WITH (lists = 25)',
    );
    await leave({ exchanged: true });
    expect(await rebuildTunedIndex(context())).toMatchObject({ finishedEarlier: true, options: { lists: '25' } });
    expect(await indexes()).toEqual(['segments_ann 25']);
  });

  it('refuses lists from a column that is not filled, here and in the swap', async () => {
    await chain.db.query(`UPDATE segments SET embedding = NULL WHERE id > ${0.6 * ROWS}`);
    await expect(rebuildTunedIndex(context(), { lists: 20 })).rejects.toMatchObject({
      code: 'column_unfilled',
      message: expect.stringContaining('600 of 1000 rows with a text have a vector (60%)'),
    });
    await chain.db.query(
      `UPDATE segments SET embedding_64 = array_fill(0.1, ARRAY[64])::vector WHERE id <= ${0.6 * ROWS}`,
    );
    await expect(buildIndexes(context(), await resolveMigration(context()))).rejects.toMatchObject({
      code: 'column_unfilled',
    });
    // What the model refused for good is not waited for.
    await chain.db.query(
      `INSERT INTO reembed.quarantine (migration_id, key, text_hash, reason)
       SELECT 'segments-hash', jsonb_build_array(t.id::text), ${textHashSql('text', 't')}, 'test' FROM segments t WHERE id > 650`,
    );
    await refuseUnfilled(context(), (await resolveMigration(context())).target, 'cut-over');
    await chain.db.query('DELETE FROM reembed.quarantine');
    await expect(rebuildTunedIndex(context(), { m: 8 })).rejects.toMatchObject({ code: 'other_index_kind' });
  });
});

describe('a swap', () => {
  it('embeds what came in since its catch-up before it calls the column not filled', async () => {
    const ctx = context({ kind: 'ivfflat', lists: 10 });
    let late = 0;
    const query: Database['query'] = async (text, ...rest) => {
      if (text.includes('AS filled') && late++ === 0)
        await chain.db.query(`INSERT INTO segments SELECT n, 'late ' || n FROM generate_series(2001, 2200) n`);
      return ctx.db.query(text, ...rest);
    };
    await cutOver({ ...ctx, db: { ...ctx.db, query } });
    // Twice with texts and without, before it is embedded; once more after.
    expect(late).toBe(3);
    expect((await readSearchSide(ctx, 'active')).index).toMatchObject({ name: 'segments_ann', kind: 'ivfflat' });
    await undoCutOver(chain.context({ model: 'hash/64', dimensions: 64 }, { rollback: 'accept-missing' }));
  });
});

describe('a quantised index', () => {
  beforeAll(() => chain.db.query('DELETE FROM segments WHERE id > 300'));

  const open = async () => hashProvider('hash/64');
  const ask = (index: object, exact: boolean) =>
    searchTable(context(index), { query: 'passage 90 word90', exact, providers: { new: open } });

  it.each(['binary', 'halfvec'] as const)(
    '%s: is searched, ordered exactly, verified, and undone',
    async (quantization) => {
      const index = { kind: 'hnsw', quantization, distance: 'cosine' } as const;
      await fill(context(index));
      // A rebuild of the old index that was killed just before its exchange.
      await chain.db.query(
        'CREATE INDEX segments_ann_reembed ON segments USING ivfflat (embedding vector_l2_ops) WITH (lists = 25)',
      );
      await leave({ exchanged: false });
      await chain.db.query(`COMMENT ON INDEX segments_ann IS 'it''s the old one''s'`);
      await cutOver(context(index));
      const side = await readSearchSide(context(index), 'active');
      expect(side).toMatchObject({ side: 'new', distance: 'cosine', index: { name: 'segments_ann', quantization } });
      expect(await commentOf('segments_ann')).toBe("it's the old one's");
      expect((await indexes()).map((name) => name.split(' ')[0])).toEqual(['segments_ann', 'segments_ann_old']);
      const tuned = await tune(context(index), { recall: 0.9, queryCount: 20 });
      expect(tuned.chosen?.recall.low).toBeGreaterThanOrEqual(0.9);
      const [exact, found] = [await ask(index, true), await ask(index, false)];
      expect(found.hits[0]).toEqual(exact.hits[0]);
      const farthest = exact.hits.at(-1)?.distance ?? 0;
      expect(found.hits.filter(({ distance }) => distance <= farthest + 1e-6).length).toBeGreaterThanOrEqual(8);
      const plan = await chain.db.transaction(async (tx) => {
        await applySettings(tx, searchSettings(side, 'index', 10));
        const sql = `EXPLAIN ${nearestSql(side.target, 'cosine', { quantized: quantizedOf(side.index, 10) })}`;
        return JSON.stringify((await tx.query(sql, [`[${Array(64).fill(1)}]`, 10])).rows);
      });
      expect(plan).toContain('Index Scan using segments_ann');
      expect(await verify(context(index), { provider: open })).toMatchObject({ ok: true });
      await undoCutOver(chain.context({ model: 'hash/64', dimensions: 64, index }, { rollback: 'accept-missing' }));
      expect((await readSearchSide(context(index), 'active')).index).toMatchObject({
        kind: 'ivfflat',
        quantization: 'none',
      });
    },
  );
});

describe('005 down', () => {
  it('takes away what killed runs left, but not the only trace of an index that was dropped first', async () => {
    await chain.db.query('CREATE TABLE reembed."tune_sample_segments-hash" (id bigint)');
    await chain.db.query('ALTER INDEX segments_ann RENAME TO segments_other');
    await leave({ exchanged: false });
    await expect(undoExpand(context())).rejects.toMatchObject({ code: 'rebuild_unfinished' });
    await chain.db.query('ALTER INDEX segments_other RENAME TO segments_ann');
    await undoExpand(context());
    const { rows } = await chain.db.query(`SELECT to_regnamespace('reembed')::text AS left`);
    expect(rows).toEqual([{ left: null }]);
  });
});
