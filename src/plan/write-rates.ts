import type { PlanFacts } from './facts.ts';

/** Rows a second that the guarded write reached on two cores beside what it has to maintain: the ratios matter. */
export const WRITE_RATES = { none: 34_000, ivfflat: 7_600, hnsw: 1_000 } as const;

export function oldIndexKind(facts: Pick<PlanFacts, 'annIndexes'>): keyof typeof WRITE_RATES {
  if (facts.annIndexes.length === 0) return 'none';
  return facts.annIndexes.some((index) => index.method === 'hnsw') ? 'hnsw' : 'ivfflat';
}

/** Of the backfill, by what the old vectors' indexes cost every row. */
export function writeRate(facts: Pick<PlanFacts, 'annIndexes'>, keepsIndex: boolean): number {
  return WRITE_RATES[keepsIndex ? oldIndexKind(facts) : 'none'];
}
