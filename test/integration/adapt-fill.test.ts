import { afterAll, beforeAll, beforeEach, expect, test } from 'vitest';
import { readVectorWindow } from '../../src/backfill/read-vectors.ts';
import { writeBatch } from '../../src/backfill/write-batch.ts';
import type { MigrationInput } from '../../src/config/define-migration.ts';
import type { RuntimeSettings } from '../../src/config/types.ts';
import { resolveMigration } from '../../src/state/resolve.ts';
import { cutOver } from '../../src/steps/cut-over.ts';
import { expand } from '../../src/steps/expand.ts';
import { fill } from '../../src/steps/fill.ts';
import { undoCutOver } from '../../src/steps/undo-cut-over.ts';
import { undoFill } from '../../src/steps/undo-fill.ts';
import { type AdapterBed, countMakers, openAdapterBed, readMakers } from '../helpers/adapter-bed.ts';
import { type Chain, makeSegments, openChain } from '../helpers/chain.ts';
import { SEGMENTS, type Watched } from '../helpers/oracle.ts';
import { measures } from '../unit/adapters/sample-projection.ts';

const ONE = 'adapted:seed-1';
const TWO = 'adapted:seed-2';
const MODEL = 'hash/384';

const LEGACY = { provider: 'file', model: 'legacy.jsonl', dimensions: 16 } as const;
let chain: Chain;
let bed: AdapterBed;

beforeAll(async () => {
  chain = await openChain();
  bed = openAdapterBed();
  const { provider, model: name } = LEGACY;
  const source = { fingerprint: { provider, name }, reference: LEGACY, dimensions: 16 };
  await bed.add(1, 16, { source });
  await bed.add(2, 16, { source, metrics: measures(0.8) });
});
afterAll(async () => {
  bed.close();
  await chain.close();
});
beforeEach(() => chain.db.query('DROP SCHEMA IF EXISTS reembed CASCADE; DROP TABLE IF EXISTS segments'));

interface Asked {
  readonly use?: string;
  readonly input?: Partial<MigrationInput>;
  readonly runtime?: Partial<RuntimeSettings>;
}

function contextFor({ use, input = {}, runtime = {} }: Asked = {}): ReturnType<Chain['context']> {
  return chain.context(input, { batchRows: 100, adapters: { dir: bed.dir, use, auto: false }, ...runtime });
}
const makers = (column = 'embedding_384', old = 'embedding', watched: Watched = SEGMENTS) =>
  readMakers(chain.db, bed, watched, { column, old });
const sql = (statements: string) => chain.db.query(statements);
const newVector = (id: number): string =>
  `(SELECT array_agg(0.1 + (i * ${id} % 7) / 7.0) FROM generate_series(1, 16) i)::vector`;

/** An application that edits texts, old vectors and something else, one row after the other, until `work` is done. */
async function whileEdited<T>(work: Promise<T>, rows: number): Promise<T> {
  let done = false;
  const edit = async (): Promise<void> => {
    for (let i = 0; !done && i < 60; i++) {
      const id = 100 + ((i * 37) % (rows - 100));
      if (i % 3 === 0) await sql(`UPDATE segments SET text = text || ' edited' WHERE id = ${id}`);
      if (i % 3 === 1) await sql(`UPDATE segments SET embedding = ${newVector(i)} WHERE id = ${id}`);
      if (i % 3 === 2) await sql(`UPDATE segments SET voice = '[1, 1, 1, ${i}]' WHERE id = ${id}`);
    }
  };
  const [result] = await Promise.all([work.finally(() => (done = true)), edit()]);
  return result;
}

