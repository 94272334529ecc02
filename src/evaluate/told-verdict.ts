import type { PairedDifference } from './paired-difference.ts';
import type { Verdict } from './types.ts';

interface Told {
  readonly recallAt10?: Pick<PairedDifference, 'queries' | 'mean' | 'low' | 'high'> | undefined;
  /** What stood behind the new vectors. */
  readonly reranker?: { readonly name: string } | undefined;
}

/** A verdict with its numbers in a few words, for the gate and `status`; without a full stop. */
export function toldVerdict(verdict: Verdict, { recallAt10, reranker }: Told): string {
  const name = verdict === 'inconclusive' ? 'inconclusive' : verdict.toUpperCase();
  if (recallAt10 === undefined) return `${name}, without labelled queries`;
  const [mean, low, high] = [recallAt10.mean, recallAt10.low, recallAt10.high].map(signed);
  const behind = reranker === undefined ? '' : ` behind the reranker ${reranker.name}`;
  return `${name}, Recall@10 ${mean} (95%: ${low} to ${high}) by ${recallAt10.queries} queries${behind}`;
}

function signed(value: number): string {
  return `${value < 0 ? '−' : '+'}${Math.abs(value).toFixed(3)}`;
}
