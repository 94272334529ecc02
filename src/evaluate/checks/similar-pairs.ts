import { plural } from '../../plural.ts';
import type { EmbeddingProvider } from '../../providers/types.ts';
import { pairValues } from '../../vector/cosine-matrix.ts';
import { ascending, quantile } from '../../vector/distribution.ts';
import { cosine } from '../../vector/math.ts';
import type { EvaluationCheck } from '../types.ts';
import type { TextPair } from './read-pairs.ts';
import { shortNumber } from './short-number.ts';
import { type CheckedSide, MIN_ROWS } from './types.ts';

/** What a model makes of the pairs. */
interface JudgedPairs {
  readonly similar: number;
  readonly below: number;
  readonly limit: number | undefined;
  readonly lowest: { readonly pair: TextPair; readonly cosine: number } | undefined;
  /** The share of (similar, dissimilar) couples of pairs in which the similar one is nearer; undefined without dissimilar ones. */
  readonly ordered: number | undefined;
}

/**
 * Pairs that mean the same must be nearer than what two random texts of the table are in 95 of 100 cases: a limit measured for each
 * model. One number for all models is wrong: what is 0.8 to one is 0.69 to another that orders just as well (all-MiniLM-L6-v2 on "machine
 * learning" and "artificial intelligence").
 *
 * @param fixedLimit asked for instead of the measured one
 */
export async function checkSimilarPairs(
  { search, cosines }: CheckedSide,
  provider: EmbeddingProvider,
  pairs: readonly TextPair[],
  fixedLimit: number | undefined,
  signal: AbortSignal | undefined,
): Promise<EvaluationCheck> {
  const { vectors } = await provider.embed(
    pairs.flatMap(({ a, b }) => [a, b]),
    { kind: 'document', signal },
  );
  const empty = new Float32Array(0);
  const measured = pairs.map((pair, i) => ({
    pair,
    cosine: cosine(vectors[2 * i] ?? empty, vectors[2 * i + 1] ?? empty),
  }));
  const background = cosines.count < MIN_ROWS ? undefined : quantile(ascending(pairValues(cosines)), 0.95);
  const judged = judgePairs(measured, fixedLimit ?? background);
  const bad = judged.below > 0 || (judged.ordered !== undefined && judged.ordered < 0.9);
  return {
    code: 'similar_pairs',
    level: !bad ? 'info' : search.side === 'new' && judged.below > judged.similar / 2 ? 'fail' : 'warn',
    message: describe(search.side, provider.model.name, judged, fixedLimit !== undefined),
    values: {
      side: search.side,
      similar: judged.similar,
      below: judged.below,
      limit: judged.limit ?? null,
      lowest: judged.lowest?.cosine ?? null,
      ordered: judged.ordered ?? null,
    },
  };
}

/** @param limit the cosine that similar pairs must reach; undefined where nothing is known of the model's scale */
export function judgePairs(
  measured: readonly { readonly pair: TextPair; readonly cosine: number }[],
  limit: number | undefined,
): JudgedPairs {
  const similar = measured.filter(({ pair }) => pair.similar).sort((a, b) => a.cosine - b.cosine);
  const others = measured.filter(({ pair }) => !pair.similar);
  const couples = similar.length * others.length;
  let right = 0;
  for (const one of similar) {
    for (const other of others) right += one.cosine > other.cosine ? 1 : one.cosine === other.cosine ? 0.5 : 0;
  }
  return {
    similar: similar.length,
    below: limit === undefined ? 0 : similar.filter((each) => !(each.cosine >= limit)).length,
    limit,
    lowest: similar[0],
    ordered: couples === 0 ? undefined : right / couples,
  };
}

function describe(side: string, model: string, judged: JudgedPairs, isFixed: boolean): string {
  const { similar, below, limit, lowest, ordered } = judged;
  const pairs = plural(similar, 'similar pair');
  const among =
    lowest === undefined
      ? ''
      : `, the lowest ${shortNumber(lowest.cosine)} ("${cut(lowest.pair.a)}" and "${cut(lowest.pair.b)}")`;
  const measure = isFixed ? 'the limit that was given' : 'above 95% of random pairs in the table';
  const reached =
    limit === undefined
      ? `The ${side} model ${model} has no scale to judge ${similar} ${pairs} by: fewer than ${MIN_ROWS} rows are embedded`
      : `${similar - below} of ${similar} ${pairs} reach ${shortNumber(limit)} (${measure}) with the ${side} model ${model}`;
  const order =
    ordered === undefined
      ? ''
      : `; a similar pair is nearer than a dissimilar one in ${Math.round(100 * ordered)}% of cases, expected 90% or more`;
  return `${reached}${among}${order}.`;
}

function cut(text: string): string {
  return text.length > 40 ? `${text.slice(0, 39)}…` : text;
}
