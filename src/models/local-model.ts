import type { Dtype } from '../config/types.ts';
import { ModelError } from '../errors.ts';
import { type ModelConfig, readModelConfig } from './model-config.ts';
import { type ModelFiles, resolveModelFiles } from './model-files.ts';
import { type OpenPool, openPool, type PoolSettings } from './open-pool.ts';
import { loadTokenizer, type TextTokenizer } from './tokenizer.ts';

export interface LocalModelOptions extends PoolSettings {
  readonly dtype?: Dtype | undefined;
  /** Where models are looked up by name. */
  readonly modelsDir?: string | undefined;
  /** A lock file that the files must agree with, where it names the model. */
  readonly modelLock?: string | undefined;
}

/** A verified model, ready to run. Whoever opened it closes `pool`. */
export interface LocalModel extends OpenPool {
  readonly files: ModelFiles;
  readonly config: ModelConfig;
  readonly tokenizer: TextTokenizer;
}

/**
 * Finds, verifies and opens a model.
 * @throws ModelError naming what is missing, altered or not supported.
 */
export async function openLocalModel(model: string, options: LocalModelOptions = {}): Promise<LocalModel> {
  const files = await resolveModelFiles(model, options);
  const config = await readModelConfig(files);
  const tokenizer = await loadTokenizer(files.directory, config);
  const [sample] = await tokenizer.tokenize(['reembed']);
  const { pooling, normalize, maxTokens } = config;
  const { padId } = tokenizer;
  const setup = { pooling, normalize, padId, sample: sample?.ids ?? Int32Array.of(padId) };
  const opened = await openPool({ files, task: 'embed', setup, maxTokens }, options);
  const problem = poolingProblem(files, config, opened.facts.graphPools);
  if (problem === undefined) return { files, config, tokenizer, ...opened };
  await opened.pool.close();
  throw problem;
}

function poolingProblem(files: ModelFiles, config: ModelConfig, graphPools: boolean): ModelError | undefined {
  if (graphPools) return undefined;
  const [unsupported] = config.unsupportedModules;
  if (unsupported !== undefined) {
    return new ModelError('module_unsupported', `${files.directory} adds a ${unsupported} module after pooling.`, {
      hint: 'Export a graph whose output sentence_embedding contains all modules, or choose another model.',
    });
  }
  if (config.pooling !== undefined) return undefined;
  return new ModelError('pooling_unknown', `Nothing in ${files.directory} says how its tokens are pooled.`, {
    hint: 'Copy modules.json and 1_Pooling/config.json of the model beside its config.json.',
  });
}
