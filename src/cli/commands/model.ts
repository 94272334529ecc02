import { loadRuntimeSettings } from '../../config/runtime.ts';
import type { Dtype } from '../../config/types.ts';
import { type Cli, defineCommand, type ExitCode } from '../command.ts';
import { describeListed, describePulled, describeVerified } from '../model-text.ts';

const ACTIONS = ['list', 'pull', 'verify', 'path'] as const;
const DTYPES = ['fp32', 'fp16', 'int8'] as const satisfies readonly Dtype[];

/** `reembed model list | pull | verify | path`: the models on this machine. 3 when a model has no manifest to compare with, 1 when its files are not as they should be. */
export const model = defineCommand({
  usage: 'model <action> [name]',
  describe: 'Download models, list them, verify their files',
  flags: (yargs) =>
    yargs
      .positional('action', { choices: ACTIONS, demandOption: true, describe: 'What to do' } as const)
      .positional('name', {
        type: 'string',
        describe: 'Which model, by name or directory; to pull as the Hub writes it, e.g. BAAI/bge-small-en-v1.5',
        defaultDescription: 'verify: all',
      })
      .option('dtype', { choices: DTYPES, describe: 'Its precision', defaultDescription: 'EMBEDDING_DTYPE' } as const)
      .option('revision', {
        type: 'string',
        requiresArg: true,
        describe: 'pull: a branch, tag or commit',
        defaultDescription: 'the locked one, else main',
      })
      .option('update-lock', {
        type: 'boolean',
        default: false,
        describe: 'pull: accept other files than the locked ones',
      })
      .check(({ action, name, revision, 'update-lock': update }) => {
        if ((action === 'pull' || action === 'path') && name === undefined) return `model ${action} needs a name.`;
        const pulling = revision !== undefined || update;
        return action === 'pull' || !pulling || '--revision and --update-lock go with "model pull".';
      }),
  run: ({ action, name = '', dtype, revision, updateLock }, cli) => {
    switch (action) {
      case 'list':
        return list(cli);
      case 'pull':
        return pull(name, { dtype, revision, updateLock }, cli);
      case 'verify':
        return verify(name, dtype, cli);
      case 'path':
        return path(name, dtype, cli);
    }
  },
});

async function list(cli: Cli): Promise<ExitCode> {
  const { listModels } = await import('../../models/list-models.ts');
  const models = await listModels(loadRuntimeSettings().modelsDir);
  cli.output.result({ models }, models.map(describeListed).join('\n\n'));
  return 0;
}

interface PullFlags {
  readonly dtype: Dtype | undefined;
  readonly revision: string | undefined;
  readonly updateLock: boolean;
}

async function pull(name: string, { dtype, ...flags }: PullFlags, { output, signal }: Cli): Promise<ExitCode> {
  const { pullModel } = await import('../../models/hub/pull-model.ts');
  const { remote, modelsDir, modelLock, dtype: configured } = loadRuntimeSettings();
  const { onProgress } = output;
  const where = { remote, modelsDir, modelLock, onProgress, signal };
  const pulled = await pullModel(name, { ...where, ...flags, dtype: dtype ?? configured });
  output.result(pulled, describePulled(pulled, modelLock));
  return 0;
}

async function verify(name: string, dtype: Dtype | undefined, cli: Cli): Promise<ExitCode> {
  const { verifyModel, verifyModels } = await import('../../models/list-models.ts');
  const { modelsDir, modelLock, dtype: configured } = loadRuntimeSettings();
  const where = { modelsDir, modelLock };
  const models =
    name === ''
      ? await verifyModels({ ...where, dtype })
      : [await verifyModel(name, { ...where, dtype: dtype ?? configured })];
  cli.output.result({ models }, models.map(describeVerified).join('\n'));
  if (models.some((each) => each.result === 'refused')) return 1;
  return models.some((each) => each.result === 'no manifest') ? 3 : 0;
}

async function path(name: string, dtype: Dtype | undefined, cli: Cli): Promise<ExitCode> {
  const { findModelDirectory } = await import('../../models/model-files.ts');
  const { modelsDir, dtype: configured } = loadRuntimeSettings();
  const directory = await findModelDirectory(name, { modelsDir, dtype: dtype ?? configured });
  cli.output.result({ name, directory }, directory);
  return 0;
}
