/** What a row is after a write: there with a text, or gone. */
export type Outcome =
  | { readonly exists: false }
  | {
      readonly exists: true;
      readonly id: string;
      readonly text: string | null;
      /** Written by an application that knows text only, after the columns were exchanged: the vector is not reembed's to renew. */
      readonly afterSwap: boolean;
      /** How many exchanges back there had been. */
      readonly epoch: number;
    };

/** An error that the application saw. */
export interface SeenError {
  readonly at: number;
  readonly what: string;
  readonly message: string;
}

interface Excuse {
  readonly pattern: RegExp;
  readonly from: number;
  until: number;
}

/** A connection that broke is noticed a moment after whatever broke it is over. */
const LATE_MS = 3_000;

/**
 * Every acknowledged operation of the application, by the application's own name of the row (`ref`). Where the answer to a write did not
 * come, both outcomes are possible until the row is next read or written.
 */
export class Book {
  readonly rows = new Map<string, readonly Outcome[]>();
  /** What contradicts the book while the application runs: a row that was acknowledged and is not there, a hit with another text's vector. */
  readonly contradictions: string[] = [];
  readonly #errors: SeenError[] = [];
  readonly #excuses: Excuse[] = [];
  acknowledged = 0;
  unknown = 0;
  reads = 0;
  epoch = 0;

  acknowledge(ref: string, outcome: Outcome): void {
    this.acknowledged += 1;
    this.rows.set(ref, [outcome]);
  }

  doubt(ref: string, outcome: Outcome): void {
    this.unknown += 1;
    this.rows.set(ref, [...this.possible(ref), outcome]);
  }

  possible(ref: string): readonly Outcome[] {
    return this.rows.get(ref) ?? [{ exists: false }];
  }

  note(what: string, error: unknown): void {
    const { code, message } = error as { readonly code?: string; readonly message?: string };
    this.#errors.push({ at: Date.now(), what, message: `${code ?? ''} ${message || String(error)}`.trim() });
  }

  /** Until the returned function is called, and a moment longer, errors like this are the fault's own doing. */
  excuse(pattern: RegExp): () => void {
    const excuse: Excuse = { pattern, from: Date.now() - LATE_MS, until: Number.POSITIVE_INFINITY };
    this.#excuses.push(excuse);
    return () => {
      excuse.until = Date.now() + LATE_MS;
    };
  }

  unexplained(): readonly SeenError[] {
    return this.#errors.filter(
      ({ at, message }) =>
        !this.#excuses.some(({ pattern, from, until }) => at >= from && at <= until && pattern.test(message)),
    );
  }
}

/** The connection ended before the answer: whether the write happened is not known. */
export function isUnanswered(error: unknown): boolean {
  const { code, message = '' } = error as { readonly code?: string; readonly message?: string };
  if (code !== undefined && /^[0-9A-Z]{5}$/.test(code)) return /^(08|57P0)/.test(code);
  return code !== undefined || /terminated|closed|timeout|not queryable/i.test(message);
}
