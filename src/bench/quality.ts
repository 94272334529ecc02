import { dot, norm } from '../vector/math.ts';
import { mean, median, percentile } from './statistics.ts';

/** Vectors of the same texts by one way of computing them. */
export interface CorpusVectors {
  readonly documents: readonly Float32Array[];
  /** A query for the document at the same place; undefined where it has none. */
  readonly queries: readonly (Float32Array | undefined)[];
}

/** What a way of computing vectors costs, against the reference. */
export interface Quality {
  /** Of each document's vector with the reference's. */
  readonly cosine: { readonly min: number; readonly p5: number; readonly median: number };
  /** Mean share of a document's 10 nearest neighbours that are the same as in the reference: 0..1; null of one document. */
  readonly overlapAt10: number | null;
  /** Share of the queries whose document is among the 10 nearest: 0..1; null without queries. */
  readonly recallAt10: number | null;
  readonly queries: number;
}

const NEAREST = 10;
/** Documents whose neighbours are compared, and queries that are asked, at most: the work grows with their product. */
const SAMPLE = 1000;
/** Milliseconds of arithmetic after which the event loop has its turn. */
const TURN_MS = 20;

/** Compares `vectors` with those of the reference, all in memory, every document with every other. */
export async function compareVectors(
  vectors: CorpusVectors,
  reference: CorpusVectors,
  signal?: AbortSignal,
): Promise<Quality> {
  const documents = vectors.documents.map(unit);
  const originals = reference.documents.map(unit);
  const cosines = documents.map((vector, i) => dot(vector, originals[i] ?? vector));
  const queries = vectors.queries.flatMap((vector, document) => (vector === undefined ? [] : [{ vector, document }]));
  const asked = spreadOver(queries);
  const found = await inTurns(asked, signal, ({ vector, document }) =>
    nearest(unit(vector), documents).includes(document),
  );
  const overlaps = await inTurns(spreadOver([...documents.keys()]), signal, (i) =>
    share(neighbours(documents, i), neighbours(originals, i)),
  );
  return {
    cosine: { min: percentile(cosines, 0), p5: percentile(cosines, 0.05), median: median(cosines) },
    overlapAt10: documents.length < 2 ? null : mean(overlaps),
    recallAt10: asked.length === 0 ? null : mean(found.map(Number)),
    queries: asked.length,
  };
}

/** The places of the `NEAREST` vectors with the largest inner product, nearest first; `except` is left out. */
export function nearest(query: Float32Array, vectors: readonly Float32Array[], except?: number): readonly number[] {
  const best: { readonly place: number; readonly score: number }[] = [];
  vectors.forEach((vector, place) => {
    if (place === except) return;
    const score = dot(query, vector);
    if (best.length === NEAREST && score <= (best.at(-1)?.score ?? 0)) return;
    const at = best.findIndex((each) => score > each.score);
    best.splice(at < 0 ? best.length : at, 0, { place, score });
    if (best.length > NEAREST) best.pop();
  });
  return best.map(({ place }) => place);
}

function neighbours(vectors: readonly Float32Array[], i: number): readonly number[] {
  return nearest(vectors[i] ?? new Float32Array(), vectors, i);
}

function share(found: readonly number[], expected: readonly number[]): number {
  const wanted = new Set(expected);
  return found.filter((place) => wanted.has(place)).length / Math.max(1, wanted.size);
}

/** At most `SAMPLE` of them, evenly from the first to the last. */
function spreadOver<T>(all: readonly T[]): readonly T[] {
  if (all.length <= SAMPLE) return all;
  return Array.from({ length: SAMPLE }, (_, i) => all[Math.floor((i * all.length) / SAMPLE)] as T);
}

function unit(vector: Float32Array): Float32Array {
  const length = norm(vector);
  return length === 0 ? vector : vector.map((value) => value / length);
}

async function inTurns<T, R>(
  items: readonly T[],
  signal: AbortSignal | undefined,
  compute: (item: T) => R,
): Promise<R[]> {
  const results: R[] = [];
  let since = performance.now();
  for (const item of items) {
    results.push(compute(item));
    if (performance.now() - since < TURN_MS) continue;
    await new Promise((resolve) => setImmediate(resolve));
    signal?.throwIfAborted();
    since = performance.now();
  }
  return results;
}
