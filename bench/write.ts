// How fast vectors reach the table: the same rows through each write path, interleaved, several rounds, medians.
//   DATABASE_URL=postgres://… node --import=tsx bench/write.ts [rows] [rounds]

import { monitorEventLoopDelay } from 'node:perf_hooks';
import { parseArgs } from 'node:util';
import type { EmbeddedRow } from '../src/backfill/write-batch.ts';
import { loadRuntimeSettings } from '../src/config/runtime.ts';
import { connectDatabase } from '../src/db/connect.ts';
import type { Database } from '../src/db/types.ts';
import { interleave, type Measured, markdownTable, median, openBenchDatabase } from './measure.ts';
import { savePanel } from './panel.ts';
import {
  BARE,
  BATCH_ROWS,
  DIMENSIONS,
  GUARDED,
  makeRows,
  openWritePaths,
  prepareTable,
  readVersions,
  STATE,
  TABLE,
  TEXT_BYTES,
  type WritePath,
} from './write-paths.ts';

/** Writes `path.share` of the rows to a fresh table; making it and reading the versions are not in the time. */
async function measure(
  db: Database,
  path: WritePath,
  all: readonly EmbeddedRow[],
  loopDelays: number[],
): Promise<number> {
  const count = Math.round(all.length * path.share);
  const prepared = await prepareTable(db, count, path.guarded);
  const rows = await readVersions(db, all.slice(0, count));
  const batches = Array.from({ length: Math.ceil(count / BATCH_ROWS) }, (_, i) =>
    rows.slice(i * BATCH_ROWS, (i + 1) * BATCH_ROWS),
  );
  const write = async (): Promise<void> => {
    for (let batch = batches.shift(); batch !== undefined; batch = batches.shift()) await path.write(prepared, batch);
  };
  // A monitor of its own each time: started again, one counts the pause since it was stopped as a delay.
  const delay = monitorEventLoopDelay({ resolution: 1 });
  delay.enable();
  const started = performance.now();
  await Promise.all(Array.from({ length: path.writers }, write));
  const seconds = (performance.now() - started) / 1000;
  delay.disable();
  if (path.name === GUARDED) loopDelays.push(delay.percentile(99) / 1e6);
  return count / seconds;
}

/** Guarded to bare, round by round: what slows a whole round down slows both. */
function ratioLine(results: readonly Measured[]): string {
  const ratesOf = (name: string): readonly number[] => results.find((result) => result.name === name)?.rates ?? [];
  const bare = ratesOf(BARE);
  const ratios = ratesOf(GUARDED).map((rate, round) => rate / (bare[round] ?? Number.NaN));
  const [middle, least, most] = [median(ratios), Math.min(...ratios), Math.max(...ratios)].map((x) => x.toFixed(2));
  return `Guarded to bare within a round: median ${middle}, min ${least}, max ${most}.`;
}

async function main(): Promise<void> {
  const { positionals, values } = parseArgs({ allowPositionals: true, options: { save: { type: 'boolean' } } });
  const rows = makeRows(Number(positionals[0] ?? 20_000));
  const rounds = Number(positionals[1] ?? 5);
  const runtime = loadRuntimeSettings();
  const opened = await openBenchDatabase(runtime, connectDatabase);
  const { db } = opened;
  const { paths, close } = await openWritePaths(db.embedded ? undefined : runtime.databaseUrl);
  await db.query('CREATE EXTENSION IF NOT EXISTS vector SCHEMA public');
  await db.query(`CREATE SCHEMA IF NOT EXISTS ${STATE}`);
  const loopDelays: number[] = [];
  try {
    const results = await interleave(
      rounds,
      paths.map((path) => ({
        name: path.name,
        run: () => measure(db, path, rows, loopDelays),
      })),
    );
    console.log(
      `${rows.length} rows with texts of ${TEXT_BYTES} bytes, ${DIMENSIONS} dimensions, ${BATCH_ROWS} rows a statement, ${rounds} rounds.\n`,
    );
    console.log(`${markdownTable('rows/s', BARE, results)}\n\n${ratioLine(results)}`);
    if (values.save === true) {
      savePanel(db.embedded ? 'write-embedded' : 'write', {
        title: `Write path, ${db.embedded ? 'embedded Postgres' : 'Postgres'}: ${rows.length.toLocaleString('en-US')} rows`,
        unit: 'rows/s',
        results: results.map((result) => ({
          ...result,
          rates: [...result.rates],
          ours: result.name.includes('guarded'),
        })),
      });
    }
    const [middle, most] = [median(loopDelays), Math.max(...loopDelays)].map((x) => x.toFixed(1));
    console.log(
      `A 1 ms timer while the guarded path wrote, ms between two ticks at p99: median ${middle}, max ${most}.`,
    );
  } finally {
    await db.query(`DROP TABLE IF EXISTS ${TABLE}`);
    await db.query(`DROP SCHEMA ${STATE} CASCADE`);
    await close();
    await opened.close();
  }
}

await main();
