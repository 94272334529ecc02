/** What a number of queries came to on two sides, or a fact about the vectors themselves. */
export interface EvaluationCheck {
  /** Stable: `dimensions`, `similar_pairs`, `norms`, `isotropy`, `near_duplicates`, `distances`, … */
  readonly code: string;
  /** `info` tells, `warn` wants to be looked at, `fail` stands against a swap. */
  readonly level: 'info' | 'warn' | 'fail';
  /** One sentence: what was found against what was expected. */
  readonly message: string;
  readonly values: Readonly<Record<string, number | string | null>>;
}

export type Verdict = 'go' | 'no-go' | 'inconclusive';
