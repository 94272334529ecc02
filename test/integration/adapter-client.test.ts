import { existsSync } from 'node:fs';
import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, beforeEach, expect, test } from 'vitest';
import { openRegistry } from '../../src/adapters/registry.ts';
import { loadRuntimeSettings } from '../../src/config/runtime.ts';
import type { AdapterSettings } from '../../src/config/types.ts';
import { InterruptedError } from '../../src/errors.ts';
import { readEvaluation } from '../../src/evaluate/stored-report.ts';
import { doctor } from '../../src/inspect/doctor.ts';
import { detectMismatch } from '../../src/inspect/mismatch/detect-mismatch.ts';
import { hashProvider } from '../../src/providers/hash.ts';
import type { EmbeddingProvider } from '../../src/providers/types.ts';
import type { NamedEncoder } from '../../src/search/active-model.ts';
import { adaptedEncoder } from '../../src/search/adapted-encoder.ts';
import { createSearch } from '../../src/search/client/create-search.ts';
import { openQueryAdapter } from '../../src/search/open-query-adapter.ts';
import { EmbeddingsService } from '../../src/service/embeddings-service.ts';
import { textArrayLiteral } from '../../src/sql/array-literal.ts';
import { evaluate } from '../../src/steps/evaluate.ts';
import { expand } from '../../src/steps/expand.ts';
import { fill } from '../../src/steps/fill.ts';
import { migrateWithAdapter } from '../../src/steps/migrate-with-adapter.ts';
import { type Chain, makeSegments, openChain, staleKeys } from '../helpers/chain.ts';
import { knownEntry, knownProjection, knownSpaces, widen } from '../helpers/known-projection.ts';
import { everythingIn, refusalOf } from '../helpers/refusal.ts';

const ROWS = 60;
/** `hash/64`, and the application's old model: the same, turned into 96 dimensions. */
const spaces = knownSpaces(64, 96);
/** Another turn: a projection of it fits by name and size, and by nothing else. */
const otherSpaces = knownSpaces(64, 96, 99);
const hash = hashProvider('hash/64');
const FROM = { provider: 'file', model: 'wide.json', dimensions: 96 } as const;
const MIGRATION = { model: 'hash/64', dimensions: 64, from: FROM } as const;

let chain: Chain;
let directory: string;
let number = 0;

beforeAll(async () => {
  chain = await openChain();
  directory = await mkdtemp(join(tmpdir(), 'reembed-adapter-client-'));
});
afterAll(async () => {
  await chain.close();
  await rm(directory, { recursive: true });
});
beforeEach(async () => {
  await chain.db.query('DROP TABLE IF EXISTS segments; DROP SCHEMA IF EXISTS reembed CASCADE');
  await makeSegments(chain.db, { rows: ROWS, dimensions: 96 });
  const { rows } = await chain.db.query<{ id: string; text: string }>(
    'SELECT id::text, text FROM segments ORDER BY id',
  );
  const { vectors } = await hash.embed(
    rows.map(({ text }) => text),
    { kind: 'document' },
  );
  const wide = vectors.map((vector) => `[${widen(spaces, vector).join(',')}]`);
  await chain.db.query(
    'UPDATE segments s SET embedding = u.e::vector FROM unnest($1::bigint[], $2::text[]) AS u(id, e) WHERE s.id = u.id',
    [textArrayLiteral(rows.map(({ id }) => id)), textArrayLiteral(wide)],
  );
});

/** A registry of its own for each test. */
function freshContext(settings: Partial<AdapterSettings> = {}) {
  const dir = join(directory, `projections-${number++}`);
  const { adapters } = loadRuntimeSettings({ REEMBED_PROJECTIONS_DIR: dir });
  const runtime = { adapters: { ...adapters, ...settings }, backupDir: join(directory, 'backups') };
  return { ctx: chain.context(MIGRATION, runtime), registry: openRegistry(dir) };
}

/** The application's old model. */
const wideProvider: EmbeddingProvider = {
  ...hash,
  model: { ...hash.model, provider: 'file', name: 'wide.json', dimensions: 96 },
  embed: async (texts, options) => {
    const { vectors, ...rest } = await hash.embed(texts, options);
    return { ...rest, vectors: vectors.map((vector) => widen(spaces, vector)) };
  },
};

function encoderOf(provider: EmbeddingProvider): NamedEncoder {
  const { model } = provider;
  return { model, encodeTexts: async (texts, options) => (await provider.embed(texts, options)).vectors };
}

