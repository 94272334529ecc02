import { resolve } from 'node:path';
import { envFlag, envText } from './env-values.ts';
import type { AdapterSettings } from './types.ts';

/** Variables about projections between two models; `docs/configuration.md` lists them. */
export const adapterShape = {
  REEMBED_PROJECTIONS_DIR: envText('a directory'),
  REEMBED_ADAPTER: envText("a projection's id, or 'auto'"),
  REEMBED_AUTO_ADAPT: envFlag(),
};

type Values = {
  readonly [K in keyof typeof adapterShape]?: ReturnType<(typeof adapterShape)[K]['parse']>;
};

export function adapterSettings(values: Values, cwd: string): AdapterSettings {
  return {
    dir: resolve(cwd, values.REEMBED_PROJECTIONS_DIR ?? 'projections'),
    use: values.REEMBED_ADAPTER,
    auto: values.REEMBED_AUTO_ADAPT ?? false,
  };
}

/** For migrations that this process runs through knex, which reads nothing but the environment. */
export function askForAdapter(use: string): void {
  process.env.REEMBED_ADAPTER = use;
}
