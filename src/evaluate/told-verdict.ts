import type { PairedDifference } from './paired-difference.ts';
import type { Verdict } from './types.ts';

interface Compared {
  readonly recallAt10?: Pick<PairedDifference, 'queries' | 'mean' | 'low' | 'high'> | undefined;
}

/** A verdict with its numbers in a few words, for the gate and `status`; without a full stop. */
export function toldVerdict(verdict: Verdict, { comparisons }: { readonly comparisons: readonly Compared[] }): string {
  const difference = comparisons.at(-1)?.recallAt10;
  const name = verdict === 'inconclusive' ? 'inconclusive' : verdict.toUpperCase();
  if (difference === undefined) return `${name}, without labelled queries`;
  const [mean, low, high] = [difference.mean, difference.low, difference.high].map(signed);
  return `${name}, Recall@10 ${mean} (95%: ${low} to ${high}) by ${difference.queries} queries`;
}

function signed(value: number): string {
  return `${value < 0 ? '−' : '+'}${Math.abs(value).toFixed(3)}`;
}