test('an adapter maps every old vector, keeps to what changes, and gives way to the model row by row', async () => {
  const rows = 400;
  await makeSegments(chain.db, { rows });
  await sql(`UPDATE segments SET text = NULL WHERE id = 7; UPDATE segments SET text = ' ' WHERE id = 9`);
  await sql(`UPDATE segments SET embedding = NULL WHERE id IN (8, 10); UPDATE segments SET text = NULL WHERE id = 10`);
  await expand(contextFor());
  const first = contextFor({ use: 'auto', input: { from: LEGACY } });
  const { run, adapted } = await whileEdited(fill(first), rows);
  expect(run?.written).toBeGreaterThanOrEqual(rows - 1);
  expect(adapted).toMatchObject({ adapter: ONE, withoutText: 2 });
  expect(first.events).toContainEqual(
    expect.objectContaining({ message: 'Mapping public.segments.embedding by adapted:seed-1' }),
  );

  // The trigger: an old vector of the former text is not mapped again.
  await sql(`UPDATE segments SET embedding = ${newVector(20)} WHERE id = 20`);
  await sql(`UPDATE segments SET text = 'twenty-one' WHERE id IN (21, 23)`);
  await sql(`UPDATE segments SET text = 'twenty-two', embedding = ${newVector(22)} WHERE id = 22`);
  await sql(`UPDATE segments SET embedding = ${newVector(23)} WHERE id = 23`);
  await sql(`UPDATE segments SET voice = '[9, 9, 9, 9]', embedding = embedding WHERE id = 24`);
  const edited = await makers();
  expect(['20', '21', '22', '23', '24'].map((id) => edited.get(id))).toEqual(['null', 'null', 'null', 'null', ONE]);
  await sql('ALTER TABLE segments DISABLE TRIGGER "zzz_reembed_segments-hash_vector"');
  await fill(contextFor({ use: 'seed-1' }));
  expect(
    (await sql(`SELECT 1 FROM pg_trigger WHERE tgname LIKE 'zzz_reembed%' AND tgenabled = 'O'`)).rows,
  ).toHaveLength(2);
  const mended = await makers();
  expect(['20', '21', '22', '23', '24'].map((id) => mended.get(id))).toEqual([ONE, MODEL, ONE, ONE, ONE]);
  expect(['7', '8', '9'].map((id) => mended.get(id))).toEqual([ONE, MODEL, ONE]);
  expect([...mended].filter(([, maker]) => maker !== ONE && maker !== MODEL)).toEqual([['10', 'null']]);

  // Without an adapter adapted rows are left alone; another one maps them again.
  const counts = countMakers(mended);
  expect(await fill(contextFor())).toMatchObject({ changed: false, adapted: { adapter: ONE, rows: counts[ONE] } });
  expect((await fill(contextFor({ use: 'seed-2' }))).run).toMatchObject({ written: counts[ONE] });
  expect(countMakers(await makers())).toEqual({ null: 1, [MODEL]: counts[MODEL], [TWO]: counts[ONE] });

  const replaced = await whileEdited(fill(contextFor(), { replaceAdapted: true }), rows);
  expect(replaced.adapted).toMatchObject({ adapter: TWO, rows: 2, withoutText: 2 });
  expect(countMakers(await makers()).wrong).toBeUndefined();
  await fill(contextFor());
  expect(countMakers(await makers())).toEqual({ null: 1, [MODEL]: rows - 3, [TWO]: 2 });
  await sql('DELETE FROM segments WHERE id IN (7, 9)');
  expect(await fill(contextFor(), { replaceAdapted: true })).toMatchObject({ changed: false, adapted: undefined });
  expect((await sql(`SELECT tgname FROM pg_trigger WHERE tgname LIKE 'zzz_reembed%'`)).rows).toEqual([
    { tgname: 'zzz_reembed_segments-hash' },
  ]);
  // A projection that says the same of its space in other words takes nothing from the model's own rows.
  const target = { ...(await bed.add(8, 16, { metrics: measures(0.5) })).target };
  const fingerprint = { ...target.fingerprint, instruction: null };
  await bed.add(9, 16, { target: { ...target, fingerprint }, metrics: measures(0.5) });
  expect(await fill(contextFor({ use: 'seed-9' }))).toMatchObject({ changed: false, rows: { done: rows - 3 } });
});