test("the new model's queries, mapped, find in the old column what the old model's queries find", async () => {
  const { ctx, registry } = freshContext();
  await registry.add(knownEntry(spaces, 'query'), knownProjection(spaces, 'query'));
  await registry.add(knownEntry(spaces, 'document', { id: 'documents' }), knownProjection(spaces, 'document'));
  const { definition: migration } = ctx;
  const adapter = await openQueryAdapter({ dir: registry.dir, migration });
  try {
    const mapped = createSearch(chain.db, { migration, encoders: { old: adaptedEncoder(encoderOf(hash), adapter) } });
    const plain = createSearch(chain.db, { migration, encoders: { old: encoderOf(wideProvider) } });
    for (const text of ['topic 7 and item 44', 'a passage about topic 36']) {
      const [found, expected] = [await mapped.query(text, { limit: 20 }), await plain.query(text, { limit: 20 })];
      expect(found.served).toBe('old');
      // Rows of one score may change places.
      expect(found.hits[0]?.key).toEqual(expected.hits[0]?.key);
      for (const [i, { score }] of expected.hits.entries()) expect(found.hits[i]?.score).toBeCloseTo(score, 5);
    }
  } finally {
    await adapter.close();
  }
  const turned = await refusalOf(openQueryAdapter({ id: 'documents', dir: registry.dir, migration, side: 'old' }));
  expect(turned).toMatchObject({ code: 'spaces_differ', hint: expect.stringContaining('--direction query') });
  expect(turned.message).toMatch(/wide\.json \(96 dimensions\).*hash\/64 \(64 dimensions\)/);
  const unknown = await refusalOf(
    openQueryAdapter({ dir: registry.dir, migration: { ...migration, from: undefined } }),
  );
  expect(unknown).toMatchObject({ code: 'old_model_unknown', hint: expect.stringContaining('EMBEDDING_OLD_MODEL') });

  await expand(ctx);
  await fill(ctx);
  const providers = { old: async () => wideProvider, new: async () => hash };
  const { rows } = await chain.db.query<{ id: string; text: string }>('SELECT id::text, text FROM segments LIMIT 12');
  const file = join(directory, 'queries.jsonl');
  await writeFile(file, rows.map(({ id, text }) => `${JSON.stringify({ query: text, relevant: [id] })}\n`).join(''));
  const options = { providers, queries: { file }, checks: false, tolerance: 0.9, adapter: 'auto' } as const;
  const judged = await evaluate(ctx, { ...options, judgeAdapter: true });
  expect(judged.sides.map(({ name }) => name)).toEqual(['old', 'new', 'old, adapted queries']);
  expect(judged.verdict).toBe('go');
  expect(await readEvaluation(ctx), 'a verdict on mapped queries is none on the swap').toBeUndefined();
  const beside = await evaluate(ctx, options);
  expect(beside.comparisons.map(({ to }) => to)).toEqual(['old, adapted queries', 'new']);
  expect(beside.sides[1]?.exact.metrics).toEqual(beside.sides[0]?.exact.metrics);
  expect((await readEvaluation(ctx))?.verdict).toBe('go');
});

test('a service finds that the column is of another model, and what there is to move it; nothing is changed', async () => {
  const { ctx, registry } = freshContext();
  const before = await everythingIn(chain.db);
  const service = await EmbeddingsService.init({ model: { provider: 'hash', model: 'hash/64', dimensions: 64 } });
  const none = await service.detect({ ctx });
  expect(none).toMatchObject({
    mismatch: { kind: 'dimensions', stored: { name: 'wide.json', dimensions: 96 }, configured: { name: 'hash/64' } },
    projection: undefined,
    command: 'reembed adapter train --samples 1000',
    applied: undefined,
  });
  expect(none.message).toContain('No pre-trained projection found for 96D → 64D.');

  const between = {
    fingerprint: { provider: 'hash', name: 'hash/80', dimensions: 80 },
    reference: undefined,
    dimensions: 80,
  };
  const half = knownSpaces(80, 96);
  const first = await registry.add(
    { ...knownEntry(half, 'document', { id: 'first' }), target: between },
    knownProjection(half, 'document'),
  );
  const second = await registry.add(
    { ...knownEntry(knownSpaces(64, 80), 'document', { id: 'second' }), source: between },
    knownProjection(knownSpaces(64, 80), 'document'),
  );
  const chained = await service.detect({ ctx });
  expect(chained.chains[0]?.parts.map(({ id }) => id)).toEqual([first.id, second.id]);
  expect(chained.command).toBe('reembed adapter compose first second');

  await registry.add(
    knownEntry(spaces, 'document', { id: 'direct', similarity: 0.97 }),
    knownProjection(spaces, 'document'),
  );
  const direct = await service.detect({ ctx });
  expect(direct).toMatchObject({ projection: { id: 'direct' }, chains: [], applied: undefined });
  expect(direct.message).toContain('Recall@10 retention 0.97 (0.95 to 0.97)');
  expect(direct.command).toBe('reembed adapter apply --projection direct');
  const report = await doctor(ctx, { probe: false });
  const offer = report.notes.find(({ code }) => code === 'projection_fits');
  expect(offer).toMatchObject({ severity: 'note', hint: expect.stringContaining('adapter apply --projection direct') });

  const sameSize = await EmbeddingsService.init({ model: { provider: 'hash', model: 'hash/96', dimensions: 96 } });
  const other = await sameSize.detect({ ctx });
  expect(other.mismatch).toMatchObject({ kind: 'model', configured: { name: 'hash/96', dimensions: 96 } });
  expect(other.message).toContain('it is not the model of these vectors');
  expect(await everythingIn(chain.db)).toEqual(before);
});

