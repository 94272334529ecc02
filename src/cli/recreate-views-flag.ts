import type { Argv } from 'yargs';
import type { MigrationContext } from '../state/context.ts';
import type { MigrationFlags } from './command.ts';

/** `--recreate-views`, for both ways of the exchange. */
export function recreateViewsFlag<Flags extends MigrationFlags>(yargs: Argv<Flags>) {
  return yargs.option('recreate-views', {
    type: 'boolean',
    default: false,
    describe: 'Drop plain views over the column and make them again within the exchange',
  });
}

/** The context for this run: the flag only ever adds to what the configuration says. */
export function recreatingViews(
  ctx: MigrationContext,
  { recreateViews }: { readonly recreateViews: boolean },
): MigrationContext {
  return recreateViews ? { ...ctx, runtime: { ...ctx.runtime, recreateViews } } : ctx;
}
