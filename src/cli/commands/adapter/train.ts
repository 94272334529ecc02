import { loadRuntimeSettings } from '../../../config/runtime.ts';
import { trainReport } from '../../../reports/train-report.ts';
import type { TrainAdapterOptions, TrainedAdapter } from '../../../steps/adapter/types.ts';
import { type Cli, defineCommand } from '../../command.ts';
import { querySource } from '../../evaluate-flags.ts';
import { withMigration } from '../../with-migration.ts';
import { flaggedModel, type TrainFlags, trainFlags, usage } from './train-flags.ts';

/** `reembed adapter train`: learns a projection, measures it, registers it. */
export const trainAdapterCommand = defineCommand({
  usage: 'train',
  describe: 'Learn a map between two models from rows of the table, and measure what it loses',
  flags: trainFlags,
  run: async (flags, cli) => {
    const trained = await (flags.textFile === undefined
      ? fromTable(flags, cli)
      : fromTexts(flags, flags.textFile, cli));
    cli.output.result(trained, trainReport(trained));
    return 0;
  },
});

function choicesOf(flags: TrainFlags): TrainAdapterOptions {
  const { kind, direction, samples, holdout, seed, minRetention, outputDir: dir } = flags;
  const { sourceProvider, sourceModel, sourceDimensions, targetProvider, targetModel, targetDimensions } = flags;
  return {
    ...{ kind, direction, samples, holdout, seed, minRetention, dir },
    source: flaggedModel('source', { provider: sourceProvider, model: sourceModel, dimensions: sourceDimensions }),
    target: flaggedModel('target', { provider: targetProvider, model: targetModel, dimensions: targetDimensions }),
    queries: querySource(flags),
  };
}

async function fromTable(flags: TrainFlags, cli: Cli): Promise<TrainedAdapter> {
  const { trainAdapter } = await import('../../../steps/train-adapter.ts');
  const choices = choicesOf(flags);
  return withMigration(flags, cli, (ctx) => {
    const device = flags.device ?? ctx.runtime.device;
    return trainAdapter({ ...ctx, runtime: { ...ctx.runtime, device } }, choices);
  });
}

async function fromTexts(flags: TrainFlags, textFile: string, { signal, output }: Cli): Promise<TrainedAdapter> {
  const { trainAdapterFromTexts } = await import('../../../steps/train-adapter-from-texts.ts');
  const { source, target, queries: _, ...choices } = choicesOf(flags);
  if (source === undefined || target === undefined) {
    throw usage('--text-file takes two models: --source-model and --target-model (with -provider and -dimensions).');
  }
  const runtime = loadRuntimeSettings();
  return trainAdapterFromTexts({
    ...choices,
    ...{ textFile, source, target, signal },
    runtime: { ...runtime, device: flags.device ?? runtime.device },
    onProgress: output.onProgress,
  });
}
