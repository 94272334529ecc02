import { rm } from 'node:fs/promises';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import type { MigrationInput } from '../../src/config/define-migration.ts';
import { loadRuntimeSettings } from '../../src/config/runtime.ts';
import type { RuntimeSettings } from '../../src/config/types.ts';
import { readStatus } from '../../src/inspect/status.ts';
import { type VerifyReport, verify } from '../../src/inspect/verify.ts';
import { hashProvider } from '../../src/providers/hash.ts';
import { createSearch } from '../../src/search/client/create-search.ts';
import { textArrayLiteral } from '../../src/sql/array-literal.ts';
import { registerModel } from '../../src/state/models.ts';
import { updateRecord } from '../../src/state/records.ts';
import { resolveMigration } from '../../src/state/resolve.ts';
import { cutOver } from '../../src/steps/cut-over.ts';
import { evaluate } from '../../src/steps/evaluate.ts';
import { expand } from '../../src/steps/expand.ts';
import { fill } from '../../src/steps/fill.ts';
import { restore } from '../../src/steps/restore.ts';
import { undoCutOver } from '../../src/steps/undo-cut-over.ts';
import { undoFill } from '../../src/steps/undo-fill.ts';
import { type AdaptedBed, adaptRows, makeAdaptedBed } from '../helpers/adapted-bed.ts';
import { digestOf, saveSide } from '../helpers/backup-bed.ts';
import { type Chain, makeSegments, openChain } from '../helpers/chain.ts';
import { byCode, examine } from '../helpers/doctor-bed.ts';
import { refusalOf } from '../helpers/refusal.ts';

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

const provider = async () => hashProvider('hash/384');
const unopened = () => Promise.reject(new Error('the model was opened'));

async function behindTheTrigger(sql: string): Promise<void> {
  await chain.db.query(`ALTER TABLE segments DISABLE TRIGGER USER; ${sql}; ALTER TABLE segments ENABLE TRIGGER USER`);
}

