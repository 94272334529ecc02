// Recall against latency of vector indexes on real text: windows of 18 words of passages, found by the passages' titles. Keeps
// bench/results/tune.json, which bench/plot-tune.ts draws. The vectors are kept in a file, so that a second run does not embed again.
//   DATABASE_URL=postgres://… node --import=tsx bench/tune.ts <passages.jsonl> [vectors.f32]

import { createReadStream, existsSync, mkdirSync, readFileSync, writeFileSync } from 'node:fs';
import { createInterface } from 'node:readline';
import { defineMigration } from '../src/config/define-migration.ts';
import { loadRuntimeSettings } from '../src/config/runtime.ts';
import { readVectorExtension } from '../src/db/catalog.ts';
import { connectDatabase } from '../src/db/connect.ts';
import type { Database } from '../src/db/types.ts';
import { createProvider } from '../src/providers/create-provider.ts';
import { providerOptions } from '../src/providers/provider-options.ts';
import type { SearchSide } from '../src/search/search-side.ts';
import type { CurvePoint } from '../src/search/tuning/choose-setting.ts';
import { exactAnswers, measureSettings } from '../src/search/tuning/measure-curve.ts';
import { sampleStoredVectors, type TuningQuery } from '../src/search/tuning/tuning-queries.ts';
import { type IndexCandidate, indexCandidates } from '../src/sql/index-candidates.ts';
import { candidatesOf } from '../src/sql/quantization.ts';
import type { MigrationContext } from '../src/state/context.ts';
import { searchedBy } from '../src/steps/tune-build.ts';
import { withCandidate } from '../src/swap/try-index.ts';
import { encodeVectorArray } from '../src/vector/binary.ts';
import { cutWindows } from './cut-windows.ts';
import { openBenchDatabase } from './measure.ts';

const MODEL = 'sentence-transformers/all-MiniLM-L6-v2';
const DIMENSIONS = 384;
const MOST_WINDOWS = 30_000;
const TITLES = 150;
/** Before anything is measured, so that the index is in memory. */
const WARM_UP = 20;
/** Candidates that are also searched by stored vectors. */
const ROWS_TOO: ReadonlySet<string> = new Set(['reference rule', 'm 16, ef_construction 64']);
const K = 10;
const TABLE = 'reembed_bench_tune';
const GRIDS = {
  ivfflat: [1, 2, 4, 8, 12, 16, 24, 32, 48, 64, 96],
  hnsw: [11, 20, 40, 80, 120, 200, 320, 480, 640, 1000],
} as const;

export interface MeasuredIndex {
  readonly name: string;
  readonly kind: 'ivfflat' | 'hnsw';
  readonly quantization: string;
  readonly options: Readonly<Record<string, string>>;
  readonly seconds: number;
  readonly bytes: number;
  /** By titles, which somebody might ask. */
  readonly titles: readonly CurvePoint[];
  /** By stored vectors of random rows, each without itself. */
  readonly rows: readonly CurvePoint[];
}

const [passages, kept = '/tmp/reembed-tune.f32'] = process.argv.slice(2);
if (passages === undefined) throw new Error('usage: bench/tune.ts <passages.jsonl> [vectors.f32]');
const settings = loadRuntimeSettings();

async function embed(texts: readonly string[], kind: 'document' | 'query'): Promise<readonly Float32Array[]> {
  const reference = { provider: 'local', model: MODEL, dimensions: DIMENSIONS } as const;
  const provider = await createProvider(reference, providerOptions(settings));
  try {
    return (await provider.embed(texts, { kind })).vectors;
  } finally {
    await provider.close();
  }
}

async function windowVectors(texts: readonly string[]): Promise<Float32Array[]> {
  if (!existsSync(kept)) {
    const vectors = await embed(texts, 'document');
    writeFileSync(kept, Buffer.concat(vectors.map((vector) => Buffer.from(Float32Array.from(vector).buffer))));
  }
  const bytes = new Uint8Array(readFileSync(kept));
  const all = new Float32Array(bytes.buffer);
  if (all.length !== texts.length * DIMENSIONS) throw new Error(`${kept} holds other windows: delete it`);
  return texts.map((_, i) => all.subarray(i * DIMENSIONS, (i + 1) * DIMENSIONS));
}

async function readTitles(path: string): Promise<string[]> {
  const titles = new Set<string>();
  for await (const line of createInterface({ input: createReadStream(path) })) {
    titles.add((JSON.parse(line) as { readonly title: string }).title);
    if (titles.size === TITLES) break;
  }
  return [...titles];
}

