import type { LoadedConfig } from '../config/load-config.ts';
import type { MigrationContext } from '../state/context.ts';
import type { Cli, MigrationFlags } from './command.ts';

/** Reads the configuration, connects, runs `work` for the chosen migration and closes everything again. */
export async function withMigration<T>(
  flags: Pick<MigrationFlags, 'config' | 'migration'>,
  cli: Cli,
  work: (ctx: MigrationContext, config: LoadedConfig) => Promise<T>,
): Promise<T> {
  const { loadConfig } = await import('../config/load-config.ts');
  const { openMigration } = await import('../steps/open-migration.ts');
  const config = await loadConfig({ cwd: cli.cwd, file: flags.config, migrationId: flags.migration });
  const { selected, runtime } = config;
  const { signal, output } = cli;
  const opened = await openMigration({ definition: selected, runtime, signal, onProgress: output.onProgress });
  try {
    return await work(opened.ctx, config);
  } finally {
    await opened.close();
  }
}
