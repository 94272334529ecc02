import { loadRuntimeSettings } from '../../config/runtime.ts';
import type { ListedModel, VerifiedModel } from '../../models/list-models.ts';
import { plural } from '../../plural.ts';
import { type Cli, defineCommand, type ExitCode } from '../command.ts';
import { columns, number } from '../text.ts';

const ACTIONS = ['list', 'verify'] as const;

/** `reembed model list | verify [name]`: the models on this machine. 3 when a model has no manifest to compare with. */
export const model = defineCommand({
  usage: 'model <action> [name]',
  describe: 'List the models on this machine, or verify their files',
  flags: (yargs) =>
    yargs
      .positional('action', { choices: ACTIONS, demandOption: true, describe: 'What to do' } as const)
      .positional('name', { type: 'string', describe: 'Which model, by name or directory', defaultDescription: 'all' }),
  run: (flags, cli) => (flags.action === 'list' ? list(cli) : verify(flags.name, cli)),
});

async function list(cli: Cli): Promise<ExitCode> {
  const { listModels } = await import('../../models/list-models.ts');
  const models = await listModels(loadRuntimeSettings().modelsDir);
  cli.output.result({ models }, models.map(describe).join('\n\n'));
  return 0;
}

async function verify(name: string | undefined, cli: Cli): Promise<ExitCode> {
  const { listModels, verifyModel } = await import('../../models/list-models.ts');
  const { modelsDir, dtype } = loadRuntimeSettings();
  const wanted = name === undefined ? (await listModels(modelsDir)).map((each) => each.directory) : [name];
  const models: VerifiedModel[] = [];
  for (const each of wanted) models.push(await verifyModel(each, { modelsDir, dtype }));
  const text = models.map((each) => {
    const files = Object.keys(each.files).length;
    const found = each.result === 'match' ? 'every file is as in its manifest' : 'no manifest to compare with';
    return `${each.name} (${each.dtype}): ${found}; ${files} ${plural(files, 'file takes', 'files take')} part in inference\n  ${each.directory}`;
  });
  cli.output.result({ models }, text.join('\n'));
  return models.some((each) => each.result === 'no manifest') ? 3 : 0;
}

function describe({ name, bundled, directory, dimensions, dtype, license, bytes }: ListedModel): string {
  const megabytes = bytes === null ? 'unknown' : `${number(bytes / 1e6)} MB`;
  return `${name}\n${columns([
    ['  Directory', bundled ? `${directory} (bundled)` : directory],
    ['  Dimensions', dimensions === null ? 'unknown: it has no manifest' : String(dimensions)],
    ['  Precision', dtype ?? 'unknown'],
    ['  Size', megabytes],
    ['  Licence', license ?? 'unknown'],
  ])}`;
}