describe('adapted rows beside the model’s own', () => {
  const ROWS = 300;
  const ADAPTED = 200;
  const context = (runtime: Partial<RuntimeSettings> = {}) => chain.context({}, { ...bed.runtime, ...runtime });
  const failed = ({ checks }: VerifyReport) => checks.filter(({ ok }) => !ok).map(({ name }) => name);
  const detailOf = ({ checks }: VerifyReport, name: string) => checks.find((check) => check.name === name)?.detail;

  /** The first five have lost their text. */
  beforeAll(async () => {
    await makeSegments(chain.db, { rows: ROWS });
    await chain.db.query('UPDATE segments SET text = NULL WHERE id <= 5');
    await expand(context());
    await adaptRows(chain, bed, `s.id <= ${ADAPTED}`);
    await fill(context());
    await chain.db.query('CREATE TABLE former AS SELECT id, embedding FROM segments');
  });
  afterAll(() => chain.db.query('DROP TABLE segments, former; DROP SCHEMA reembed CASCADE'));

  it('maps adapted rows again, embeds the others again, and says how near adapted vectors are to real ones', async () => {
    const report = await verify(context(), { provider, full: true });
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

  it('status and doctor count them, name the projection with what it keeps, and say where it is missing', async () => {
    expect(await readStatus(context())).toMatchObject({
      rows: { done: ROWS, pending: 0, skipped: 0 },
      model: { to: 'hash/384' },
      adapted: {
        ...{ adapter: 'adapted:old--hash', rows: ADAPTED, withoutText: 5 },
        ...{ retention: { value: 0.93, low: 0.91 }, problem: null },
      },
    });
    const lost = { ...bed.runtime.adapters, dir: join(bed.registry.dir, 'gone') };
    const report = await examine(chain, { runtime: { adapters: lost }, options: { probe: false } });
    expect(Object.keys(byCode(report))).toEqual(expect.arrayContaining(['adapted_rows', 'adapter_missing']));
    expect(byCode(report)).not.toHaveProperty('mixed_models');
  });

  it('finds an old vector that was changed or lost past the trigger, also under a lost text', async () => {
    await behindTheTrigger(`UPDATE segments SET embedding = (SELECT s.embedding FROM segments s WHERE s.id = 90) WHERE id IN (3, 77);
      UPDATE segments SET embedding = NULL WHERE id = 150; UPDATE segments SET embedding = NULL WHERE id = 250`);
    const report = await verify(context(), { provider, full: true });
    expect(failed(report)).toEqual(['mapped again']);
    expect(detailOf(report, 'mapped again')).toMatch(/; 3 below it, 1 of them without an old vector: 3, 77, 150$/);
    expect(report.adapted?.mismatches.map(({ key }) => key)).toEqual([['3'], ['77'], ['150']]);
    await behindTheTrigger('UPDATE segments s SET embedding = f.embedding FROM former f WHERE f.id = s.id');
  });

  it('takes nothing for done that it cannot map again, and another adapter for another model', async () => {
    const other = await registerModel(chain.db, 'reembed', { provider: 'adapted', name: 'adapted:other' });
    await behindTheTrigger(`UPDATE segments SET embedding_384_model = ${other} WHERE id = 20`);
    const moved = context({ adapters: { ...bed.runtime.adapters, dir: `${bed.registry.dir}-gone` } });
    const report = await verify(moved, { provider, seed: 1, sample: 200 });
    expect(report.ok).toBe(false);
    expect(failed(report)).toEqual(['completeness', 'provenance', 'embedded again', 'mapped again']);
    expect(detailOf(report, 'provenance')).toMatch(/1 by another model \(adapted:other\)$/);
    expect(report.checks.at(-2)).toMatchObject({
      unknown: true,
      detail: expect.stringMatching(/No projection "old--hash"/),
    });
    await behindTheTrigger(
      'UPDATE segments SET embedding_384_model = (SELECT embedding_384_model FROM segments WHERE id = 21) WHERE id = 20',
    );
  });

  it('opens no model where every row is adapted', async () => {
    await chain.db.query(`DELETE FROM segments WHERE id > ${ADAPTED}`);
    const report = await verify(context(), { provider: unopened });
    expect(failed(report)).toEqual([]);
    expect(report.adapted).toMatchObject({ mapped: { rows: ADAPTED }, nearness: null });
  });
});

describe('a migration that an adapter fills, from its evaluation to its service and back', () => {
  const ROWS = 60;
  const OLD = { provider: 'hash', model: 'hash/16', dimensions: 16 } as const;
  const INPUT: Partial<MigrationInput> = { from: OLD, index: { kind: 'none' } };
  const texts = Array.from({ length: ROWS }, (_, i) => `Passage number ${i} begins here. It is about item ${i}.`);
  const PROVENANCE = 'embedding::text AS e, embedding_model AS m, embedding_hash AS h, embedding_at::text AS a';

  beforeAll(async () => {
    const { vectors } = await hashProvider(OLD.model).embed(texts, { kind: 'document' });
    await chain.db.query('CREATE TABLE segments (id int PRIMARY KEY, text text, embedding vector(16))');
    await chain.db.query(
      `INSERT INTO segments SELECT i, text, e::vector FROM unnest($1::text[], $2::text[]) WITH ORDINALITY u(text, e, i)`,
      [textArrayLiteral(texts), textArrayLiteral(vectors.map((vector) => `[${vector.join(',')}]`))],
    );
  });

  const context = (runtime: Partial<RuntimeSettings> = {}) => chain.context(INPUT, { ...bed.runtime, ...runtime });
  const mapping = () => context({ adapters: { ...bed.runtime.adapters, use: bed.entry.id } });
  const told = ({ events }: ReturnType<typeof context>) => JSON.stringify(events);
  const encode = (name: string) => async (asked: readonly string[]) =>
    (await hashProvider(name).embed(asked, { kind: 'query' })).vectors;
  const client = () =>
    createSearch(chain.db, {
      migration: context().definition,
      encoders: { old: encode(OLD.model), new: encode('hash/384') },
    });
  const adaptedId = async () => (await resolveMigration(context())).record.adaptedModelId;

  /** Where the new vectors answer for every row, whoever made them. */
  async function assertServed(search = client()): Promise<void> {
    const { hits } = await search.query(texts[7] ?? '', { mode: 'new', limit: ROWS });
    expect([hits.length, [...new Set(hits.map(({ from }) => from))]]).toEqual([ROWS, ['new']]);
  }

  it('a search serves adapted rows while the adapter is the migration’s, a client that was open before too', async () => {
    await expand(context());
    const search = client();
    expect((await search.query(texts[7] ?? '', { mode: 'new' })).hits[0]?.from).toBe('old');
    expect(await fill(mapping())).toMatchObject({ rows: { done: ROWS, pending: 0 } });
    await assertServed(search);
    const id = await adaptedId();
    await updateRecord(chain.db, 'reembed', 'segments-hash', { adaptedModelId: null });
    expect((await search.query(texts[7] ?? '', { mode: 'new' })).hits[0]?.from).toBe('old');
    await updateRecord(chain.db, 'reembed', 'segments-hash', { adaptedModelId: id });
    await assertServed(search);
  });

  it('an evaluation says that it is about adapted rows, and stands for no others', async () => {
    const wide = { ...loadRuntimeSettings({}).evaluation, tolerance: 0.99 };
    const required = (adapters = bed.runtime.adapters) => context({ gate: 'required', evaluation: wide, adapters });
    expect(await refusalOf(cutOver(required()))).toMatchObject({
      code: 'gate_no_verdict',
      message: expect.stringContaining('no evaluation is on record'),
      hint: expect.stringContaining('reembed evaluate'),
    });
    const result = await evaluate(required(), { queries: { knownItem: 'text' } });
    expect(result).toMatchObject({ verdict: 'go', rows: { common: ROWS, adapted: ROWS } });
    expect(result.checks.find(({ code }) => code === 'adapted')).toMatchObject({
      level: 'info',
      message: `${ROWS} of ${ROWS} rows hold adapted vectors (adapted:old--hash, Recall@10 retention 0.93 (0.91 to 0.95) on held-out text): the verdict is about these, not about what the new model makes of their texts.`,
    });
    // As a backup brings vectors back: with the time that they had.
    const id = await adaptedId();
    await behindTheTrigger(`UPDATE segments SET embedding_384_model = (SELECT model_id FROM reembed.migrations)`);
    const refusal = await refusalOf(cutOver(required()));
    expect(refusal).toMatchObject({
      code: 'gate_no_verdict',
      message: expect.stringContaining('100% of the rows changed'),
    });
    const other = await registerModel(chain.db, 'reembed', { provider: 'adapted', name: 'adapted:other' });
    const adaptBy = async (adapter: number | null) => {
      await behindTheTrigger(`UPDATE segments SET embedding_384_model = ${adapter}`);
      await updateRecord(chain.db, 'reembed', 'segments-hash', { adaptedModelId: adapter });
    };
    await adaptBy(other);
    expect((await refusalOf(cutOver(required()))).message).toContain('the adapted rows are of another adapter since');
    await adaptBy(id);
  });

  it('007 says how many rows are adapted and what the adapter keeps; without its projection that is unknown', async () => {
    const lost = { ...bed.runtime.adapters, dir: join(bed.registry.dir, 'gone') };
    const blind = context({ adapters: lost });
    await chain.db.query('ALTER TABLE segments ADD COLUMN embedding_old int');
    await refusalOf(cutOver(blind));
    await chain.db.query('ALTER TABLE segments DROP COLUMN embedding_old');
    expect(told(blind)).toMatch(
      /"warning","message":"60 of 60 rows hold adapted vectors \(adapted:old--hash, of unknown quality: No projection/,
    );
    const swapping = context();
    expect(await cutOver(swapping)).toMatchObject({
      adapted: { adapter: 'adapted:old--hash', rows: ROWS, problem: null },
    });
    expect(told(swapping)).toMatch(
      /"notice","message":"60 of 60 rows hold adapted vectors \(adapted:old--hash, Recall@10 retention 0.93/,
    );
    const { rows } = await chain.db.query<{ payload: unknown }>(
      `SELECT to_jsonb(e) AS payload FROM reembed.events e WHERE kind = 'swapped'`,
    );
    expect(JSON.stringify(rows)).toContain('"retention":{"low":0.91');
    await assertServed();
  });

  it('replacing adapted rows in service lets none vanish; a backup brings them back as adapted', async () => {
    const directory = join(bed.registry.dir, 'backups');
    const backup = await saveSide(context(), 'new', directory);
    const before = await digestOf(chain.db, 'segments', 'id', PROVENANCE);
    const id = await adaptedId();
    const search = client();
    let replaced = false;
    const replacing = fill(context({ batchRows: 10 }), { replaceAdapted: true }).finally(() => {
      replaced = true;
    });
    do await assertServed(search);
    while (!replaced);
    expect(await replacing).toMatchObject({ run: { written: ROWS } });
    expect(await adaptedId()).toBeNull();
    await assertServed(search);

    await restore(context(), { path: backup.path });
    expect(await digestOf(chain.db, 'segments', 'id', PROVENANCE)).toBe(before);
    expect(await adaptedId()).toBe(id);
    const report = await verify(context(), { provider: unopened });
    expect(report).toMatchObject({ ok: true, adapted: { rows: ROWS, mapped: { below: 0 } } });
    await rm(directory, { recursive: true });
  });

  it('a rollback keeps adapted rows as long as their old vectors; what is given up comes from no backup', async () => {
    await undoCutOver(context());
    expect(await verify(context(), { provider: unopened })).toMatchObject({ ok: true });
    await chain.db.query('UPDATE segments SET embedding = (SELECT embedding FROM segments WHERE id = 4) WHERE id = 1');
    // Their old vectors are of another text now, seen by the trigger or not.
    await chain.db.query(`UPDATE segments SET text = 'another text' WHERE id = 2`);
    await behindTheTrigger(`UPDATE segments SET text = 'yet another text' WHERE id = 3`);
    expect(await fill(mapping(), { recheck: true })).toMatchObject({ rows: { done: ROWS }, run: { written: 3 } });
    const report = await verify(context(), { provider, full: true });
    expect(report).toMatchObject({ ok: true, compared: { rows: 2 }, adapted: { mapped: { rows: ROWS - 2 } } });

    const directory = join(bed.registry.dir, 'backups');
    await saveSide(context(), 'new', directory);
    await undoFill(context());
    const real = context();
    expect(await fill(real)).toMatchObject({ rows: { done: ROWS }, run: { written: ROWS - 2 } });
    expect(told(real)).toMatch(/The vectors of adapted:old--hash stay in /);
    expect(await verify(context(), { provider })).toMatchObject({
      ok: true,
      adapted: null,
    });
  });
});
