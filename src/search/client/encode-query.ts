import { ModelError, messageOf } from '../../errors.ts';
import type { SearchLayout } from './layout.ts';
import { type SearchPlan, WORDS_ALONE } from './plan-search.ts';
import type { QueryEncoder } from './query-encoder.ts';
import { sideOf } from './read-lists.ts';
import type { Side } from './types.ts';

export interface EncodedPlan {
  readonly plan: SearchPlan;
  readonly vectors: { readonly [side in Side]?: string };
  readonly failure: string | undefined;
}

/** The query by each model that the plan needs. Where words are asked as well, they alone answer when a model cannot. */
export async function encodeQuery(
  text: string,
  encoders: Readonly<Record<Side, QueryEncoder | undefined>>,
  layout: SearchLayout,
  plan: SearchPlan,
  signal: AbortSignal | undefined,
): Promise<EncodedPlan> {
  const vectors: { [side in Side]?: string } = {};
  try {
    await Promise.all(
      plan.sides.map(async (side) => {
        const { name, target, model } = sideOf(layout, side);
        const column = { side, name, dimensions: target.dimensions, model };
        const encoder = encoders[side];
        if (encoder !== undefined) vectors[side] = await encoder.encode(text, column, signal);
      }),
    );
    return { plan, vectors, failure: undefined };
  } catch (error) {
    const isWrongModel = error instanceof ModelError && WRONG_MODEL.has(error.code);
    if (plan.keyword !== 'all' || isWrongModel || signal?.aborted === true) throw error;
    return { plan: WORDS_ALONE, vectors: {}, failure: messageOf(error) };
  }
}

const WRONG_MODEL: ReadonlySet<string> = new Set(['model_differs', 'dimensions_differ']);