test('with REEMBED_AUTO_ADAPT a projection is applied, and taken back to the last byte where verification fails', async () => {
  const { ctx, registry } = freshContext({ auto: true });
  const before = await everythingIn(chain.db);
  const service = await EmbeddingsService.init({ model: { provider: 'hash', model: 'hash/64', dimensions: 64 } });
  // Its measures say that it is the best: only this table's own rows show that it is not.
  await registry.add(
    knownEntry(otherSpaces, 'document', { id: 'worthless' }),
    knownProjection(otherSpaces, 'document'),
  );
  const undone = await refusalOf(service.detect({ ctx }));
  expect(undone.code).toBe('adapter_undone');
  expect(undone.message).toMatch(
    /on 60 rows of this table, but -?0\.\d+ between adapted and real vectors, at least 0\.8 is asked/,
  );
  expect(await everythingIn(chain.db)).toEqual(before);

  await registry.remove('worthless');
  await registry.add(knownEntry(spaces, 'document', { id: 'exact' }), knownProjection(spaces, 'document'));
  const { applied, message } = await service.detect({ ctx });
  expect(applied).toMatchObject({ migrated: true, projection: 'exact', measuredRows: ROWS });
  expect(applied?.similarityPreservation).toBeGreaterThan(0.999);
  expect(existsSync(applied?.backupPath ?? '')).toBe(true);
  expect(message).toContain('reembed backfill --replace-adapted');
  expect(await staleKeys(chain.db, 'embedding', 'segments', 'hash/64')).toEqual([]);
  expect(await service.detect({ ctx })).toMatchObject({ mismatch: undefined, command: undefined, applied: undefined });
  const revised = { ...hash, model: { ...hash.model, revision: '2' } };
  const { mismatch } = await detectMismatch(ctx, revised);
  expect(mismatch, 'the record says which model it was').toMatchObject({ kind: 'model', stored: { name: 'hash/64' } });
});

test('a call that was cut off is gone on with, and one that would clear real vectors is refused', async () => {
  const { ctx, registry } = freshContext();
  await registry.add(knownEntry(spaces, 'document', { id: 'exact' }), knownProjection(spaces, 'document'));
  // Embedded by the model itself, whoever fills the rest.
  await chain.db.query('UPDATE segments SET embedding = NULL WHERE id = 1');
  const controller = new AbortController();
  const cut = {
    ...ctx,
    signal: controller.signal,
    onProgress: (event: { readonly kind: string; readonly message?: string }) => {
      if (event.message?.startsWith('Building the indexes') === true) controller.abort();
    },
  };
  await expect(migrateWithAdapter(cut, {})).rejects.toBeInstanceOf(InterruptedError);
  const done = await migrateWithAdapter(ctx, {});
  expect(done).toMatchObject({ migrated: true, projection: 'exact' });
  const served = await everythingIn(chain.db);
  await registry.add(knownEntry(spaces, 'document', { id: 'exact-too' }), knownProjection(spaces, 'document'));
  expect(
    await migrateWithAdapter(ctx, { minSimilarity: 1 }),
    'what is in service is not put to the test again',
  ).toEqual(done);
  expect(await everythingIn(chain.db)).toEqual(served);
  expect(await refusalOf(migrateWithAdapter(ctx, { projection: 'exact-too' }))).toMatchObject({
    code: 'already_swapped',
  });
  const { rows } = await chain.db.query(`SELECT 1 FROM reembed.events WHERE kind = 'backup'`);
  expect(rows, 'one backup of the old vectors is enough').toHaveLength(1);

  await chain.db.query('DROP TABLE segments; DROP SCHEMA reembed CASCADE');
  await makeSegments(chain.db, { rows: 20, dimensions: 96 });
  await expand(ctx);
  await fill(ctx);
  const refused = await refusalOf(migrateWithAdapter(ctx, {}));
  expect(refused).toMatchObject({ code: 'vectors_there', message: expect.stringContaining('20 rows') });
  expect(await staleKeys(chain.db, 'embedding_64', 'segments', 'hash/64')).toEqual([]);
});
