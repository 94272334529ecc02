import { shuffled } from './split.ts';
import type { Sample } from './types.ts';

/** Queries whose answers are in one part of a sample, by the rows of that part. */
export interface PartQueries {
  readonly queries: readonly string[];
  readonly answers: readonly (readonly number[])[];
}

/** As a report names each text's own words. */
export const OWN_TEXTS = "the rows' own texts";
/** An item that more texts share is a category. */
const MAX_SHARED = 10;
/** Queries at most: more are embedded, and paid for, without telling more. */
const MOST_QUERIES = 1_000;

/** Each text asked for by itself. */
export function ownTextsOfPart({ texts }: Pick<Sample, 'texts'>, places: readonly number[]): PartQueries {
  const own = places.map((place) => texts[place]?.text ?? '').slice(0, MOST_QUERIES);
  return { queries: own, answers: own.map((_, row) => [row]) };
}

/** What can be asked of a part: the queries that name their answers, else each text's item, else the texts themselves. */
export function queriesOfPart({ texts, asked }: Sample, places: readonly number[], seed: number): PartQueries {
  const rows = new Map(places.map((place, row) => [place, row]));
  const found =
    asked === undefined
      ? byItem(places.map((place) => texts[place]?.item))
      : asked.map(({ query, answers }) => ({ query, answers: answers.flatMap((place) => rows.get(place) ?? []) }));
  const usable = found.filter(({ answers }) => answers.length > 0);
  const drawn = usable.length > MOST_QUERIES ? shuffled(usable, seed).slice(0, MOST_QUERIES) : usable;
  return { queries: drawn.map(({ query }) => query), answers: drawn.map(({ answers }) => answers) };
}

function byItem(items: readonly (string | undefined)[]): { query: string; answers: number[] }[] {
  const rows = new Map<string, number[]>();
  for (const [row, item] of items.entries()) {
    if (item !== undefined) rows.set(item, [...(rows.get(item) ?? []), row]);
  }
  return [...rows]
    .map(([query, answers]) => ({ query, answers }))
    .filter(({ answers }) => answers.length <= MAX_SHARED);
}
