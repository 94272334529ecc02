import { AdapterError } from '../errors.ts';
import { bootstrapRatio, meanOf } from '../vector/distribution.ts';
import { thresholdMatcher } from '../vector/match-threshold.ts';
import { type MappedPairs, measureDistance, measureNeighbourhood } from './measure-pairs.ts';
import { measureRetrieval, type RetrievalScores, type SearchedSide } from './measure-retrieval.ts';
import { openSimilarities } from './similarities.ts';
import type { ProjectionMetrics, Retention } from './types.ts';

/** Vectors that a projection was not trained on, and queries whose answers are among them. */
export interface HeldOut {
  readonly pairs: MappedPairs;
  readonly queries: HeldOutQueries;
  readonly seed: number;
}

export interface HeldOutQueries {
  /** As a report names them, e.g. `known items of title`. */
  readonly source: string;
  /** Rows of the documents that answer a query, at least one each. */
  readonly answers: readonly (readonly number[])[];
  /** The new model alone: its queries, its documents. */
  readonly real: SearchedSide;
  /** With the projection: what is searched is adapted, or the queries are. */
  readonly adapted: SearchedSide;
  /** The old model alone; undefined where it cannot be asked. */
  readonly old?: SearchedSide | undefined;
  /** Whose scores those of adapted hits are compared with: of the space that is searched (`real`). */
  readonly scale?: 'real' | 'old' | undefined;
}

/** What of the hits has to pass, and not to pass, for a limit to say something. */
const LEAST_PASSING = 10;

/**
 * What a projection is worth, in numbers that `ProjectionMetrics` explains. Memory is bounded; the seed decides the bootstrap.
 *
 * @throws AdapterError `queries_without_hits` where not even the new model alone finds an answer, so that nothing can be compared
 */
export async function measureProjection({ pairs, queries, seed }: HeldOut): Promise<ProjectionMetrics> {
  const similarities = await openSimilarities();
  try {
    const { answers, source } = queries;
    const real = await measureRetrieval(queries.real, answers, similarities);
    if (meanOf(real.recallAt10) === 0) throw withoutHits(source, answers.length);
    const adapted = await measureRetrieval(queries.adapted, answers, similarities);
    const old = queries.old && (await measureRetrieval(queries.old, answers, similarities));
    const known = queries.scale === 'old' && old !== undefined ? old : real;
    return {
      holdout: pairs.real.rows,
      ...measureDistance(pairs),
      ...(await measureNeighbourhood(pairs, similarities)),
      queries: { source, count: answers.length },
      recallAt10: retentionOf('recallAt10', { real, adapted, old }, seed),
      reciprocalRank: retentionOf('reciprocalRank', { real, adapted, old }, seed),
      scoreShrinkage: meanHit(adapted) / meanHit(known),
      thresholds: matchThresholds(known, adapted, seed),
    };
  } finally {
    await similarities.close();
  }
}

/** The correlation of pairwise similarities alone, where there are no queries: adapted against real vectors of the same rows. */
export async function measureSimilarityPreservation(pairs: MappedPairs): Promise<number> {
  const similarities = await openSimilarities();
  try {
    return (await measureNeighbourhood(pairs, similarities)).similarityPreservation;
  } finally {
    await similarities.close();
  }
}

function retentionOf(
  name: 'recallAt10' | 'reciprocalRank',
  sides: {
    readonly real: RetrievalScores;
    readonly adapted: RetrievalScores;
    readonly old: RetrievalScores | undefined;
  },
  seed: number,
): Retention {
  const [real, adapted] = [sides.real[name], sides.adapted[name]];
  const { ratio: retention, low, high } = bootstrapRatio(adapted, real, seed);
  const old = sides.old && meanOf(sides.old[name]);
  return { real: meanOf(real), adapted: meanOf(adapted), old, retention, low, high };
}

function meanHit({ hits }: RetrievalScores): number {
  return meanOf(hits.flat());
}

/** Round limits, as code has them, that at least some hits reach and some do not. */
function matchThresholds(
  real: RetrievalScores,
  adapted: RetrievalScores,
  seed: number,
): ProjectionMetrics['thresholds'] {
  // The intervals are not kept.
  const match = thresholdMatcher(real.hits, adapted.hits, { seed, resamples: 1 });
  const total = real.hits.reduce((sum, { length }) => sum + length, 0);
  return Array.from({ length: 19 }, (_, i) => (i + 1) / 20).flatMap((limit) => {
    const { passing, suggested } = match(limit);
    return Math.min(passing, total - passing) < LEAST_PASSING ? [] : [{ real: limit, adapted: suggested }];
  });
}

function withoutHits(source: string, count: number): AdapterError {
  return new AdapterError(
    'queries_without_hits',
    `None of ${count} queries (${source}) finds an answer among its first ten hits with the new model alone, so that nothing can be compared with it.`,
    {
      step: 'adapter',
      hint: 'Name queries whose answers are in the table (--queries), or a column that tells what a row is about (--known-item).',
      context: { queries: count },
    },
  );
}
