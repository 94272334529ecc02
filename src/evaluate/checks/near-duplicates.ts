import { number } from '../../amounts.ts';
import type { EvaluationCheck } from '../types.ts';
import type { CheckedSample, CheckedSide } from './types.ts';

/** Of int8 models the same text alone and in a batch agree to 0.995: nothing below is a duplicate for sure. */
const DUPLICATE = 0.999;
/** A share of rows that cannot be told apart, above the old side's, from which one has to look, and from which it stands against a swap. */
const LOOK = 0.01;
const TOO_MANY = 0.1;

/** Rows whose vector another row with a different text has as well: a search cannot tell them apart. */
export function checkNearDuplicates({ sides, texts }: CheckedSample): EvaluationCheck {
  const plain = texts.map((text) => text.trim().replaceAll(/\s+/g, ' ').toLowerCase());
  const counts = sides.map((side) => ({ side: side.search.side, count: countDuplicates(side, plain) }));
  const of = (wanted: 'old' | 'new') => counts.find(({ side }) => side === wanted)?.count;
  const [old, present] = [of('old'), of('new')];
  const more = ((present ?? 0) - (old ?? 0)) / Math.max(1, texts.length);
  const level = more > TOO_MANY ? 'fail' : more > LOOK ? 'warn' : 'info';
  const found = counts.map(({ side, count }) => `${number(count)} of the ${side} vectors`).join(' and ');
  const expected = level === 'info' ? '' : ', expected no more than of the old ones';
  return {
    code: 'near_duplicates',
    level,
    message: `In ${number(texts.length)} rows ${found} reach a cosine of ${DUPLICATE} with a row of another text${expected}.`,
    values: { rows: texts.length, old: old ?? null, new: present ?? null, limit: DUPLICATE },
  };
}

function countDuplicates({ cosines: { count, values } }: CheckedSide, texts: readonly string[]): number {
  let rows = 0;
  for (let i = 0; i < count; i++) {
    const row = values.subarray(i * count, (i + 1) * count);
    if (row.some((cosine, j) => cosine >= DUPLICATE && texts[i] !== texts[j])) rows++;
  }
  return rows;
}
