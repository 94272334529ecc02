import { ConfigError, PreflightError } from '../../errors.ts';
import type { SearchLayout } from './layout.ts';
import type { SearchMode, Side, Source } from './types.ts';

/** What a request asks, and whose order its hits come in. */
export interface SearchPlan {
  readonly served: Source | 'both';
  /** Whose vectors are asked, in this order. */
  readonly sides: readonly Side[];
  /** `waiting`: only rows that the served side has no vector of, where no other side can rank them. */
  readonly keyword: 'all' | 'waiting' | undefined;
}

/** The models that the application has configured. */
export type Configured = Readonly<Record<Side, boolean>>;

export const WORDS_ALONE: SearchPlan = { served: 'keyword', sides: [], keyword: 'all' };

/**
 * Which sources a mode asks in the present phase. A side other than the active one may lack rows, which the active one then ranks, or the
 * words where its model is not configured.
 *
 * @param bucket 0..100, of the request's key: below the share it is routed to the new model
 * @throws ConfigError `no_provider`; PreflightError `not_expanded`, `old_column_gone`
 */
export function planSearch(layout: SearchLayout, mode: SearchMode, bucket: number, has: Configured): SearchPlan {
  switch (mode) {
    case 'keyword':
      return WORDS_ALONE;
    case 'hybrid':
      return { ...planSide(layout, layout.active, has), keyword: 'all' };
    case 'merge':
      return planMerge(layout, has);
    case 'route':
      return planSide(layout, routedSide(layout, bucket, has), has);
    case 'active':
      return planSide(layout, layout.active, has);
    default:
      return planSide(layout, mode, has);
  }
}

function planSide(layout: SearchLayout, side: Side, has: Configured): SearchPlan {
  requireSide(layout, side, has);
  const other = otherSide(side);
  const plain: SearchPlan = { served: side, sides: [side], keyword: undefined };
  // The active column has all that the application gave it, but for gaps.
  if (side === layout.active && !layout.hasGaps) return plain;
  // The one that fills in is asked first: a row that gets its vector between the two looks is then in both, and never in none.
  if (isThere(layout, other) && has[other]) return { ...plain, sides: [other, side] };
  return side === layout.active ? plain : { ...plain, keyword: 'waiting' };
}

/** With one side gone or not there yet the other one is all there is to merge. */
function planMerge(layout: SearchLayout, has: Configured): SearchPlan {
  if (!isThere(layout, otherSide(layout.active))) return planSide(layout, layout.active, has);
  requireSide(layout, 'old', has);
  requireSide(layout, 'new', has);
  return { served: 'both', sides: [layout.active, otherSide(layout.active)], keyword: undefined };
}

/** A side that cannot be asked leaves its share of the requests to the active one. */
function routedSide(layout: SearchLayout, bucket: number, has: Configured): Side {
  if (layout.routePercent === null) return layout.active;
  const side = bucket < layout.routePercent ? 'new' : 'old';
  return isThere(layout, side) && has[side] ? side : layout.active;
}

export function otherSide(side: Side): Side {
  return side === 'old' ? 'new' : 'old';
}

function isThere(layout: SearchLayout, side: Side): boolean {
  return !(layout.sides[side] instanceof PreflightError);
}

function requireSide(layout: SearchLayout, side: Side, has: Configured): void {
  const there = layout.sides[side];
  if (there instanceof PreflightError) throw there;
  if (has[side]) return;
  throw new ConfigError(
    'no_provider',
    `The ${side} model is not configured, so a text cannot be searched by its vectors.`,
    { step: 'inspect', hint: `${giveModel(side)}.` },
  );
}

/** How a side's model is configured, by the library's user and on the command line; without a full stop. */
export function giveModel(side: Side): string {
  const inFile = side === 'old' ? '"from" (or EMBEDDING_OLD_MODEL)' : '"model" (or EMBEDDING_MODEL)';
  return `Give createSearch encoders.${side}; for the command line set ${inFile} in reembed.config.ts`;
}
