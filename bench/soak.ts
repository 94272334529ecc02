// A long backfill: are memory and rate the same in its last tenth as in its first, and how soon does it go on after a stop in the middle?
//   DATABASE_URL=postgres://… npm run bench:soak -- [--rows 1000000]         hashed texts of 330 bytes
//   DATABASE_URL=postgres://… npm run bench:soak -- --model [--rows 100000]  really embedded: the sample corpus, over and over

import { parseArgs } from 'node:util';
import { InterruptedError } from '../src/errors.ts';
import { tallyRows } from '../src/inspect/row-counts.ts';
import type { ProgressEvent } from '../src/progress.ts';
import { createProvider } from '../src/providers/create-provider.ts';
import type { EmbeddingProvider } from '../src/providers/types.ts';
import { resolveMigration } from '../src/state/resolve.ts';
import { benchMigration, openMigrationBed, readCorpus, repeatCorpus, runFill } from './migration-bed.ts';

const MODEL = { provider: 'local', model: 'sentence-transformers/all-MiniLM-L6-v2', dimensions: 384 } as const;
const HASH = { provider: 'hash', model: 'hash/384', dimensions: 384 } as const;
const HASH_TEXT_BYTES = 330;
const TENTHS = 10;

const { values } = parseArgs({
  options: { rows: { type: 'string' }, model: { type: 'boolean', default: false } },
});
const reference = values.model ? MODEL : HASH;
const rows = Number(values.rows ?? (values.model ? 100_000 : 1_000_000));

/** What was seen while a tenth of the rows was written: the largest memory, in bytes, the rows whose time was taken, and that time. */
interface Tenth {
  rows: number;
  milliseconds: number;
  rss: number;
  heap: number;
  buffers: number;
}

const tenths = Array.from({ length: TENTHS }, (): Tenth => ({ rows: 0, milliseconds: 0, rss: 0, heap: 0, buffers: 0 }));
const bed = await openMigrationBed();
try {
  await soak();
} finally {
  await bed.close();
}
process.exit(0);

async function soak(): Promise<void> {
  const definition = benchMigration(reference.model, reference.dimensions);
  const texts = repeatCorpus(await readCorpus(), rows, values.model ? undefined : HASH_TEXT_BYTES);
  const { target, record } = await bed.prepare(definition, texts);
  const provider = await createProvider(reference);
  const stopped = await runPart(definition, provider, rows / 2);
  console.log(`Stopped after ${stopped.done.toLocaleString('en-US')} of ${rows.toLocaleString('en-US')} rows.`);
  const resumed = await runPart(definition, provider, undefined);
  console.log(`Resumed: first batch read after ${ms(resumed.firstRead)}, written after ${ms(resumed.firstWritten)}.`);
  console.log(`From the last batch to the proof that none is left: ${ms(resumed.proof)}.`);
  const { modelId } = (await resolveMigration(bed.context(definition))).record;
  const started = performance.now();
  const tally = await tallyRows(bed.db, target, modelId, record.id);
  console.log(`Tally of the whole table: ${ms(performance.now() - started)}.\n`);
  console.log(tenthsTable());
  await provider.close();
  if (tally.done !== rows) throw new Error(`${tally.done} of ${rows} rows have a vector`);
}

interface Part {
  readonly done: number;
  /** Milliseconds from the start of the step. */
  readonly firstRead: number;
  readonly firstWritten: number;
  /** Milliseconds from the last batch to the end. */
  readonly proof: number;
}

/** Runs until so many rows are done, or to the end. */
async function runPart(
  definition: ReturnType<typeof benchMigration>,
  provider: EmbeddingProvider,
  until: number | undefined,
): Promise<Part> {
  const stop = new AbortController();
  const started = performance.now();
  const seen = { done: 0, firstRead: Number.NaN, firstWritten: Number.NaN, last: started };
  const watched: EmbeddingProvider = {
    ...provider,
    embed(texts, options) {
      if (Number.isNaN(seen.firstRead)) seen.firstRead = performance.now() - started;
      return provider.embed(texts, options);
    },
  };
  const onProgress = (event: ProgressEvent): void => {
    if (event.kind !== 'rows') return;
    const now = performance.now();
    if (Number.isNaN(seen.firstWritten)) seen.firstWritten = now - started;
    // What passes before the first batch is the start's, not the rate's.
    else note(event.done, event.done - seen.done, now - seen.last);
    seen.last = now;
    seen.done = event.done;
    if (until !== undefined && event.done >= until) stop.abort();
  };
  await runFill(bed.context(definition, { onProgress, signal: stop.signal }), watched).catch((error: unknown) => {
    if (!(error instanceof InterruptedError)) throw error;
  });
  return { ...seen, proof: performance.now() - seen.last };
}

function note(done: number, written: number, milliseconds: number): void {
  const tenth = tenths[Math.min(TENTHS - 1, Math.floor(((done - 1) / rows) * TENTHS))];
  if (tenth === undefined) return;
  const { rss, heapUsed, arrayBuffers } = process.memoryUsage();
  tenth.rows += written;
  tenth.milliseconds += milliseconds;
  tenth.rss = Math.max(tenth.rss, rss);
  tenth.heap = Math.max(tenth.heap, heapUsed);
  tenth.buffers = Math.max(tenth.buffers, arrayBuffers);
}

function tenthsTable(): string {
  const rate = (tenth: Tenth): number => tenth.rows / (tenth.milliseconds / 1000);
  const mib = (bytes: number): string => (bytes / 2 ** 20).toFixed(0);
  const lines = tenths.map(
    (tenth, i) =>
      `| ${i + 1} | ${Math.round(rate(tenth)).toLocaleString('en-US')} | ${mib(tenth.rss)} | ${mib(tenth.heap)} | ${mib(tenth.buffers)} |`,
  );
  const [first, last] = [tenths[0], tenths.at(-1)];
  const summary =
    first === undefined || last === undefined
      ? ''
      : `\nLast tenth against the first: rate ${(rate(last) / rate(first)).toFixed(2)}, RSS ${(last.rss / first.rss).toFixed(2)}.`;
  const title = `${reference.model}, ${rows.toLocaleString('en-US')} rows`;
  return [
    `## ${title}\n`,
    '| tenth | rows/s | RSS, MiB | heap, MiB | buffers, MiB |',
    '|---|---|---|---|---|',
    ...lines,
    summary,
  ].join('\n');
}

function ms(milliseconds: number): string {
  return `${Math.round(milliseconds).toLocaleString('en-US')} ms`;
}