test('adapted vectors are served, replaced after the swap where nobody wrote since, and watched again after it is undone', async () => {
  await makeSegments(chain.db, { rows: 200 });
  await expand(contextFor());
  // Stopped after the first window, the next run goes on.
  const stop = new AbortController();
  const stopped = contextFor({ use: 'seed-1' });
  const onProgress = (event: Parameters<typeof stopped.onProgress>[0]): void => {
    if (event.kind === 'rows') stop.abort();
  };
  await expect(fill({ ...stopped, signal: stop.signal, onProgress })).rejects.toMatchObject({ code: 'interrupted' });
  const begun = countMakers(await makers());
  expect(begun[ONE]).toBeGreaterThan(0);
  await fill(contextFor({ use: 'seed-1' }));
  await cutOver(contextFor());
  await undoCutOver(contextFor());
  await sql(`UPDATE segments SET embedding = ${newVector(3)} WHERE id = 3`);
  expect((await makers()).get('3')).toBe('null');
  await cutOver(contextFor({ use: 'seed-1' }));
  expect(countMakers(await makers('embedding', 'embedding_old'))).toEqual({ [ONE]: 200 });

  const own = `(SELECT array_agg(i) FROM generate_series(1, 384) i)::vector`;
  await sql(`UPDATE segments SET embedding = ${own} WHERE id = 5; UPDATE segments SET text = 'edited' WHERE id = 6`);
  expect((await fill(contextFor(), { replaceAdapted: true })).run).toMatchObject({ written: 198 });
  expect((await sql(`SELECT id FROM segments WHERE embedding = ${own} AND embedding_model IS NULL`)).rows).toHaveLength(
    1,
  );
  await fill(contextFor());
  expect(countMakers(await makers('embedding', 'embedding_old'))).toMatchObject({ [MODEL]: 199 });
  expect((await resolveMigration(contextFor())).record.adaptedModelId).toBeNull();
});

test('partitions, composite keys, an expression and halfvec on both sides', async () => {
  const text = `coalesce("The title" || ': ', '') || body`;
  const input = { provider: 'adapted', from: LEGACY, text: { expression: text }, vectorType: 'halfvec' } as const;
  const watched = { table: 'segments', key: `concat(tenant, '/', "Item Nr")`, text: `(${text})` };
  await sql(
    `CREATE TABLE segments (tenant text, "Item Nr" bigint, "The title" text, body text, embedding halfvec(16), PRIMARY KEY (tenant, "Item Nr"))
       PARTITION BY LIST (tenant);
     CREATE TABLE segments_a PARTITION OF segments FOR VALUES IN ('it''s \\ a');
     CREATE TABLE segments_b PARTITION OF segments FOR VALUES IN ('b', 'c');
     INSERT INTO segments SELECT CASE i % 3 WHEN 0 THEN 'it''s \\ a' WHEN 1 THEN 'b' ELSE 'c' END, i, NULLIF('title ' || i % 5, 'title 1'), 'body ' || i,
       (SELECT array_agg(0.05 + random()) FROM generate_series(1, 16) WHERE i > 0)::halfvec FROM generate_series(1, 120) i`,
  );
  await expand(contextFor({ input }));
  await fill(contextFor({ input }));
  expect(countMakers(await makers('embedding_384', 'embedding', watched))).toEqual({ [ONE]: 120 });
  await sql(
    `UPDATE segments SET body = 'another' WHERE "Item Nr" = 3; UPDATE segments SET embedding = NULL WHERE "Item Nr" = 4`,
  );
  expect((await fill(contextFor({ input }))).run).toMatchObject({ written: 2 });
  expect(countMakers(await makers('embedding_384', 'embedding', watched))).toEqual({ [ONE]: 118, [MODEL]: 2 });
  // The trigger that watches the old column goes before it.
  const dropped = contextFor({ input: { ...input, oldColumn: 'drop' }, runtime: { backup: 'none' } });
  expect(await cutOver(dropped)).toMatchObject({ changed: true, keptColumn: null });
});

