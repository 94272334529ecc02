/** How fast a model was with one token budget. */
export interface BudgetMeasurement {
  /** Tokens of a batch at most. */
  readonly budget: number;
  /** Tokens of the texts themselves, padding not counted, over all threads. */
  readonly tokensPerSecond: number;
  readonly textsPerSecond: number;
  /** Tokens per second in the round that was the worst for this budget beside the others, and in the best. */
  readonly range?: readonly [number, number];
}

/** What was measured in one turn of one budget. */
export interface Sample {
  readonly round: number;
  readonly budget: number;
  readonly tokens: number;
  readonly texts: number;
  /** Time of the threads, added up. */
  readonly milliseconds: number;
}

/**
 * Compares budgets within each round, whose turns met texts of like length, and takes the median over the rounds: a
 * neighbour on the machine that slows one turn down does not decide.
 * @param samples also of rounds that are not whole; these do not count.
 * @param threads that were at work side by side.
 * @returns by rising budget; undefined where no round is whole.
 */
export function compareBudgets(
  samples: readonly Sample[],
  budgets: readonly number[],
  threads: number,
): readonly BudgetMeasurement[] | undefined {
  const rounds = wholeRounds(samples, budgets);
  const counted = rounds.flat();
  if (counted.length === 0) return undefined;
  const seconds = sum(counted, ({ milliseconds }) => milliseconds) / 1000 / threads;
  const tokensPerSecond = sum(counted, ({ tokens }) => tokens) / seconds;
  const textsPerSecond = sum(counted, ({ texts }) => texts) / seconds;
  return [...budgets]
    .sort((a, b) => a - b)
    .map((budget) => {
      const shares = rounds.map((round) => shareOf(budget, round));
      const share = median(shares);
      return {
        budget,
        tokensPerSecond: tokensPerSecond * share,
        textsPerSecond: textsPerSecond * share,
        range: [tokensPerSecond * Math.min(...shares), tokensPerSecond * Math.max(...shares)],
      };
    });
}

/** The budget of the highest rate; of equal ones the smallest. */
export function fastest(measured: readonly BudgetMeasurement[]): number {
  return measured.reduce((best, each) => (each.tokensPerSecond > best.tokensPerSecond ? each : best)).budget;
}

/** Cuts `order` into pieces of about the same number of tokens; none is empty while there are as many texts as pieces. */
export function cutByTokens(
  order: readonly number[],
  lengths: readonly number[],
  pieces: number,
): readonly (readonly number[])[] {
  const share = sum(order, (index) => lengths[index] ?? 0) / pieces;
  const cut: number[][] = [];
  let tokens = 0;
  for (const index of order) {
    if (cut.length === 0 || (cut.length < pieces && tokens >= share * cut.length)) cut.push([]);
    cut.at(-1)?.push(index);
    tokens += lengths[index] ?? 0;
  }
  return cut;
}

/** The rounds in which each of `budgets` had its turn. */
function wholeRounds(samples: readonly Sample[], budgets: readonly number[]): readonly (readonly Sample[])[] {
  const rounds = new Map<number, Sample[]>();
  for (const sample of samples) {
    if (!budgets.includes(sample.budget) || sample.milliseconds <= 0) continue;
    rounds.set(sample.round, [...(rounds.get(sample.round) ?? []), sample]);
  }
  return [...rounds.values()].filter((round) => round.length === budgets.length && round.length > 0);
}

/** The rate of a budget in a round, as a share of the mean of that round. */
function shareOf(budget: number, round: readonly Sample[]): number {
  const rates = round.map(({ tokens, milliseconds }) => tokens / milliseconds);
  const own = rates[round.findIndex((sample) => sample.budget === budget)] ?? Number.NaN;
  return own / (sum(rates, (rate) => rate) / rates.length);
}

function median(values: readonly number[]): number {
  const sorted = [...values].sort((a, b) => a - b);
  const middle = Math.floor(sorted.length / 2);
  const upper = sorted[middle] ?? Number.NaN;
  return sorted.length % 2 === 1 ? upper : ((sorted[middle - 1] ?? Number.NaN) + upper) / 2;
}

function sum<T>(values: readonly T[], weigh: (value: T) => number): number {
  return values.reduce((total, value) => total + weigh(value), 0);
}
