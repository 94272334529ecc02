import { resolve } from 'node:path';
import type { Argv } from 'yargs';
import type { Registry } from '../../../adapters/registry.ts';
import { loadRuntimeSettings } from '../../../config/runtime.ts';
import type { Cli } from '../../command.ts';

/** `--dir`, for every verb that works on a registry. */
export function registryFlags<T>(yargs: Argv<T>) {
  return yargs.option('dir', {
    type: 'string',
    requiresArg: true,
    describe: 'The directory of the projections',
    defaultDescription: 'REEMBED_PROJECTIONS_DIR, projections',
  });
}

/** The registry that `--dir` names, else the environment. */
export async function registryOf({ dir }: { readonly dir: string | undefined }, { cwd }: Cli): Promise<Registry> {
  const { openRegistry } = await import('../../../adapters/registry.ts');
  return openRegistry(dir === undefined ? loadRuntimeSettings().adapters.dir : resolve(cwd, dir));
}
