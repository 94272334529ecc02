import { stat } from 'node:fs/promises';
import { ModelError, messageOf } from '../../errors.ts';
import { verifyModel } from '../../models/list-models.ts';
import type { MigrationContext } from '../../state/context.ts';
import { errorOf } from '../finding.ts';
import { type Look, seen } from './look.ts';

const WHY =
  'Without its files a model cannot run; altered ones make vectors that cannot be compared with those that are there.';

/** The model's files against their manifest, without loading them. */
export async function lookAtModelFiles({ definition, runtime }: MigrationContext): Promise<Look> {
  const { provider, model } = definition;
  try {
    if (provider === 'local') {
      const { dtype, modelsDir, modelLock } = runtime;
      const verified = await verifyModel(model, { dtype, modelsDir, modelLock });
      const found =
        verified.result === 'match' ? 'as its manifest says' : 'complete, without a manifest to compare with';
      return seen(`${verified.directory} (${verified.dtype}): ${found}`);
    }
    if (provider === 'file') {
      const { size } = await stat(model).catch((cause: unknown) => {
        throw new ModelError('vectors_missing', `The vectors ${model} cannot be read: ${messageOf(cause)}.`, {
          hint: 'Put the file there, or name another one as the model.',
          cause,
        });
      });
      return seen(`${model}, ${size} bytes`);
    }
    return seen(`the provider ${provider} has no files on this machine`);
  } catch (error) {
    return seen(model, [errorOf(error, WHY, 'Run "reembed model verify".')]);
  }
}
