import { describe, expect, test } from 'vitest';
import { randomValues } from '../../../src/bench/graph-builder.ts';
import { compareVectors, nearest } from '../../../src/bench/quality.ts';

const DIMENSIONS = 16;
const draw = randomValues(3);
const vectors = Array.from({ length: 60 }, () => draw(DIMENSIONS, 1));
const corpus = { documents: vectors, queries: vectors.map((vector) => vector.slice()) };

/** Exact search in the plainest way. */
function sortedNeighbours(query: Float32Array, all: readonly Float32Array[], except?: number): number[] {
  const score = (vector: Float32Array): number => vector.reduce((sum, value, i) => sum + value * (query[i] ?? 0), 0);
  const places = [...all.keys()].filter((place) => place !== except);
  return places.sort((a, b) => score(all[b] ?? query) - score(all[a] ?? query)).slice(0, 10);
}

test('the nearest are those that a full sort finds, in its order', () => {
  for (const [i, vector] of vectors.entries()) {
    expect(nearest(vector, vectors, i)).toEqual(sortedNeighbours(vector, vectors, i));
  }
});

describe('what a precision costs', () => {
  test('is nothing for the reference itself, whatever the length of its vectors', async () => {
    const longer = { documents: vectors.map((vector) => vector.map((x) => 3 * x)), queries: corpus.queries };
    const quality = await compareVectors(longer, corpus);
    expect(quality.cosine.min).toBeCloseTo(1, 5);
    expect(quality).toMatchObject({ overlapAt10: 1, recallAt10: 1, queries: 60 });
  });

  test('is seen in each figure when vectors go wrong', async () => {
    const documents = vectors.map((vector, i) => (i < 6 ? vector.map((x) => -x) : vector));
    const quality = await compareVectors({ documents, queries: corpus.queries }, corpus);
    expect(quality.cosine.min).toBeCloseTo(-1, 5);
    expect(quality.cosine.p5).toBeCloseTo(-1, 5);
    expect(quality.cosine.median).toBeCloseTo(1, 5);
    expect(quality.overlapAt10).toBeLessThan(0.95);
    // The queries of the six turned documents point away from them.
    expect(quality.recallAt10).toBeCloseTo(54 / 60, 10);
  });

  test('counts only documents that have a query', async () => {
    const queries = corpus.queries.map((vector, i) => (i % 3 === 0 ? vector : undefined));
    expect((await compareVectors({ ...corpus, queries }, corpus)).queries).toBe(20);
    const none = await compareVectors({ ...corpus, queries: queries.map(() => undefined) }, corpus);
    expect(none).toMatchObject({ queries: 0, recallAt10: null });
  });

  test('of a single document has no neighbours to compare', async () => {
    const one = { documents: vectors.slice(0, 1), queries: [undefined] };
    expect(await compareVectors(one, one)).toMatchObject({ overlapAt10: null, recallAt10: null });
  });

  test('stops when it is asked to', async () => {
    const many = { documents: Array.from({ length: 2000 }, () => draw(64, 1)), queries: [] };
    await expect(compareVectors(many, many, AbortSignal.abort(new Error('enough')))).rejects.toThrow('enough');
  });
});
