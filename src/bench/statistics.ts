/** Several measurements of one thing. */
export interface Spread {
  readonly median: number;
  readonly min: number;
  readonly max: number;
  /** As measured, in the order of the rounds. */
  readonly rounds: readonly number[];
}

/** @throws RangeError without a measurement */
export function spreadOf(rounds: readonly number[]): Spread {
  if (rounds.length === 0) throw new RangeError('a spread needs at least one measurement');
  return { median: median(rounds), min: Math.min(...rounds), max: Math.max(...rounds), rounds };
}

/** The middle value, the mean of the two middle ones where their number is even; NaN of nothing. */
export function median(values: readonly number[]): number {
  const sorted = [...values].sort((a, b) => a - b);
  const middle = Math.floor(sorted.length / 2);
  const upper = sorted[middle] ?? Number.NaN;
  return sorted.length % 2 === 1 ? upper : ((sorted[middle - 1] ?? Number.NaN) + upper) / 2;
}

/** The smallest value that at least `share` (0..1) of all are not above: the nearest rank. NaN of nothing. */
export function percentile(values: readonly number[], share: number): number {
  const sorted = [...values].sort((a, b) => a - b);
  return sorted[Math.max(0, Math.ceil(share * sorted.length) - 1)] ?? Number.NaN;
}

export function mean(values: readonly number[]): number {
  return values.reduce((sum, value) => sum + value, 0) / values.length;
}

export interface Contender {
  readonly name: string;
  /** Runs once and returns its rate, per second. */
  readonly run: () => Promise<number>;
}

export interface Measured {
  readonly name: string;
  readonly rates: readonly number[];
}

/** Runs all contenders in turn, round after round, so that what the machine does meanwhile meets all of them alike. */
export async function interleave(
  rounds: number,
  contenders: readonly Contender[],
  onRound: (round: number) => void = () => {},
): Promise<Measured[]> {
  const rates = contenders.map((): number[] => []);
  for (let round = 0; round < rounds; round++) {
    onRound(round + 1);
    for (const [i, contender] of contenders.entries()) rates[i]?.push(await contender.run());
  }
  return contenders.map(({ name }, i) => ({ name, rates: rates[i] ?? [] }));
}