test('what an adapter cannot map is refused, and nothing is written', async () => {
  await makeSegments(chain.db, { rows: 60 });
  await bed.add(3, 24);
  await bed.add(4, 16, { direction: 'query' });
  await bed.add(5, 16, { target: { ...(await bed.add(6, 16)).target, dimensions: 32 } });
  const reference = { provider: 'hash', model: 'hash/16', dimensions: 16 } as const;
  await bed.add(7, 16, { source: { fingerprint: { provider: 'hash', name: 'hash/16' }, reference, dimensions: 16 } });
  const other = { ...LEGACY, model: 'other.jsonl' };
  await expand(contextFor());
  const refused = (use: string, input: Partial<MigrationInput> = {}) => fill(contextFor({ use, input }));
  await expect(refused('nobody')).rejects.toMatchObject({ code: 'projection_unknown' });
  await expect(refused('seed-3')).rejects.toThrow(
    'seed-3 does not fit the migration "segments-hash": it maps 24 dimensions, public.segments.embedding has 16.',
  );
  await expect(refused('seed-4')).rejects.toThrow('it maps queries into the old space');
  await expect(refused('seed-5')).rejects.toThrow('it makes 32 dimensions, the migration asks for 384');
  await expect(refused('seed-7', { from: other })).rejects.toThrow(
    'another model than public.segments.embedding holds',
  );
  // One was learned from a column of the same name, which says nothing about the model.
  await expect(refused('auto')).rejects.toMatchObject({ code: 'no_projection' });
  await expect(refused('auto', { from: { ...other, model: 'x.jsonl' } })).rejects.toMatchObject({
    code: 'no_projection',
  });
  await expect(refused('seed-1', { model: 'all-MiniLM-L6-v2', provider: 'local' })).rejects.toThrow(
    "it maps into the space of another model than the migration's",
  );
  // A row that was written between the reading of its old vector and the writing of what it was mapped to.
  const { target, table, extension } = await resolveMigration(contextFor());
  const from = { ...target, column: 'embedding', dimensions: 16, provenance: undefined } as const;
  const mapped = { ...target, mappedFrom: from, adapted: { modelId: 1, as: 'kept' } } as const;
  const reading = { modelId: 0, migrationId: 'segments-hash', skipQuarantined: false, dimensions: 16 };
  const limits = { rows: 4, bytes: 1e6 };
  const window = await readVectorWindow(chain.db, mapped, { ...reading, upTo: ['60'], limits }, ['2']);
  expect(window.rows.map(({ key }) => key)).toEqual([['3'], ['4'], ['5'], ['6']]);
  await sql(`UPDATE ${table.name} SET embedding = ${newVector(4)} WHERE id = 4`);
  const batch = window.rows.map((row) => ({ ...row, vector: new Float32Array(384).fill(1) }));
  const to = { target: mapped, modelId: 0, vectorOid: extension.vectorOid, fence: undefined };
  expect(await writeBatch(chain.db, to, batch)).toBe(3);
  await sql('UPDATE segments SET embedding_384 = NULL, embedding_384_model = NULL, embedding_384_hash = NULL');
  // More than a few odd rows are the column's fault, a single one is its own.
  await sql('UPDATE segments SET embedding = array_fill(100, ARRAY[16])::vector WHERE id <= 4');
  await expect(refused('seed-1')).rejects.toMatchObject({ code: 'old_vectors_unfit', context: { unfit: 4, rows: 60 } });
  expect(countMakers(await makers())).toEqual({ null: 60 });
  await sql(`UPDATE segments SET embedding = ${newVector(1)} WHERE id < 4`);
  await expect(refused('seed-1')).rejects.toThrow(
    /1 row is in quarantine, 0 are allowed: 4 \(the old vector's length is/,
  );
  expect(countMakers(await makers())).toEqual({ null: 1, [ONE]: 59 });

  await undoFill(contextFor());
  expect(countMakers(await makers())).toEqual({ null: 60 });
  expect((await resolveMigration(contextFor())).record.adaptedModelId).toBeNull();
  const makerColumns = 'ADD embedding_model int, ADD embedding_hash bytea, ADD embedding_at timestamptz';
  await sql(`ALTER TABLE segments ${makerColumns}; UPDATE segments SET embedding_model = 1 + id % 2`);
  await expect(refused('seed-1')).rejects.toMatchObject({ code: 'mixed_models' });
});
