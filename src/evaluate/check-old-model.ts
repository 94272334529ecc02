import { ModelError } from '../errors.ts';
import { compareFewRows, OTHER_MODEL, SAME_MODEL } from '../inspect/resemblance.ts';
import type { MigrationContext } from '../state/context.ts';
import type { EvaluatedSide } from './sides.ts';
import type { EvaluationCheck } from './types.ts';

/**
 * Nobody recorded which model made the old vectors. With another one the old side finds nothing, and anything would be "not worse": some
 * rows are embedded again and compared. Undefined where the state knows the model, and where it has no vectors for rows (`file`).
 *
 * @throws ModelError `old_model_differs`
 */
export async function checkOldModel(
  ctx: MigrationContext,
  { name, search, open }: EvaluatedSide,
  seed: number,
): Promise<EvaluationCheck | undefined> {
  if (search.model !== undefined) return undefined;
  const provider = await open();
  const compared = await compareFewRows(ctx, search.target, provider, seed);
  if (compared === undefined) return undefined;
  const { rows, meanCosine: cosine } = compared;
  const { schema, table, column, dimensions } = search.target;
  const made = `${provider.model.name} (${provider.model.dimensions} dimensions) makes of ${rows} texts`;
  const stored = `what is stored in ${schema}.${table}.${column} (${dimensions})`;
  const found = `${made} ${stored} with a mean cosine of ${cosine.toFixed(3)}, about 1 is expected`;
  if (cosine < OTHER_MODEL) {
    throw new ModelError('old_model_differs', `${found}: it is not the model of the ${name} vectors.`, {
      step: 'inspect',
      hint: 'Correct "from" in reembed.config.ts (or EMBEDDING_OLD_PROVIDER, EMBEDDING_OLD_MODEL, EMBEDDING_OLD_DIMENSIONS).',
      context: { meanCosine: cosine, expected: SAME_MODEL, rows },
    });
  }
  const level = cosine < SAME_MODEL ? 'warn' : 'info';
  return { code: 'old_model', level, message: `${found}.`, values: { rows, meanCosine: cosine, expected: SAME_MODEL } };
}
