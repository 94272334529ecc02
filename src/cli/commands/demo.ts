import { resolve } from 'node:path';
import { defineCommand } from '../command.ts';
import { requireDemoFiles } from '../demo/demo-files.ts';
import { nextStepsText, resultText, stageText, styleOf } from '../demo/demo-text.ts';
import { wholeNumber } from '../whole-number.ts';

/** Headings of the manual: inputs, chosen before anybody knew what they find. */
const QUERIES = [
  "Modifying Tables: Changing a Column's Data Type",
  'Message Flow: Canceling Requests in Progress',
  'psql: Command-Line Editing',
];

/** `reembed demo`: the whole chain on real passages, in a database of its own. */
export const demo = defineCommand({
  usage: 'demo',
  describe: 'Show the whole migration on 1,000 real passages, in an embedded database',
  flags: (yargs) =>
    yargs
      .option('directory', {
        type: 'string',
        requiresArg: true,
        describe: "Where the demo's own database lives",
        defaultDescription: '.reembed/demo',
      })
      .option('permute', { type: 'string', requiresArg: true, hidden: true, coerce: wholeNumber('permute', 1) })
      .option('passages', { type: 'string', requiresArg: true, hidden: true, coerce: wholeNumber('passages', 1) }),
  run: async (flags, cli) => {
    const { demoEnvironment, runDemo } = await import('../demo/run-demo.ts');
    const { output, cwd, signal } = cli;
    const files = requireDemoFiles();
    const directory = resolve(cwd, flags.directory ?? '.reembed/demo');
    const style = styleOf(process.stdout);
    // The story goes by while it happens; with --json there is only the document at its end.
    const tell = (text: string): void => void (output.json || process.stdout.write(`${text}\n`));
    const result = await runDemo({
      files,
      directory,
      queries: QUERIES,
      permute: flags.permute,
      limit: flags.passages,
      signal,
      onStage: (stage) => tell(stageText(stage, style)),
      onMessage: (message) => output.note(`knex: ${message}`),
    });
    tell(resultText(result, style));
    output.result(result, nextStepsText(demoEnvironment(files, directory), cwd, style));
    return 0;
  },
});
