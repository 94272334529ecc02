import type { SideProviders } from '../../search/search.ts';
import type { EvaluationCheck } from '../types.ts';
import type { CheckedSide } from './types.ts';

/** The column, the vectors in it and the model that embeds the queries must be of one size. */
export async function checkDimensions(
  { search, vectors }: CheckedSide,
  providers: SideProviders,
): Promise<EvaluationCheck> {
  const { side, target } = search;
  const { table, column, vectorType, dimensions } = target;
  const model = (await providers[side]?.())?.model;
  const stored = [...new Set(vectors.map((vector) => vector.length))].sort((a, b) => a - b);
  // A column may be declared without a size.
  const sizes = new Set([...(dimensions > 0 ? [dimensions] : []), ...(model === undefined ? [] : [model.dimensions])]);
  const same = new Set([...sizes, ...stored]).size <= 1;
  const declared = dimensions > 0 ? `${vectorType}(${dimensions})` : `${vectorType} of any size`;
  const held = stored.length === 0 ? '' : `, its vectors have ${stored.join(' and ')}`;
  const made =
    model === undefined ? 'its model is not configured' : `the model ${model.name} makes ${model.dimensions}`;
  return {
    code: 'dimensions',
    level: same ? 'info' : 'fail',
    message: `The ${side} column ${table}.${column} is ${declared}${held}, ${made}${same ? '' : ': they must be equal'}.`,
    values: { side, column: dimensions, stored: stored.join(' '), model: model?.dimensions ?? null },
  };
}
