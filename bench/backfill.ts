// A whole backfill against its parts, by turns in one run: with a real model against inference alone, with the hash provider against the
// guarded write alone. Rates are of the whole table, from the first look for pending rows to the proof that none is left.
//   DATABASE_URL=postgres://… npm run bench:backfill -- [--texts 2000] [--rows 100000] [--rounds 5]
// With --only throttle: what looking at the database's health costs a backfill that nothing slows down.

import { availableParallelism } from 'node:os';
import { parseArgs } from 'node:util';
import { textHash } from '../src/backfill/text-hash.ts';
import { type EmbeddedRow, writeBatch } from '../src/backfill/write-batch.ts';
import { watchLoop } from '../src/bench/loop-delay.ts';
import { percentile } from '../src/bench/statistics.ts';
import { loadRuntimeSettings } from '../src/config/runtime.ts';
import { createProvider } from '../src/providers/create-provider.ts';
import { hashProvider } from '../src/providers/hash.ts';
import type { EmbeddingProvider } from '../src/providers/types.ts';
import { registerModel } from '../src/state/models.ts';
import { withLease } from '../src/steps/with-lease.ts';
import { interleave, type Measured, markdownTable } from './measure.ts';
import {
  benchMigration,
  type MigrationBed,
  openMigrationBed,
  readCorpus,
  repeatCorpus,
  runFill,
} from './migration-bed.ts';
import { savePanel } from './panel.ts';
import { readVersions } from './write-paths.ts';

const MODEL = { provider: 'local', model: 'sentence-transformers/all-MiniLM-L6-v2', dimensions: 384 } as const;
const HASH = 'hash/384';
/** The median passage of a documentation, as in bench/write. */
const HASH_TEXT_BYTES = 330;

const { values } = parseArgs({
  options: {
    texts: { type: 'string', default: '2000' },
    rows: { type: 'string', default: '100000' },
    rounds: { type: 'string', default: '5' },
    only: { type: 'string' },
    /** Keep the rates for bench/plot.ts. */
    save: { type: 'boolean', default: false },
  },
});
const rounds = Number(values.rounds);
const corpus = await readCorpus();
const bed = await openMigrationBed();
try {
  if (values.only === 'throttle') await measureThrottle(Number(values.rows));
  if (values.only === undefined || values.only === 'model') await measureModel(Number(values.texts));
  if (values.only === undefined || values.only === 'hash') await measureHash(Number(values.rows));
} finally {
  await bed.close();
}
process.exit(0);

/** Rows a second of `work`, which handles `rows` rows. */
async function rateOf(rows: number, work: () => Promise<unknown>): Promise<number> {
  const started = performance.now();
  await work();
  return rows / ((performance.now() - started) / 1000);
}

async function measureModel(count: number): Promise<void> {
  const provider = await createProvider(MODEL);
  const texts = [...repeatCorpus(corpus, count)];
  await provider.embed(texts.slice(0, 200), { kind: 'document' });
  const delays: number[] = [];
  const results = await interleave(rounds, [
    { name: 'inference alone', run: () => rateOf(count, () => provider.embed(texts, { kind: 'document' })) },
    {
      name: 'backfill',
      run: async () => {
        const definition = benchMigration(MODEL.model, MODEL.dimensions);
        await bed.prepare(definition, texts);
        return watchLoop(delays, () => rateOf(count, () => runFill(bed.context(definition), provider)));
      },
    },
  ]);
  const bytes = texts.reduce((sum, text) => sum + Buffer.byteLength(text), 0) / count;
  console.log(
    `## ${MODEL.model} (${provider.model.dtype}): ${count} texts of ${bytes.toFixed(0)} bytes in the mean, ${availableParallelism()} cores, ${rounds} rounds\n`,
  );
  console.log(markdownTable('texts/s', 'inference alone', results));
  save(
    'backfill-model',
    `Backfill, all-MiniLM-L6-v2 (int8): ${count.toLocaleString('en-US')} passages`,
    'texts/s',
    results,
  );
  console.log(`\nDelay of the event loop during the backfill: ${delayText(delays)}\n`);
  await provider.close();
}

