import { resolve } from 'node:path';
import { loadRuntimeSettings } from '../../../config/runtime.ts';
import { adapterSummary } from '../../../reports/adapter-report.ts';
import type { ComposedAdapter, ComposeOptions } from '../../../steps/compose-adapters.ts';
import { type Cli, defineCommand, migrationFlags } from '../../command.ts';
import { wholeNumber } from '../../whole-number.ts';
import { withMigration } from '../../with-migration.ts';
import { registryFlags, registryOf } from './registry-flags.ts';

/** `reembed adapter compose <A→B> <B→C>`: two projections as one, measured on what neither was measured on. */
export const composeAdapters = defineCommand({
  usage: 'compose <first> <second>',
  describe: 'Make one projection of two that follow each other, and measure it',
  flags: (yargs) =>
    registryFlags(migrationFlags(yargs))
      .positional('first', { type: 'string', demandOption: true, describe: 'A→B' })
      .positional('second', { type: 'string', demandOption: true, describe: 'B→C' })
      .option('text-file', {
        type: 'string',
        requiresArg: true,
        describe: 'Measure on these texts, as "adapter train" takes them',
        defaultDescription: "rows of the migration's table",
      })
      .option('holdout', {
        type: 'string',
        requiresArg: true,
        coerce: wholeNumber('holdout', 50),
        describe: 'How many vectors to measure on',
        defaultDescription: '500',
      })
      .option('measure', { type: 'boolean', default: true, describe: '--no-measure: register it without a measure' })
      .conflicts('text-file', ['config', 'migration']),
  run: async (flags, cli) => {
    const { dir } = await registryOf(flags, cli);
    const { first, second, holdout, measure } = flags;
    const options = { dir, first, second, holdout };
    const composed = await (measure ? measured(flags, options, cli) : unmeasured(options));
    for (const warning of composed.warnings) cli.output.onProgress({ kind: 'warning', message: warning });
    cli.output.result(
      { ...composed, entry: { ...composed.entry, metrics: composed.entry.metrics ?? null } },
      describe(composed),
    );
    return 0;
  },
});

interface MeasureFlags {
  readonly textFile: string | undefined;
  readonly config: string | undefined;
  readonly migration: string | undefined;
}

async function measured(flags: MeasureFlags, options: ComposeOptions, cli: Cli): Promise<ComposedAdapter> {
  const { composeOnTable, composeOnTexts } = await import('../../../steps/compose-adapters.ts');
  const { cwd, signal, output } = cli;
  if (flags.textFile === undefined) return withMigration(flags, cli, (ctx) => composeOnTable(ctx, options));
  const textFile = resolve(cwd, flags.textFile);
  return composeOnTexts({
    ...options,
    textFile,
    runtime: loadRuntimeSettings(),
    signal,
    onProgress: output.onProgress,
  });
}

async function unmeasured(options: ComposeOptions): Promise<ComposedAdapter> {
  const { composeUnmeasured } = await import('../../../steps/compose-adapters.ts');
  return composeUnmeasured(options);
}

function describe({ entry, dir, where }: ComposedAdapter): string {
  const how =
    where === undefined
      ? 'It was not measured: what it loses is unknown, and nothing chooses it by itself.'
      : `Measured on ${entry.metrics?.holdout} vectors of ${where}, which counts as far as its parts were not trained on these.`;
  return [
    `Registered ${entry.id} in ${dir}: ${adapterSummary(entry)}`,
    how,
    `All measures: reembed adapter show ${entry.id}`,
  ].join('\n');
}
