import { createHash } from 'node:crypto';
import { overlapAt, rankBiasedOverlap, rankChanges } from '../../vector/rank-agreement.ts';
import type { ServedSearch, ShadowRow } from './types.ts';

/** Hits that are compared at most: the keys of two longer lists would fill the log. */
export const MAX_COMPARED = 100;

/** What the other side made of a search. */
export function compareAnswers(
  served: ServedSearch & { readonly side: 'old' | 'new' },
  shadow: Pick<ServedSearch, 'keys' | 'milliseconds'>,
  queryText: boolean,
): ShadowRow {
  const k = Math.min(served.limit, MAX_COMPARED);
  const first = served.keys.slice(0, k).map(keyText);
  const second = shadow.keys.slice(0, k).map(keyText);
  return {
    at: performance.now(),
    served: served.side,
    k,
    overlap: overlapAt(first, second, k),
    rank_biased_overlap: rankBiasedOverlap(first, second),
    served_ms: served.milliseconds,
    shadow_ms: shadow.milliseconds,
    detail: {
      query: queryText ? storable(served.query) : null,
      queryHash: createHash('sha256').update(served.query).digest('hex').slice(0, 16),
      filtered: served.filter !== undefined,
      firstChanged: first[0] !== second[0],
      ...rankChanges(first, second),
    },
  };
}

/** The one column's text, or all of them as a JSON array. */
function keyText(key: readonly string[]): string {
  return key.length === 1 ? (key[0] ?? '') : JSON.stringify(key);
}

/** Postgres takes neither NUL nor half a surrogate pair in a JSON text. */
function storable(text: string): string {
  return Buffer.from(text, 'utf8').toString('utf8').replaceAll('\u0000', ' ');
}
