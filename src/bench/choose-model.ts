import { stat } from 'node:fs/promises';
import { basename } from 'node:path';
import { type LoadedConfig, loadConfig } from '../config/load-config.ts';
import { modelFromEnv } from '../config/model-from-env.ts';
import type { ModelReference } from '../config/types.ts';
import { ConfigError, ReembedError } from '../errors.ts';
import { resolveModelFiles } from '../models/model-files.ts';

const BUNDLED = { model: 'sentence-transformers/all-MiniLM-L6-v2', dimensions: 384 };

export interface ChooseModelOptions {
  /** A name or a directory; refused when it is not on this machine. */
  readonly model?: string | undefined;
  readonly dimensions?: number | undefined;
  readonly cwd: string;
  /** The file with the migrations, and which of them. */
  readonly config?: string | undefined;
  readonly migration?: string | undefined;
  readonly modelsDir?: string | undefined;
}

export interface ChosenModel {
  readonly model: string;
  /** Undefined: whatever the model makes. */
  readonly dimensions: number | undefined;
  /** Why it is not the configured one, where it is not. */
  readonly note: string | undefined;
}

/**
 * The model that is measured: the one that is named, else the configured one (`reembed.config.*`, without such a file
 * `EMBEDDING_MODEL`), else, saying so, the bundled one.
 * @throws ConfigError when the named model is none that runs here, or the configuration is wrong.
 */
export async function chooseBenchModel(options: ChooseModelOptions): Promise<ChosenModel> {
  if (options.model !== undefined) return namedModel(options.model, options.dimensions);
  const { reference, source } = await configuredModel(options);
  const dimensions = options.dimensions ?? reference.dimensions;
  const problem = await problemOf(reference, options.modelsDir);
  if (problem === undefined) return { model: reference.model, dimensions, note: undefined };
  const instead = `the bundled ${BUNDLED.model} is measured`;
  return { ...BUNDLED, note: `${reference.model} (${source}) ${problem}: ${instead}; --model names another.` };
}

async function namedModel(model: string, dimensions: number | undefined): Promise<ChosenModel> {
  const file = await stat(model).then(
    (entry) => entry.isFile(),
    () => false,
  );
  if (!file && !/^hash\/\d+$/.test(model)) return { model, dimensions, note: undefined };
  throw new ConfigError('model_not_local', `${model} is no model that runs on this machine.`, {
    step: 'configuration',
    hint: 'Name a local model, e.g. "reembed bench --model sentence-transformers/all-MiniLM-L6-v2"; "reembed model list" shows those that are here.',
  });
}

async function configuredModel(
  options: ChooseModelOptions,
): Promise<{ readonly reference: ModelReference; readonly source: string }> {
  const { cwd, config: file, migration: migrationId } = options;
  let loaded: LoadedConfig;
  try {
    loaded = await loadConfig({ cwd, file, migrationId });
  } catch (error) {
    const absent = error instanceof ConfigError && error.code === 'config_missing' && file === undefined;
    if (absent) return { reference: modelFromEnv(), source: 'of EMBEDDING_MODEL, or its default' };
    throw error;
  }
  return { reference: loaded.selected, source: `of ${basename(loaded.file)}` };
}

async function problemOf(reference: ModelReference, modelsDir: string | undefined): Promise<string | undefined> {
  if (reference.provider !== 'local') return `is of the provider ${reference.provider}, which runs no model`;
  try {
    await resolveModelFiles(reference.model, { modelsDir });
    return undefined;
  } catch (error) {
    if (error instanceof ReembedError && error.code === 'model_missing') return 'is not on this machine';
    throw error;
  }
}