async function makeTable(db: Database, texts: readonly string[], vectors: readonly Float32Array[], oid: number) {
  await db.query(`DROP TABLE IF EXISTS ${TABLE}`);
  await db.query(`CREATE TABLE ${TABLE} (id bigint PRIMARY KEY, text text, embedding vector(${DIMENSIONS}))`);
  await db.query(`ALTER TABLE ${TABLE} ALTER COLUMN embedding SET STORAGE MAIN`);
  for (let at = 0; at < texts.length; at += 1_000) {
    await db.query(
      `INSERT INTO ${TABLE} SELECT $3::bigint + n, t, e FROM unnest(ARRAY(SELECT pg_catalog.jsonb_array_elements_text($1::jsonb)), $2::vector[]) WITH ORDINALITY u(t, e, n)`,
      [JSON.stringify(texts.slice(at, at + 1_000)), encodeVectorArray(vectors.slice(at, at + 1_000), oid), at],
    );
  }
  await db.query(`VACUUM ANALYZE ${TABLE}`);
}

const { db, close } = await openBenchDatabase(settings, connectDatabase);
await db.query('CREATE EXTENSION IF NOT EXISTS vector');
const extension = await readVectorExtension(db);
const texts = await cutWindows(passages, MOST_WINDOWS);
await makeTable(db, texts, await windowVectors(texts), extension.vectorOid);

const definition = defineMigration({
  id: 'bench',
  table: TABLE,
  text: 'text',
  column: 'embedding',
  model: MODEL,
  dimensions: DIMENSIONS,
  target: 'unused',
});
const ctx: MigrationContext = { db, definition, runtime: settings, signal: undefined, onProgress: () => undefined };
const side: SearchSide = {
  side: 'old',
  active: 'old',
  model: undefined,
  distance: 'cosine',
  index: undefined,
  target: {
    schema: 'public',
    table: TABLE,
    key: [{ name: 'id', type: 'bigint' }],
    text: 'text',
    column: 'embedding',
    provenance: undefined,
    vectorType: 'vector',
    dimensions: DIMENSIONS,
    vectorSchema: extension.schema,
    stateSchema: 'reembed',
  },
};

const titles = (await embed(await readTitles(passages), 'query')).map(
  (vector): TuningQuery => ({ vector, own: undefined }),
);
const stored = await sampleStoredVectors(db, side.target, TITLES, 1);
const jobs = { titles: { side, queries: titles, k: K, target: 1 }, rows: { side, queries: stored, k: K, target: 1 } };
const answers = { titles: await exactAnswers(ctx, jobs.titles), rows: await exactAnswers(ctx, jobs.rows) };

async function measure(candidate: IndexCandidate): Promise<MeasuredIndex> {
  return withCandidate(ctx, side.target, { candidate, rows: texts.length, distance: 'cosine' }, async (built) => {
    const { kind, quantization, name } = candidate;
    const searched = searchedBy(side, candidate, built);
    const most = searched.index.lists ?? 1000;
    // Signs alone order too badly for less.
    const least = candidatesOf({ ...searched.index, efSearch: 0 }, K) ?? 0;
    const grid = GRIDS[candidate.kind].filter((setting) => setting <= most && (kind === 'ivfflat' || setting >= least));
    const curve = (of: 'titles' | 'rows', queries = jobs[of].queries) =>
      measureSettings(ctx, { ...jobs[of], queries, side: searched }, answers[of], grid, true);
    const { seconds, bytes } = built;
    await curve('titles', titles.slice(0, WARM_UP));
    const options = built.definition.options;
    return {
      name,
      kind,
      quantization,
      options,
      seconds,
      bytes,
      titles: await curve('titles'),
      // Once a kind is enough to see how much easier they are found.
      rows: ROWS_TOO.has(name) ? await curve('rows') : [],
    };
  });
}

const exactMs: number[] = [];
const measured: MeasuredIndex[] = [];
for (const candidate of indexCandidates('vector')) {
  measured.push(await measure(candidate));
  const last = measured.at(-1);
  console.log(candidate.kind, candidate.name, JSON.stringify(last?.options), last?.seconds.toFixed(1), last?.bytes);
  for (const [i, { setting, recall, p50Ms, p95Ms }] of (last?.titles ?? []).entries()) {
    const row = last?.rows[i];
    console.log(
      `  ${setting}\t${recall.mean.toFixed(3)} (${recall.low.toFixed(3)})\t${p50Ms.toFixed(2)}\t${p95Ms.toFixed(2)}\trows ${row?.recall.mean.toFixed(3)}`,
    );
  }
}
for (const { vector } of titles.slice(0, 50)) {
  const started = performance.now();
  await db.query(`SELECT id FROM ${TABLE} ORDER BY embedding <=> $1::text::vector LIMIT ${K}`, [
    `[${vector.join(',')}]`,
  ]);
  exactMs.push(performance.now() - started);
}
mkdirSync('bench/results', { recursive: true });
const exact = exactMs.sort((a, b) => a - b)[Math.floor(exactMs.length / 2)];
writeFileSync(
  'bench/results/tune.json',
  `${JSON.stringify({ rows: texts.length, k: K, exactMs: exact, measured }, null, 1)}\n`,
);
await db.query(`DROP TABLE ${TABLE}`);
await close();
