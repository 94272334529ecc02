import { mkdtemp, readFile, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { openRegistry } from '../../src/adapters/registry.ts';
import { compareSpaces } from '../../src/adapters/same-space.ts';
import { type Passage, readPassages } from '../../src/cli/demo/demo-files.ts';
import { loadRuntimeSettings } from '../../src/config/runtime.ts';
import type { ProgressEvent } from '../../src/progress.ts';
import { createProvider } from '../../src/providers/create-provider.ts';
import { trainReport } from '../../src/reports/train-report.ts';
import { readSearchSide } from '../../src/search/search-side.ts';
import { textArrayLiteral } from '../../src/sql/array-literal.ts';
import { registerModel } from '../../src/state/models.ts';
import { sampleRows } from '../../src/steps/adapter/sample-rows.ts';
import { readOldSpace } from '../../src/steps/adapter/source-space.ts';
import type { TrainAdapterOptions, TrainedAdapter } from '../../src/steps/adapter/types.ts';
import { composeOnTable } from '../../src/steps/compose-adapters.ts';
import { expand } from '../../src/steps/expand.ts';
import { fill } from '../../src/steps/fill.ts';
import { trainAdapter } from '../../src/steps/train-adapter.ts';
import { trainAdapterFromTexts } from '../../src/steps/train-adapter-from-texts.ts';
import { type Chain, openChain } from '../helpers/chain.ts';
import { refusalOf } from '../helpers/refusal.ts';
import { affine, newEntry } from '../unit/adapters/sample-projection.ts';

const NOTES = 600;
const PASSAGES = 180;
const LEGACY = { provider: 'file', model: 'examples/postgres-docs/vectors.json', dimensions: 1536 } as const;
const MINILM = { provider: 'local', model: 'sentence-transformers/all-MiniLM-L6-v2', dimensions: 384 } as const;
const HASHED = { provider: 'hash', model: 'hash/32', dimensions: 32 } as const;
const PASSAGES_FILE = 'examples/postgres-docs/passages.jsonl';
/** What the real passages are learned from. */
const REAL = { kind: 'ridge', samples: 130, holdout: 50, queries: { knownItem: 'title' } } as const;
/** Cheap: one kind, small parts. */
const SMALL = { kind: 'ridge', samples: 120, holdout: 60 } as const;

let chain: Chain;
let directory: string;

beforeAll(async () => {
  chain = await openChain();
  directory = await mkdtemp(join(tmpdir(), 'reembed-train-'));
  await makePassages();
  await makeNotes();
});
afterAll(async () => {
  await chain.close();
  await rm(directory, { recursive: true });
});

/** Real passages with the vectors of an older model. */
async function makePassages(): Promise<void> {
  const passages: Passage[] = (await readPassages(PASSAGES_FILE)).slice(0, PASSAGES);
  const legacy = await createProvider(LEGACY);
  const { vectors } = await legacy.embed(
    passages.map(({ text }) => text),
    { kind: 'document' },
  );
  await legacy.close();
  await chain.db.query('CREATE TABLE passages (id int PRIMARY KEY, title text, text text, embedding vector(1536))');
  await chain.db.query(
    `INSERT INTO passages SELECT n, title, text, e::vector FROM ROWS FROM (unnest($1::text[]), unnest($2::text[]), unnest($3::text[]))
     WITH ORDINALITY u(title, text, e, n)`,
    [
      passages.map(({ title }) => title),
      passages.map(({ text }) => text),
      vectors.map((vector) => `[${vector.join(',')}]`),
    ].map(textArrayLiteral),
  );
}

/** Texts of 1 to 60 words, the long ones at the table's end; every tenth is a repetition, every seventh has no text, every fifth no vector. */
async function makeNotes(): Promise<void> {
  await chain.db.query(
    `CREATE TABLE "My Notes" (tenant int, "No" bigint, body text, old halfvec(8), PRIMARY KEY (tenant, "No"))`,
  );
  await chain.db.query(
    `INSERT INTO "My Notes" SELECT i % 3, i, CASE WHEN i % 7 = 0 THEN NULL WHEN i % 10 = 0 THEN 'the same' ELSE i || repeat(' word', i / 10) END,
       CASE WHEN i % 5 <> 4 THEN (SELECT array_agg(i + j)::vector(8)::halfvec(8) FROM generate_series(1, 8) j) END FROM generate_series(1, $1::int) i`,
    [NOTES],
  );
}

const messageOf = (event: ProgressEvent) => ('message' in event ? event.message : '');
const runtime = () => {
  const settings = loadRuntimeSettings({ REEMBED_GATE: 'off', EMBEDDING_THREADS: '1' });
  return {
    ...settings,
    cacheDir: join(directory, 'cache'),
    adapters: { ...settings.adapters, dir: join(directory, 'projections') },
  };
};
const passages = (model: { provider: 'local' | 'hash'; model: string; dimensions: number } = MINILM) =>
  chain.context(
    { ...model, id: `to-${model.dimensions}`, table: 'passages', from: LEGACY, index: { kind: 'none' } },
    runtime(),
  );
const train = (options: TrainAdapterOptions, ctx = passages()): Promise<TrainedAdapter> => trainAdapter(ctx, options);

describe('the sample', () => {
  const notes = () =>
    chain.context({
      ...{ id: 'notes', table: { schema: undefined, name: 'My Notes' }, text: 'body', column: 'old' },
      ...{ model: 'hash/16', dimensions: 16 },
    });
  const draw = async (seed: number, wanted = 60) =>
    (await sampleRows(notes(), { wanted, seed, keys: [], item: undefined, fresh: undefined })).rows;

  it('is drawn evenly over the table and over the lengths of texts, by the seed', async () => {
    const rows = await draw(1);
    expect(rows).toHaveLength(60);
    const numbers = rows.map(({ text }) => Number.parseInt(text, 10)).filter((number) => !Number.isNaN(number));
    // Ten rows for each sixth of the table, which are sixths of the lengths as well; at random they would be 4 to 16.
    for (let sixth = 0; sixth < 6; sixth++) {
      const within = numbers.filter((number) => Math.floor(((number - 1) * 6) / NOTES) === sixth);
      expect(Math.abs(within.length - 10), `rows of sixth ${sixth}`).toBeLessThanOrEqual(3);
    }
    expect((await draw(1)).map(({ id }) => id)).toEqual(rows.map(({ id }) => id));
    expect((await draw(2)).map(({ id }) => id)).not.toEqual(rows.map(({ id }) => id));
  });

  it('has rows with a text and a vector only, and each text once', async () => {
    const rows = await draw(1, NOTES);
    const { rows: counted } = await chain.db.query<{ n: number }>(
      `SELECT count(DISTINCT body)::int AS n FROM "My Notes" WHERE body IS NOT NULL AND old IS NOT NULL`,
    );
    expect(rows).toHaveLength(counted[0]?.n ?? 0);
    expect(rows.filter(({ text }) => text === 'the same')).toHaveLength(1);
    for (const { id, text, old } of rows) {
      const [, number] = JSON.parse(id) as [string, string];
      if (text !== 'the same') expect(text.startsWith(number)).toBe(true);
      expect([...old]).toEqual(Array.from({ length: 8 }, (_, j) => Number(number) + j + 1));
    }
  });
});

describe('a training on real passages', () => {
  it('learns a map that finds most of what real vectors find, before 005', async ({ skip }) => {
    skip(!chain.db.embedded, 'what is learned does not depend on the server');
    const trained = await train(REAL);
    const { entry, warnings } = trained;
    const { metrics } = entry;
    expect(metrics?.queries.source).toBe('known items of title');
    expect(metrics?.recallAt10.real).toBeGreaterThan(0.85);
    expect(metrics?.recallAt10.retention).toBeGreaterThan(0.8);
    expect(metrics?.recallAt10.old).toBeGreaterThan(0.5);
    expect(metrics?.cosine.mean).toBeGreaterThan(0.7);
    expect(warnings.some((warning) => warning.includes('Similarity preservation'))).toBe(
      (metrics?.similarityPreservation ?? 0) < 0.8,
    );
    expect(entry).toMatchObject({
      direction: 'document',
      samples: { training: 130, validation: 0, holdout: 50 },
      source: { dimensions: 1536, fingerprint: { provider: 'file', name: LEGACY.model }, reference: LEGACY },
      target: { dimensions: 384, fingerprint: { provider: 'local', dtype: 'int8' }, reference: MINILM },
    });
    expect(entry.range.minNorm).toBeCloseTo(1, 2);
    const { projection } = await openRegistry(trained.dir).load(entry.id);
    expect(projection.layers[0]).toMatchObject({ input: 1536, output: 384, normalize: true });
    expect(trainReport(trained)).toContain(`reembed backfill --adapter ${entry.id}`);
  });
});

describe('a training on other terms', () => {
  it('compares the kinds and takes what finds most', async () => {
    const { entry, tried, chosenOn } = await train(
      { samples: 120, holdout: 60, queries: { knownItem: 'title' } },
      passages(HASHED),
    );
    expect(chosenOn).toBe(24);
    expect(tried.length).toBeGreaterThan(1);
    const best = Math.max(...tried.map(({ metrics }) => metrics.recallAt10.adapted));
    expect(tried.find(({ kind }) => kind === entry.kind)?.metrics.recallAt10.adapted).toBe(best);
    expect(entry.metrics?.recallAt10.old).toBeGreaterThan(0.5);
  });

  it('takes new vectors that the table has already, and holds out what queries ask for', async () => {
    const ctx = passages(HASHED);
    await expand(passages(HASHED));
    await fill(passages(HASHED));
    const file = join(directory, 'asked.jsonl');
    const asked = Array.from({ length: 40 }, (_, i) => ({ query: `passage ${i} of tables`, relevant: [i + 1] }));
    await writeFile(file, asked.map((line) => JSON.stringify(line)).join('\n'));
    const { entry, dir } = await train({ ...SMALL, queries: { file } }, ctx);
    expect(entry.metrics?.queries).toEqual({ source: file, count: asked.length });
    expect(ctx.events.map(messageOf).filter((message) => message.startsWith('Embedding'))).toEqual([
      'Embedding 40 queries with hash/32',
      expect.stringContaining('Embedding 40 queries with examples'),
    ]);
    // The same rows, the same cut, the same map: the same retention, which one that asks for more refuses.
    const { retention, low, high } = entry.metrics?.recallAt10 ?? {};
    const before = await openRegistry(dir).list();
    const more = train({ ...SMALL, queries: { file }, minRetention: (retention ?? 0) + 0.001 }, ctx);
    await expect(more).rejects.toMatchObject({ code: 'retention_too_low', context: { retention, low, high } });
    expect(await openRegistry(dir).list()).toEqual(before);
    // The migration has begun on its table: it does not learn there what is asked of another one.
    const elsewhere = { ...ctx, definition: { ...ctx.definition, table: { schema: undefined, name: 'notes' } } };
    expect((await refusalOf(train(SMALL, elsewhere))).code).toBe('definition_changed');
  });

  it('measures a chain on rows of the table, and none that begins or ends elsewhere', async () => {
    const registry = openRegistry(join(directory, 'chains'));
    const [old, middle, fresh] = await Promise.all(
      [LEGACY, { provider: 'hash', model: 'hash/24', dimensions: 24 } as const, HASHED].map(async (reference) => {
        const provider = await createProvider(reference);
        await provider.close();
        return { fingerprint: { ...provider.model }, reference, dimensions: reference.dimensions };
      }),
    );
    if (old === undefined || middle === undefined || fresh === undefined) throw new Error('three spaces were expected');
    const add = async (source: typeof old, target: typeof old): Promise<string> => {
      const layers = [affine(source.dimensions, target.dimensions, { normalize: true })];
      return (await registry.add(newEntry({ source, target }), { layers })).id;
    };
    const [first, second, back] = [await add(old, middle), await add(middle, fresh), await add(middle, old)];
    const options = { dir: registry.dir, first, holdout: 60, queries: { knownItem: 'title' } };
    const { entry, where } = await composeOnTable(passages(HASHED), { ...options, second });
    expect(where).toBe('public.passages');
    expect(entry).toMatchObject({ kind: 'chain', composedOf: [first, second], samples: { holdout: 60 } });
    expect(entry.metrics).toMatchObject({ holdout: 60, queries: { source: 'known items of title' } });
    // Two maps of random values find next to nothing, whatever their own entries say they keep.
    expect(entry.metrics?.recallAt10.retention).toBeLessThan(0.6);
    expect(await refusalOf(composeOnTable(passages(HASHED), { ...options, second: back }))).toMatchObject({
      code: 'projection_misfit',
      message: 'The chain ends in another space than that of public.passages: 1536 dimensions against 32.',
    });
  });

  it('goes by what the old column says of its models, and refuses several', async () => {
    const ctx = passages(HASHED);
    const older = { provider: 'hash', name: 'hash/1536', configuredAs: 'hash/1536', dimensions: 1536 };
    const ids = [
      await registerModel(chain.db, ctx.runtime.stateSchema, older),
      await registerModel(chain.db, ctx.runtime.stateSchema, { ...older, revision: 'b' }),
    ];
    await chain.db.query('ALTER TABLE passages DISABLE TRIGGER USER');
    await chain.db.query(
      'ALTER TABLE passages ADD embedding_model int, ADD embedding_hash bytea, ADD embedding_at timestamptz',
    );
    await chain.db.query('UPDATE passages SET embedding_model = $1', [ids[0]]);
    const { entry } = await train(SMALL, ctx);
    expect(entry.source).toMatchObject({ fingerprint: older, reference: { provider: 'hash', model: 'hash/1536' } });
    // Not the model that the configuration names: its queries would be asked in another model's column.
    const asked = ctx.events.map(messageOf).filter((message) => message.startsWith('Embedding 60 queries'));
    expect(asked).toEqual(['Embedding 60 queries with hash/32', 'Embedding 60 queries with hash/1536']);
    const unsaid = await readOldSpace(ctx, await readSearchSide(ctx, 'old'), [], undefined);
    expect(compareSpaces(unsaid, unsaid), 'a name of a column is none of a model').toEqual({ fit: 'unsure' });
    await chain.db.query('UPDATE passages SET embedding_model = $1 WHERE id % 4 = 0', [ids[1]]);
    const { code, message } = await refusalOf(train(SMALL, ctx));
    expect([code, message]).toEqual(['mixed_models', expect.stringContaining('holds vectors of 2 models')]);
  });

  it('learns to map queries to the old space, from a file of texts without a database', async () => {
    const file = join(directory, 'texts.jsonl');
    await writeFile(file, (await readFile(PASSAGES_FILE, 'utf8')).split('\n').slice(0, 200).join('\n'));
    const { entry } = await trainAdapterFromTexts({
      ...SMALL,
      direction: 'query',
      textFile: file,
      source: { provider: 'hash', model: 'hash/48', dimensions: 48 },
      target: HASHED,
      runtime: runtime(),
    });
    expect(entry.metrics?.queries.source).toBe('titles of the texts');
    expect(entry.samples).toEqual({ training: 120, validation: 0, holdout: 60 });
    expect(entry).toMatchObject({ direction: 'query', source: { dimensions: 32 }, target: { dimensions: 48 } });
    expect(entry.metrics?.recallAt10.old).toBeGreaterThan(0);
  });
});

describe('what cannot be learned from', () => {
  it('is refused with what is there against what is expected', async () => {
    await chain.db.query('CREATE TABLE few AS SELECT id, title, text, embedding FROM passages WHERE id <= 40');
    const few = (table: string) => chain.context({ ...HASHED, id: 'few', table, from: LEGACY }, runtime());
    expect((await refusalOf(train(SMALL, few('few')))).code).toBe('no_key');
    await chain.db.query('ALTER TABLE few ADD PRIMARY KEY (id)');
    const { code, message } = await refusalOf(train(SMALL, few('few')));
    expect([code, message]).toEqual(['too_few_rows', expect.stringContaining('has 40 different texts')]);
    const wrong = await refusalOf(train({ ...SMALL, source: { ...LEGACY, dimensions: 768 } }, few('passages')));
    expect([wrong.code, wrong.message]).toEqual(['dimensions_differ', expect.stringContaining('1536')]);
    const item = await refusalOf(train({ ...SMALL, queries: { knownItem: 'nothing' } }, few('passages')));
    expect(item.code).toBe('known_item_unknown');
  });
});
