import type { Queryable } from '../../../src/db/types.ts';
import { hashProvider } from '../../../src/providers/hash.ts';
import { decodeVector } from '../../../src/vector/binary.ts';
import { cosine } from '../../../src/vector/math.ts';
import { type Habits, isBlank, NEW_MODEL, OLD_MODEL } from './application.ts';
import type { Book, Outcome } from './book.ts';

/** What must be 0. `left`: scaffolding, locks, a state that contradicts the catalog; `errors`: what the application saw and no fault explains. */
export const COUNTS = ['lost', 'stale', 'duplicated', 'mixed', 'left', 'errors'] as const;
export type Count = (typeof COUNTS)[number];

export interface Violation {
  readonly count: Count;
  readonly what: string;
}

export interface Found {
  readonly ref: string;
  readonly id: string;
  readonly text: string | null;
  readonly bytes: Buffer | null;
}

export interface JudgeOptions {
  readonly book: Book;
  readonly habits: Habits;
  /** Whose vectors `column` must hold. */
  readonly side: 'old' | 'new';
  readonly column: string;
  /** Whether rows written by a text-only application after the exchange are held to the oracle as well: yes, once `reembed sync` has embedded them. */
  readonly heldAfterSwap: boolean;
  /** Rows may be without a vector, as the old column's are after the exchange: then only a wrong one counts. */
  readonly mayLack?: boolean;
}

/** Compares every row with the log, whichever of its outcomes are possible. */
export async function judgeRows(db: Queryable, book: Book): Promise<Violation[]> {
  const { rows } = await db.query<Found>(
    // Not by an index: a row that two index entries lead to, or none, is part of what is looked for.
    'SELECT ref, id::text AS id, text, NULL AS bytes FROM segments',
  );
  const violations: Violation[] = [];
  const byRef = groupByRef(rows);
  for (const [ref, same] of byRef) {
    if (same.length > 1) violations.push({ count: 'duplicated', what: `${ref} is there ${same.length} times` });
    const [row] = same;
    if (row === undefined || book.possible(ref).some((outcome) => isThis(outcome, row))) continue;
    const back = book.possible(ref).every((outcome) => !outcome.exists);
    if (back) violations.push({ count: 'duplicated', what: `${ref} came back` });
    else violations.push({ count: 'lost', what: `${ref} has a text or key that nobody gave it last` });
  }
  for (const [ref, outcomes] of book.rows) {
    if (!byRef.has(ref) && outcomes.every((outcome) => outcome.exists)) {
      violations.push({ count: 'lost', what: `${ref} is gone` });
    }
  }
  const keys = new Set(rows.map((row) => row.id));
  if (keys.size < rows.length) violations.push({ count: 'duplicated', what: `${rows.length - keys.size} keys twice` });
  return violations;
}

function groupByRef(rows: readonly Found[]): Map<string, Found[]> {
  const groups = new Map<string, Found[]>();
  for (const row of rows) groups.set(row.ref, [...(groups.get(row.ref) ?? []), row]);
  return groups;
}

function isThis(outcome: Outcome, row: Pick<Found, 'id' | 'text'>): boolean {
  return outcome.exists && outcome.id === row.id && outcome.text === row.text;
}

/** Embeds every row's present text again and compares: none, another text's, another model's. */
export async function judgeVectors(db: Queryable, options: JudgeOptions): Promise<Violation[]> {
  const { column, side, mayLack = false } = options;
  const { rows } = await db.query<Found>(
    `SELECT ref, id::text AS id, text, vector_send(${column}) AS bytes FROM segments ORDER BY id`,
  );
  const held = rows.filter((row) => isHeld(options, row));
  const provider = hashProvider(side === 'new' ? NEW_MODEL : OLD_MODEL);
  const { vectors } = await provider.embed(
    rows.map((row) => row.text ?? ''),
    { kind: 'document' },
  );
  const expected = new Map(rows.map((row, i) => [row.ref, vectors[i]]));
  return held.flatMap((row): Violation[] => {
    const own = expected.get(row.ref);
    if (row.bytes === null) {
      return isBlank(row.text) || mayLack ? [] : [{ count: 'lost', what: `${row.ref} has no vector in ${column}` }];
    }
    const stored = decodeVector(row.bytes);
    if (isBlank(row.text)) return [{ count: 'stale', what: `${row.ref} has a vector of a text that it lost` }];
    if (stored.length !== own?.length) {
      return [{ count: 'mixed', what: `${row.ref} has ${stored.length} dimensions in ${column}` }];
    }
    if (cosine(stored, own) > 0.999999) return [];
    const other = rows.find((each) => each.ref !== row.ref && isSame(stored, expected.get(each.ref)));
    if (other !== undefined)
      return [{ count: 'mixed', what: `${row.ref} has the vector of ${other.ref} in ${column}` }];
    return [{ count: 'stale', what: `${row.ref} has a vector of another text in ${column}` }];
  });
}

function isHeld({ book, habits, side, heldAfterSwap }: JudgeOptions, row: Found): boolean {
  if (habits !== 'text-only') return true;
  // It never writes a vector: the old ones are as old as its last word to them.
  if (side === 'old') return false;
  if (heldAfterSwap) return true;
  return book
    .possible(row.ref)
    .filter((outcome) => isThis(outcome, row))
    .every((outcome) => outcome.exists && !(outcome.afterSwap && outcome.epoch === book.epoch));
}

function isSame(a: Float32Array, b: Float32Array | undefined): boolean {
  return b !== undefined && a.length === b.length && cosine(a, b) > 0.999999;
}
