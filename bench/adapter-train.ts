/**
 * How long each kind of projection trains on 5,000 pairs, 1536 → 384, beside one product of the size of its moments in double precision
 * (1536 × 5000 · 5000 × 1536), in the same run. `npm run bench:adapter-train [pairs]`.
 */
import { type Dense, gaussian } from '../src/adapters/dense.ts';
import { fitProjection } from '../src/adapters/fit.ts';
import { openAlgebra } from '../src/adapters/linear-algebra.ts';
import type { ProjectionKind } from '../src/adapters/types.ts';
import { readMachine } from '../src/models/machine.ts';
import { createNativeSection } from '../src/models/native-section.ts';
import { median } from './measure.ts';

const SOURCE = 1536;
const TARGET = 384;
const KINDS: readonly ProjectionKind[] = ['ridge', 'procrustes', 'low-rank', 'residual-mlp'];

interface Taken {
  /** Seconds. */
  readonly wall: number;
  readonly cpu: number;
}

async function taking(work: () => Promise<unknown>): Promise<Taken> {
  const started = performance.now();
  const before = process.cpuUsage();
  await work();
  const { user, system } = process.cpuUsage(before);
  return { wall: (performance.now() - started) / 1000, cpu: (user + system) / 1e6 };
}

const single = ({ data, ...shape }: Dense) => ({ ...shape, data: Float32Array.from(data) });

const rows = Number(process.argv[2] ?? 5000);
const threads = readMachine().cores;
const algebra = openAlgebra(threads, createNativeSection());
const source = gaussian(rows, SOURCE, 1);
const exact = await algebra.multiply(source, gaussian(SOURCE, TARGET, 2));
const noise = gaussian(rows, TARGET, 3);
const target = { ...exact, data: exact.data.map((value, i) => value / Math.sqrt(SOURCE) + 0.5 * (noise.data[i] ?? 0)) };
const products: Taken[] = [];
for (let run = 0; run < 5; run++) products.push(await taking(() => algebra.multiply(source, source, 'first')));
const [wall, cpu] = [median(products.map((taken) => taken.wall)), median(products.map((taken) => taken.cpu))];
await algebra.close();

console.log(
  `${rows} pairs, ${SOURCE} → ${TARGET}, ${threads} threads; one product: ${wall.toFixed(2)} s, ${cpu.toFixed(2)} s of CPU\n`,
);
console.log('| kind | seconds | of CPU | products | CPU of products |\n|---|---|---|---|---|');
for (const kind of KINDS) {
  const pairs = { source: single(source), target: single(target) };
  const taken = await taking(() => fitProjection(kind, pairs, { seed: 1, normalize: true, threads }));
  const cells = [
    taken.wall.toFixed(1),
    taken.cpu.toFixed(1),
    (taken.wall / wall).toFixed(0),
    (taken.cpu / cpu).toFixed(0),
  ];
  console.log(`| ${kind} | ${cells.join(' | ')} |`);
}
