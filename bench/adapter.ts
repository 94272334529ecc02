// How fast an adapter fills a column, beside what reading and writing alone take: interleaved, several rounds, medians.
//   DATABASE_URL=postgres://… npm run bench:adapter -- [--rows 100000] [--rounds 5] [--old-index]

import { parseArgs } from 'node:util';
import { openAdapter } from '../src/adapters/apply.ts';
import { openRegistry } from '../src/adapters/registry.ts';
import { readVectorWindow } from '../src/backfill/read-vectors.ts';
import { readLastKey } from '../src/backfill/read-windows.ts';
import { type EmbeddedRow, writeBatch } from '../src/backfill/write-batch.ts';
import type { MappedTarget } from '../src/sql/read-vectors.ts';
import { registerModel } from '../src/state/models.ts';
import { oldVectorTarget, resolveMigration } from '../src/state/resolve.ts';
import { fill } from '../src/steps/fill.ts';
import { type AdapterBed, coreSeconds, openAdapterBed, SOURCE, TARGET } from './adapter-bed.ts';
import { interleave, type Measured, median } from './measure.ts';

const WHOLE = 'read, map, check, write';

async function mappedTarget({
  ctx,
}: AdapterBed): Promise<{ readonly target: MappedTarget; readonly vectorOid: number }> {
  const { record, table, target, extension } = await resolveMigration(ctx);
  const old = oldVectorTarget(record, table, extension, ctx.runtime.stateSchema);
  if (old === undefined) throw new Error('no old column');
  const modelId = await registerModel(ctx.db, ctx.runtime.stateSchema, { name: 'bench' });
  const adapted = { modelId, as: 'kept', from: old } as const;
  return { target: { ...target, adapted, mappedFrom: old }, vectorOid: extension.vectorOid };
}

/** Every window, one behind the other; keeps the rows' keys and versions where asked. */
async function readAll(bed: AdapterBed, keep: (rows: readonly EmbeddedRow[]) => void): Promise<void> {
  const { target } = await mappedTarget(bed);
  const { batchRows: rows, batchBytes: bytes } = bed.ctx.runtime;
  const upTo = await readLastKey(bed.db, target);
  const limits = { rows, bytes };
  const options = { modelId: 0, migrationId: 'bench', skipQuarantined: false, upTo: upTo ?? [], limits };
  for (let after: readonly string[] | null = null, last = false; !last; ) {
    const window = await readVectorWindow(bed.db, target, { ...options, dimensions: SOURCE }, after);
    keep(window.rows.map(({ key, version }) => ({ key, version, vector: EMPTY })));
    after = window.rows.at(-1)?.key ?? null;
    last = window.isLast;
  }
}
const EMPTY = new Float32Array(0);

async function writeAll(bed: AdapterBed, windows: readonly (readonly EmbeddedRow[])[]): Promise<void> {
  const { target, vectorOid } = await mappedTarget(bed);
  const left = [...windows];
  const work = async (): Promise<void> => {
    for (let batch = left.shift(); batch !== undefined; batch = left.shift()) {
      const written = await writeBatch(bed.db, { target, modelId: 0, vectorOid, fence: undefined }, batch);
      if (written !== batch.length) throw new Error(`${written} of ${batch.length} rows were written`);
    }
  };
  await Promise.all(Array.from({ length: bed.ctx.runtime.writers }, work));
}

async function mapAll(bed: AdapterBed, rows: number): Promise<void> {
  const adapter = openAdapter(await openRegistry(bed.dir).load(bed.entry.id));
  const windows = Math.ceil(rows / bed.ctx.runtime.batchRows);
  const values = Float32Array.from({ length: SOURCE * bed.ctx.runtime.batchRows }, (_, i) => Math.sin(i) / 28);
  const one = () => adapter.applyAll({ rows: bed.ctx.runtime.batchRows, columns: SOURCE, data: values.slice() });
  for (let i = 0; i < windows; i += 2) await Promise.all([one(), one()]);
  await adapter.close();
}

async function main(): Promise<void> {
  const { values } = parseArgs({
    options: {
      rows: { type: 'string', default: '100000' },
      rounds: { type: 'string', default: '5' },
      'old-index': { type: 'boolean', default: false },
    },
  });
  const rows = Number(values.rows);
  const bed = await openAdapterBed(rows, { oldIndex: values['old-index'] });
  const cores = new Map<string, number[]>();
  const timed = async (name: string, work: () => Promise<void>): Promise<number> => {
    const before = await coreSeconds(bed.db);
    const started = performance.now();
    await work();
    const seconds = (performance.now() - started) / 1000;
    const spent = ((await coreSeconds(bed.db)) - before) / rows;
    cores.set(name, [...(cores.get(name) ?? []), spent * 1e6]);
    return rows / seconds;
  };
  const path = (name: string, work: () => Promise<void>) => ({ name, run: () => timed(name, work) });
  try {
    // What is updated for the first time grows the table; every later round finds the room that the one before it left.
    await fill(bed.ctx);
    const results = await interleave(Number(values.rounds), [
      path('read alone', () => readAll(bed, () => undefined)),
      path('map alone, one thread', () => mapAll(bed, rows)),
      { name: 'write alone', run: () => measureWrite(bed, timed) },
      {
        name: WHOLE,
        run: async () => {
          await bed.reset();
          return timed(WHOLE, async () => void (await fill(bed.ctx)));
        },
      },
    ]);
    console.log(
      `${rows} rows, ${SOURCE} → ${TARGET} dimensions, ${bed.ctx.runtime.batchRows} rows a window, ${values.rounds} rounds${values['old-index'] ? ', old IVFFlat index kept' : ''}.\n`,
    );
    console.log(table(results, cores));
  } finally {
    await bed.close();
  }
}

async function measureWrite(
  bed: AdapterBed,
  timed: (name: string, work: () => Promise<void>) => Promise<number>,
): Promise<number> {
  await bed.reset();
  const windows: EmbeddedRow[][] = [];
  const vector = Float32Array.from({ length: TARGET }, () => 1 / Math.sqrt(TARGET));
  await readAll(bed, (read) => windows.push(read.map((row) => ({ ...row, vector }))));
  return timed('write alone', () => writeAll(bed, windows));
}

function table(results: readonly Measured[], cores: ReadonlyMap<string, readonly number[]>): string {
  const limit = median(results.find(({ name }) => name === 'write alone')?.rates ?? []);
  const lines = results.map(({ name, rates }) => {
    const cells = [median(rates), Math.min(...rates), Math.max(...rates)].map((value) =>
      Math.round(value).toLocaleString('en-US'),
    );
    return `| ${name} | ${cells.join(' | ')} | ${(median(rates) / limit).toFixed(2)} | ${median(cores.get(name) ?? []).toFixed(1)} |`;
  });
  return [
    '| path | median rows/s | min | max | of writing alone | µs of a core a row |',
    '|---|---|---|---|---|---|',
    ...lines,
  ].join('\n');
}

await main();
