import type { Grades } from '../metrics.ts';

/** What answers a query, before the table was asked: key values as text, in key order. */
export interface GradedKey {
  readonly key: readonly string[];
  /** Above 0; 1 where only "relevant" was said. */
  readonly grade: number;
}

/** A query as the file or the table has it. */
export interface EvaluationQuery {
  readonly query: string;
  /** Undefined where nobody said: such a query counts for agreement only. */
  readonly relevant: readonly GradedKey[] | undefined;
  readonly slice?: string | undefined;
}

/** The same with the keys that are compared, as `keyId` makes them. */
export interface LabelledQuery {
  readonly query: string;
  readonly grades: Grades | undefined;
  readonly slice?: string | undefined;
}

/** One string for a key of several columns. */
export function keyId(key: readonly string[]): string {
  return key.length === 1 ? (key[0] ?? '') : JSON.stringify(key);
}
