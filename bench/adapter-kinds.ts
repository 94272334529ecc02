// What each kind of projection keeps, by the number of pairs that it was learned from: real passages, an older encoder's vectors and all-MiniLM-L6-v2,
// titles as queries, passages that took no part in any training. Keeps bench/results/adapter-kinds.json, which bench/plot-adapters.ts draws.
//   node --import=tsx bench/adapter-kinds.ts [passages.jsonl vectors.json [kind,kind]]
// The second file describes the older vectors as the provider `file` reads them. Without arguments: examples/postgres-docs, up to 500 pairs. With kinds
// only these are measured anew.

import { existsSync, mkdirSync, readFileSync, writeFileSync } from 'node:fs';
import { fitAll } from '../src/adapters/fit.ts';
import { PROJECTION_KINDS } from '../src/adapters/kinds.ts';
import { mapMatrix } from '../src/adapters/map-matrix.ts';
import { matrixOf } from '../src/adapters/matrix.ts';
import { measureProjection } from '../src/adapters/measure.ts';
import { heldOutBy, type KeptApart } from '../src/adapters/training-data.ts';
import type { Matrix, ProjectionDirection, ProjectionKind, ProjectionMetrics } from '../src/adapters/types.ts';
import { loadRuntimeSettings } from '../src/config/runtime.ts';
import type { ModelReference } from '../src/config/types.ts';
import { createProvider } from '../src/providers/create-provider.ts';
import { providerOptions } from '../src/providers/provider-options.ts';

export interface MeasuredProjection {
  readonly direction: ProjectionDirection;
  readonly kind: ProjectionKind;
  readonly pairs: number;
  readonly parameters: Readonly<Record<string, number>>;
  readonly seconds: number;
  readonly metrics: ProjectionMetrics;
}

export interface KindResults {
  readonly passages: number;
  readonly holdout: number;
  readonly measured: readonly MeasuredProjection[];
}

const HOLDOUT = 500;
const PAIRS = [500, 1_000, 2_000];
const SEED = 1;
const RESULTS = 'bench/results/adapter-kinds.json';
const [passages = 'examples/postgres-docs/passages.jsonl', older = 'examples/postgres-docs/vectors.json', named] =
  process.argv.slice(2);
const kinds =
  named === undefined ? PROJECTION_KINDS : PROJECTION_KINDS.filter((kind) => named.split(',').includes(kind));
const OLD: ModelReference = { provider: 'file', model: older, dimensions: 1536 };
const FRESH: ModelReference = { provider: 'local', model: 'sentence-transformers/all-MiniLM-L6-v2', dimensions: 384 };

interface Passage {
  readonly title: string;
  readonly text: string;
}

async function embed(reference: ModelReference, texts: readonly string[], kind: 'document' | 'query'): Promise<Matrix> {
  const provider = await createProvider(reference, providerOptions(loadRuntimeSettings()));
  try {
    return matrixOf((await provider.embed(texts, { kind })).vectors);
  } finally {
    await provider.close();
  }
}

function rowsOf({ columns, data }: Matrix, from: number, to: number): Matrix {
  return { rows: to - from, columns, data: data.slice(from * columns, to * columns) };
}

/** The last passages, asked for by their titles: several may answer one. */
async function readHoldout(held: readonly Passage[], old: Matrix, fresh: Matrix): Promise<KeptApart> {
  const answers = new Map<string, number[]>();
  for (const [row, { title }] of held.entries()) answers.set(title, [...(answers.get(title) ?? []), row]);
  const titles = [...answers.keys()];
  return {
    pairs: { source: old, target: fresh },
    documents: { old, fresh },
    queries: {
      source: 'titles',
      answers: [...answers.values()],
      fresh: await embed(FRESH, titles, 'query'),
      old: await embed(OLD, titles, 'query'),
    },
  };
}

const all = readFileSync(passages, 'utf8')
  .trim()
  .split('\n')
  .map((line) => JSON.parse(line) as Passage);
const texts = all.map(({ text }) => text);
const [old, fresh] = [await embed(OLD, texts, 'document'), await embed(FRESH, texts, 'document')];
const from = all.length - HOLDOUT;
const part = await readHoldout(all.slice(from), rowsOf(old, from, all.length), rowsOf(fresh, from, all.length));
const earlier = existsSync(RESULTS) ? (JSON.parse(readFileSync(RESULTS, 'utf8')) as KindResults).measured : [];
const measured: MeasuredProjection[] = earlier.filter(({ kind }) => !kinds.includes(kind));
for (const direction of ['document', 'query'] as const) {
  const { source, target } = part.pairs;
  const held = direction === 'document' ? part : { ...part, pairs: { source: target, target: source } };
  for (const pairs of PAIRS.filter((each) => each <= from)) {
    const [a, b] = [rowsOf(old, 0, pairs), rowsOf(fresh, 0, pairs)];
    const training = direction === 'document' ? { source: a, target: b } : { source: b, target: a };
    for (const [kind, outcome] of await fitAll(kinds, training, { seed: SEED, normalize: true })) {
      if (outcome instanceof Error) {
        console.log(`${direction} ${pairs} ${kind}: ${outcome.message}`);
        continue;
      }
      const map = (vectors: Matrix): Promise<Matrix> => mapMatrix(outcome.projection, vectors);
      const metrics = await measureProjection(await heldOutBy(direction, held, map, SEED));
      const { parameters, seconds } = outcome;
      measured.push({ direction, kind, pairs, parameters, seconds, metrics });
      const { recallAt10, cosine, similarityPreservation } = metrics;
      console.log(
        `${direction} ${pairs} ${kind}: Recall@10 ${recallAt10.adapted.toFixed(3)} of ${recallAt10.real.toFixed(3)} (old ${recallAt10.old?.toFixed(3)}), ` +
          `cosine ${cosine.mean.toFixed(3)}, similarity ${similarityPreservation.toFixed(3)}`,
      );
    }
  }
}
mkdirSync('bench/results', { recursive: true });
const results: KindResults = { passages: all.length, holdout: HOLDOUT, measured };
writeFileSync(RESULTS, `${JSON.stringify(results, null, 1)}\n`);