/** Of ticks every 10 ms, those that were missed while the loop was blocked counted in. */
function delayText(delays: readonly number[]): string {
  const [p50, p99, longest] = [0.5, 0.99, 1].map((share) => percentile(delays, share).toFixed(1));
  return `p50 ${p50} ms, p99 ${p99} ms, longest ${longest} ms.`;
}

async function measureHash(count: number): Promise<void> {
  const provider = hashProvider(HASH);
  const definition = benchMigration(HASH, provider.model.dimensions);
  const texts = [...repeatCorpus(corpus, count, HASH_TEXT_BYTES)];
  const rows = await embedAll(provider, texts);
  const results = await interleave(rounds, [
    { name: 'guarded write alone', run: () => writeAlone(bed, definition, texts, rows) },
    { name: 'hash provider alone', run: () => rateOf(count, () => provider.embed(texts, { kind: 'document' })) },
    {
      name: 'backfill',
      run: async () => {
        await bed.prepare(definition, texts);
        return rateOf(count, () => runFill(bed.context(definition), provider));
      },
    },
  ]);
  console.log(
    `## ${HASH}: ${count} texts of ${HASH_TEXT_BYTES} bytes, ${availableParallelism()} cores, ${rounds} rounds\n`,
  );
  console.log(markdownTable('rows/s', 'guarded write alone', results));
  save(
    'backfill-hash',
    `Backfill, hash provider: ${count.toLocaleString('en-US')} texts of ${HASH_TEXT_BYTES} bytes`,
    'rows/s',
    results,
  );
}

async function measureThrottle(count: number): Promise<void> {
  const provider = hashProvider(HASH);
  const definition = benchMigration(HASH, provider.model.dimensions);
  const texts = [...repeatCorpus(corpus, count, HASH_TEXT_BYTES)];
  // Far limits: what is measured is the watching, not what it leads to on this machine.
  const far = { REEMBED_THROTTLE_WAL: 'off', REEMBED_THROTTLE_LATENCY: '1000', REEMBED_THROTTLE_VACUUM: 'off' };
  const run = (throttle: string) => async (): Promise<number> => {
    await bed.prepare(definition, texts);
    const runtime = { throttle: loadRuntimeSettings({ ...far, REEMBED_THROTTLE: throttle }).throttle };
    return rateOf(count, () => runFill(bed.context(definition, { runtime }), provider));
  };
  const results = await interleave(rounds, [
    { name: 'not watched', run: run('off') },
    { name: 'watched', run: run('auto') },
  ]);
  console.log(`## Throttle, ${HASH}: ${count} texts, ${availableParallelism()} cores, ${rounds} rounds\n`);
  console.log(markdownTable('rows/s', 'not watched', results));
}

function save(name: string, title: string, unit: string, results: readonly Measured[]): void {
  if (!values.save) return;
  savePanel(name, {
    title,
    unit,
    results: results.map((each) => ({ ...each, rates: [...each.rates], ours: each.name === 'backfill' })),
  });
}

async function embedAll(provider: EmbeddingProvider, texts: readonly string[]): Promise<EmbeddedRow[]> {
  const { vectors } = await provider.embed(texts, { kind: 'document' });
  return vectors.map((vector, i) => ({ key: [String(i + 1)], hash: textHash(texts[i] ?? ''), vector }));
}

/** The batches of the backfill, one after the other, of vectors and versions that are there already; under a lease, as it writes. */
async function writeAlone(
  { prepare, context, db }: MigrationBed,
  definition: ReturnType<typeof benchMigration>,
  texts: readonly string[],
  rows: readonly EmbeddedRow[],
): Promise<number> {
  const { target, extension } = await prepare(definition, texts);
  const ctx = context(definition);
  const modelId = await registerModel(db, ctx.runtime.stateSchema, { name: HASH });
  const versioned = await readVersions(db, rows, target.table);
  return withLease(ctx, 'fill', async ({ lease }) => {
    const fence = { migrationId: definition.id, token: lease.token };
    const to = { target, modelId, vectorOid: extension.vectorOid, fence };
    return rateOf(rows.length, async () => {
      for (let i = 0; i < rows.length; i += ctx.runtime.batchRows)
        await writeBatch(db, to, versioned.slice(i, i + ctx.runtime.batchRows));
    });
  });
}
