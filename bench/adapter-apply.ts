// Vectors a second that a projection maps in memory, 1536 → 384 with a bias and unit length behind it: by batch size and threads, with all
// checks, against a plain JavaScript loop in the same run; and how long one query vector takes.
//   npx tsx bench/adapter-apply.ts [--input 1536] [--output 384] [--rows 20000] [--repeats 5] [--batches 100,250,500,1000,2000,4000] [--threads 1,2]

import { availableParallelism } from 'node:os';
import { parseArgs } from 'node:util';
import { type Adapter, openAdapter } from '../src/adapters/apply.ts';
import type { Matrix, ProjectionEntry, ProjectionLayer, ProjectionSpace } from '../src/adapters/types.ts';
import { seededRandom } from '../src/vector/random.ts';
import { interleave, markdownTable, median } from './measure.ts';

const { values } = parseArgs({
  options: {
    input: { type: 'string', default: '1536' },
    output: { type: 'string', default: '384' },
    rows: { type: 'string', default: '20000' },
    repeats: { type: 'string', default: '5' },
    batches: { type: 'string', default: '100,250,500,1000,2000,4000' },
    threads: { type: 'string', default: '1,2' },
  },
});
const [input, output, rows] = [Number(values.input), Number(values.output), Number(values.rows)];
/** Batches on their way, as a backfill has them: the thread never waits for the next one. */
const IN_FLIGHT = 2;
const LOOP = 'plain JavaScript loop';
/** The loop is slow: so many tell its rate. */
const LOOP_ROWS = 500;

const random = seededRandom(1);
const floats = (length: number): Float32Array => Float32Array.from({ length }, () => random() - 0.5);
const layer = {
  input,
  output,
  weight: floats(input * output),
  bias: floats(output),
  hidden: undefined,
  normalize: true,
};
const source = unitVectors(Math.max(...values.batches.split(',').map(Number)));

const adapters = new Map(values.threads.split(',').map((threads) => [threads, open(layer, Number(threads))]));
const ways = [
  { name: LOOP, run: async () => inLoop(layer, LOOP_ROWS) },
  ...[...adapters].flatMap(([threads, adapter]) =>
    values.batches.split(',').map((batch) => ({
      name: `batches of ${batch}, ${threads} ${threads === '1' ? 'thread' : 'threads'}`,
      run: () => mapped(adapter, Number(batch)),
    })),
  ),
];
await agree(layer, [...adapters.values()]);
for (const { run } of ways) await run();
const measured = await interleave(Number(values.repeats), ways);
console.log(
  `${input} → ${output}, ${rows} vectors, ${availableParallelism()} cores, ${values.repeats} repeats by turns.\n`,
);
console.log(markdownTable('vectors/s', LOOP, measured));
console.log(`\nOne query vector: ${(await latency([...adapters.values()])).toFixed(3)} ms (median of 500).`);
for (const adapter of adapters.values()) await adapter.close();

function open(projected: ProjectionLayer, threads: number): Adapter {
  const space = (dimensions: number): ProjectionSpace => ({ fingerprint: {}, reference: undefined, dimensions });
  const entry: ProjectionEntry = {
    id: 'bench',
    kind: 'ridge',
    direction: 'document',
    source: space(input),
    target: space(output),
    samples: { training: 0, validation: 0, holdout: 0 },
    parameters: {},
    seed: 1,
    metrics: undefined,
    range: { minNorm: 1, maxNorm: 1 },
    file: '',
    sha256: '',
    createdAt: '',
  };
  return openAdapter({ entry, projection: { layers: [projected] } }, { threads });
}

function unitVectors(count: number): Matrix {
  const data = floats(count * input);
  for (let row = 0; row < count; row++) {
    const vector = data.subarray(row * input, (row + 1) * input);
    const length = Math.hypot(...vector);
    for (let i = 0; i < input; i++) vector[i] = (vector[i] ?? 0) / length;
  }
  return { rows: count, columns: input, data };
}

/** Vectors a second. Each batch is a buffer of its own, as it comes from the database. */
async function mapped(adapter: Adapter, batch: number): Promise<number> {
  const started = performance.now();
  const pending: Promise<Matrix>[] = [];
  let done = 0;
  for (; done < rows; done += batch) {
    const data = source.data.slice(0, batch * input);
    pending.push(adapter.apply({ rows: batch, columns: input, data }));
    if (pending.length >= IN_FLIGHT) await pending.shift();
  }
  await Promise.all(pending);
  return (done / (performance.now() - started)) * 1000;
}

function inLoop(projected: typeof layer, count: number): number {
  const started = performance.now();
  loop(projected, count);
  return (count / (performance.now() - started)) * 1000;
}

/** The textbook's three loops, over typed arrays, and the division by the length. */
function loop({ weight, bias }: typeof layer, count: number): Float32Array {
  const result = new Float32Array(count * output);
  const { data } = source;
  for (let row = 0; row < count; row++) {
    let squares = 0;
    for (let j = 0; j < output; j++) {
      let sum = bias[j] as number;
      for (let i = 0; i < input; i++) sum += (data[row * input + i] as number) * (weight[i * output + j] as number);
      result[row * output + j] = sum;
      squares += sum * sum;
    }
    const length = Math.sqrt(squares);
    for (let j = 0; j < output; j++) result[row * output + j] = (result[row * output + j] as number) / length;
  }
  return result;
}

/** What is compared has to be the same work. */
async function agree(projected: typeof layer, all: readonly Adapter[]): Promise<void> {
  const expected = loop(projected, 3);
  for (const adapter of all) {
    const { data } = await adapter.apply({ rows: 3, columns: input, data: source.data.slice(0, 3 * input) });
    const worst = Math.max(...data.map((value, i) => Math.abs(value - (expected[i] ?? 0))));
    if (worst > 1e-5) throw new Error(`the results differ by ${worst}`);
  }
}

async function latency([adapter]: readonly Adapter[]): Promise<number> {
  const times: number[] = [];
  for (let i = 0; i < 500; i++) {
    const vector = source.data.slice(0, input);
    const started = performance.now();
    await adapter?.applyOnce(vector);
    times.push(performance.now() - started);
  }
  return median(times);
}
