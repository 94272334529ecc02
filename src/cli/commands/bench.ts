import { loadRuntimeSettings } from '../../config/runtime.ts';
import { defineCommand, migrationFlags } from '../command.ts';
import { wholeNumber } from '../whole-number.ts';

/** `reembed bench`: what this machine makes of a model, on the user's texts. */
export const bench = defineCommand({
  usage: 'bench',
  describe: 'Measure a model on this machine, with your texts',
  flags: (yargs) =>
    migrationFlags(yargs)
      .option('texts', {
        type: 'string',
        requiresArg: true,
        describe: 'JSON lines with text and title, or a text a line',
        defaultDescription: "the repository's example",
      })
      .option('compare', {
        type: 'boolean',
        default: false,
        describe: 'Every precision and device that is here, a plain loop, and what each precision costs',
      })
      .option('model', {
        type: 'string',
        requiresArg: true,
        describe: 'A name or a directory',
        defaultDescription: 'the configured one, else the bundled one',
      })
      .option('dimensions', {
        type: 'string',
        requiresArg: true,
        coerce: wholeNumber('dimensions', 1),
        describe: 'Those that the model must have',
      })
      .option('limit', {
        type: 'string',
        requiresArg: true,
        coerce: wholeNumber('limit', 1),
        describe: 'Texts at most',
        defaultDescription: '1000',
      })
      .option('rounds', {
        type: 'string',
        requiresArg: true,
        coerce: wholeNumber('rounds', 1),
        describe: 'Turns of each',
        defaultDescription: '5',
      }),
  run: async (flags, { cwd, signal, output }) => {
    const [{ bench: measure }, { chooseBenchModel }, { benchReport }] = await Promise.all([
      import('../../bench/bench.ts'),
      import('../../bench/choose-model.ts'),
      import('../../reports/bench-report.ts'),
    ]);
    const { texts, compare, limit, rounds, config, migration } = flags;
    const runtime = loadRuntimeSettings();
    const { model, dimensions } = flags;
    const chosen = await chooseBenchModel({ model, dimensions, cwd, config, migration, modelsDir: runtime.modelsDir });
    if (chosen.note !== undefined) output.note(chosen.note);
    const result = await measure({
      ...runtime,
      ...chosen,
      texts,
      compare,
      limit,
      rounds,
      signal,
      onProgress: output.onProgress,
    });
    output.result(result, benchReport(result));
    return 0;
  },
});
