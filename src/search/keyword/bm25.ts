import type { WeightedTerm } from '../../sql/keyword-search.ts';

/** What is known of a query's lexeme: how often the query has it, and in how many rows it was when they were counted. */
export interface TermFacts {
  readonly lexeme: string;
  readonly times: number;
  readonly withTerm: number;
}

/**
 * Lucene's inverse document frequency, ln(1 + (N − df + 0.5) / (df + 0.5)): Robertson's with 1 added under the logarithm, so that no word counts
 * against a row. Kamphuis et al., "Which BM25 Do You Mean?" (ECIR 2020), compare the variants.
 */
export function inverseFrequency(documents: number, withTerm: number): number {
  const df = Math.min(withTerm, documents);
  return Math.log(1 + (documents - df + 0.5) / (df + 0.5));
}

/** A query's lexemes with what a row gains by each at most, the rarest first. A word twice in the query counts twice, as in Lucene. */
export function weighTerms(documents: number, terms: readonly TermFacts[]): WeightedTerm[] {
  return [...terms]
    .sort((a, b) => a.withTerm - b.withTerm || (a.lexeme < b.lexeme ? -1 : 1))
    .map(({ lexeme, times, withTerm }) => ({ lexeme, weight: times * inverseFrequency(documents, withTerm) }));
}

/**
 * How many of the rarest lexemes rows are found by: as many as have no more than `maxEntries` entries in the index together, and one at least.
 * The others still count for the score.
 */
export function countFinding(terms: readonly TermFacts[], maxEntries: number): number {
  const counts = terms.map(({ withTerm }) => withTerm).sort((a, b) => a - b);
  let entries = 0;
  let finding = 0;
  for (const withTerm of counts) {
    entries += withTerm;
    if (entries > maxEntries && finding > 0) break;
    finding++;
  }
  return finding;
}

export interface Found {
  /** Scores, best first. */
  readonly scores: readonly number[];
  readonly limit: number;
  /** The most that a row may come to that was found and not scored, by the lexemes it was found by. */
  readonly rest: number;
  /** The weights of the lexemes by which no row was looked for, together. */
  readonly unsought: number;
  /** Whether the look at the index was cut short. */
  readonly cut: boolean;
}

/** True when no row that was left out can belong among the best (the test of MaxScore, Turtle and Flood 1995). */
export function isComplete({ scores, limit, rest, unsought, cut }: Found): boolean {
  if (cut) return false;
  const left = rest > 0 || unsought > 0;
  if (!left) return true;
  const worst = scores.length < limit ? 0 : (scores.at(-1) ?? 0);
  return worst >= rest + unsought;
}
