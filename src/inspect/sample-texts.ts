import type { Queryable } from '../db/types.ts';
import type { SampledText, TextSample } from '../plan/inputs.ts';
import { countPagesSql } from '../sql/relation-size.ts';
import { tableSql, type VectorTarget } from '../sql/target.ts';
import { textSampleSql } from '../sql/text-sample.ts';
import type { TokenCounter } from './token-counter.ts';

/** Pages of the table that are looked at: some MB, whatever its size. */
const SAMPLED_PAGES = 500;
const SAMPLED_ROWS = 2_000;
/** What the database calls blank, too: white space of ASCII. */
const NOT_BLANK = /[^ \t\n\v\f\r]/;

/** A row of the sample. */
export interface DrawnText {
  readonly page: number;
  /** The text's beginning; null for a row that is not embedded, or need not be any more. */
  readonly text: string | null;
  /** Of the whole text, in UTF-8. */
  readonly bytes: number;
  /** This migration has embedded it already. */
  readonly done: boolean;
}

/** Draws rows from pages chosen at random; every row of a table that is small enough. */
export async function drawTexts(
  db: Queryable,
  target: Pick<VectorTarget, 'schema' | 'table' | 'key' | 'text'>,
  doneColumn: string | undefined,
): Promise<DrawnText[]> {
  const found = await db.query<{ pages: number }>(countPagesSql(), [tableSql(target)]);
  const share = Math.min(1, SAMPLED_PAGES / Math.max(1, found.rows[0]?.pages ?? 1));
  const { rows } = await db.query<DrawnText>(textSampleSql(target, doneColumn), [100 * share, SAMPLED_ROWS]);
  return rows.map((row) => (NOT_BLANK.test(row.text ?? '') && !row.done ? row : { ...row, text: null, bytes: 0 }));
}

/** The drawn texts in tokens, where something here counts them. */
export async function countTokens(drawn: readonly DrawnText[], counter: TokenCounter): Promise<TextSample> {
  const { tokenizer, notCounted, maxTokens } = counter;
  const texts = drawn.flatMap(({ text }) => (text === null ? [] : [text]));
  const tokens = await counter.count(texts);
  let next = 0;
  return {
    tokenizer,
    notCounted,
    maxTokens,
    texts: drawn.map(({ page, text, bytes, done }): SampledText => {
      if (text === null) return { page, bytes: 0, tokens: 0, done };
      const counted = tokens?.[next++];
      return { page, bytes, done, tokens: counted === undefined ? undefined : scaled(counted, text, bytes) };
    }),
  };
}

/** Of a text whose beginning only was read. */
function scaled(tokens: number, text: string, bytes: number): number {
  const read = Buffer.byteLength(text);
  return read >= bytes ? tokens : Math.round((tokens * bytes) / read);
}
