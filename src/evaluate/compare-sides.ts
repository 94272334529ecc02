import { overlapAt, rankBiasedOverlap } from '../vector/rank-agreement.ts';
import { decide } from './decide.ts';
import { type RankMetrics, scoreRanking } from './metrics.ts';
import { comparePaired, type PairedDifference } from './paired-difference.ts';
import type { LabelledQuery } from './queries/types.ts';
import type { Answer } from './run-searches.ts';
import type { Criterion, QueryExample, SideComparison, SliceComparison } from './types.ts';

/** A side's answers to all queries, exact search. */
export interface AnsweredSide {
  readonly name: string;
  readonly answers: readonly Answer[];
  /** One a query, undefined where it has no labels. */
  readonly scores: readonly (RankMetrics | undefined)[];
}

export interface CompareOptions {
  readonly k: number;
  readonly seed: number;
  readonly criterion: Criterion;
}

export function scoreAnswers(
  queries: readonly LabelledQuery[],
  answers: readonly Answer[],
  k: number,
): (RankMetrics | undefined)[] {
  return queries.map(({ grades }, i) =>
    grades === undefined ? undefined : scoreRanking(answers[i]?.ranking ?? [], grades, k),
  );
}

/** What changes for the application when `to` answers instead of `from`. */
export function compareSides(
  queries: readonly LabelledQuery[],
  from: AnsweredSide,
  to: AnsweredSide,
  { k, seed, criterion }: CompareOptions,
): SideComparison {
  const pairs = from.answers.map(({ ranking }, i) => [ranking, to.answers[i]?.ranking ?? []] as const);
  const paired = (name: keyof RankMetrics): PairedDifference | undefined => {
    const found = differences(from, to, name);
    return found.length === 0 ? undefined : comparePaired(found, seed);
  };
  const recallAt10 = paired('recallAt10');
  return {
    from: from.name,
    to: to.name,
    ...decide(recallAt10, criterion),
    overlap: mean(pairs.map(([a, b]) => overlapAt(a, b, k))),
    rankBiasedOverlap: mean(pairs.map(([a, b]) => rankBiasedOverlap(a, b))),
    recallAt10,
    reciprocalRank: paired('reciprocalRank'),
    ndcgAt10: paired('ndcgAt10'),
    slices: compareSlices(queries, from, to, seed),
  };
}

function differences(from: AnsweredSide, to: AnsweredSide, name: keyof RankMetrics): number[] {
  return from.scores.flatMap((before, i) => {
    const after = to.scores[i];
    return before === undefined || after === undefined ? [] : [after[name] - before[name]];
  });
}

function compareSlices(
  queries: readonly LabelledQuery[],
  from: AnsweredSide,
  to: AnsweredSide,
  seed: number,
): SliceComparison[] {
  const positions = new Map<string, number[]>();
  for (const [i, { slice, grades }] of queries.entries()) {
    if (slice === undefined || grades === undefined) continue;
    positions.set(slice, [...(positions.get(slice) ?? []), i]);
  }
  return [...positions].map(([slice, own]) => {
    const before = own.map((i) => from.scores[i]?.recallAt10 ?? 0);
    const after = own.map((i) => to.scores[i]?.recallAt10 ?? 0);
    const recallAt10 = comparePaired(
      after.map((value, i) => value - (before[i] ?? 0)),
      seed,
    );
    return { slice, queries: own.length, from: mean(before), to: mean(after), recallAt10 };
  });
}

const SHOWN_EXAMPLES = 5;

/** The queries whose first answer moved most between the two, those that lost before those that gained. */
export function pickExamples(queries: readonly LabelledQuery[], from: AnsweredSide, to: AnsweredSide): QueryExample[] {
  const moved = queries.flatMap(({ query, slice }, i) => {
    const before = from.scores[i]?.reciprocalRank;
    const after = to.scores[i]?.reciprocalRank;
    if (before === undefined || after === undefined || before === after) return [];
    const ranks = { fromRank: rankOf(before), toRank: rankOf(after) };
    return [{ query, slice, by: after - before, ...ranks }];
  });
  const pick = (change: QueryExample['change'], sign: 1 | -1): QueryExample[] =>
    moved
      .filter(({ by }) => by * sign > 0)
      .sort((a, b) => (b.by - a.by) * sign)
      .slice(0, SHOWN_EXAMPLES)
      .map(({ query, slice, fromRank, toRank }) => ({ query, slice, change, fromRank, toRank }));
  return [...pick('lost', -1), ...pick('gained', 1)];
}

function rankOf(reciprocal: number): number | null {
  return reciprocal === 0 ? null : Math.round(1 / reciprocal);
}

function mean(values: readonly number[]): number {
  return values.reduce((sum, value) => sum + value, 0) / values.length;
}
