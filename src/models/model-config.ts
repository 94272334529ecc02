import { join } from 'node:path';
import { z } from 'zod';
import { ModelError } from '../errors.ts';
import { readJsonFile } from './json-file.ts';
import { findKnownModel, type KnownModel } from './known-models.ts';
import { type ModelFiles, namesOf } from './model-files.ts';
import { isInside } from './model-layout.ts';
import type { Pooling } from './pooling.ts';

/** How a model turns texts into vectors, from its own files and, where they are silent, from the table. */
export interface ModelConfig {
  /** Undefined when no file and no table says it: then only a graph that pools by itself can be used. */
  readonly pooling: Pooling | undefined;
  readonly normalize: boolean;
  /** True when a text is lower-cased before the tokenizer sees it. */
  readonly lowerCase: boolean;
  /** Tokens of a text at most, special tokens counted in. */
  readonly maxTokens: number;
  /** Put before each text. */
  readonly prefixes: { readonly document: string; readonly query: string };
  readonly padId: number | undefined;
  readonly padToken: string | undefined;
  /** Put behind each text where the tokenizer does not do it by itself. */
  readonly endToken: string | undefined;
  /** Module kinds after pooling that only the model's graph can apply, e.g. `Dense`. */
  readonly unsupportedModules: readonly string[];
}

const token = z.union([z.string(), z.looseObject({ content: z.string() })]).nullish();
const schemas = {
  modules: z.array(z.looseObject({ type: z.string(), path: z.string() })),
  pooling: z.looseObject({
    pooling_mode: z.union([z.string(), z.array(z.string())]).optional(),
    include_prompt: z.boolean().optional(),
  }),
  sentenceBert: z.looseObject({ max_seq_length: z.number().nullish(), do_lower_case: z.boolean().nullish() }),
  sentenceTransformers: z.looseObject({
    prompts: z.record(z.string(), z.string().nullable()).nullish(),
    default_prompt_name: z.string().nullish(),
  }),
  transformer: z.looseObject({
    model_type: z.string().optional(),
    max_position_embeddings: z.number().nullish(),
    n_positions: z.number().nullish(),
    pad_token_id: z.number().nullish(),
  }),
  tokenizer: z.looseObject({
    model_max_length: z.number().nullish(),
    pad_token: token,
    eos_token: token,
    add_eos_token: z.boolean().nullish(),
  }),
};

/** The flags of older files, by the pooling they stand for. */
const POOLING_FLAGS: Readonly<Record<string, string>> = {
  pooling_mode_cls_token: 'cls',
  pooling_mode_mean_tokens: 'mean',
  pooling_mode_lasttoken: 'lasttoken',
  pooling_mode_max_tokens: 'max',
  pooling_mode_mean_sqrt_len_tokens: 'mean_sqrt_len_tokens',
  pooling_mode_weightedmean_tokens: 'weightedmean',
};
const SUPPORTED_POOLING: Readonly<Record<string, Pooling>> = { cls: 'cls', mean: 'mean', lasttoken: 'last-token' };

/** Families whose first position is the padding id + 1, so that two of the positions hold no token. */
const SHIFTED_POSITIONS = ['roberta', 'xlm-roberta', 'camembert', 'mpnet'];
/** "No limit" in tokenizer_config.json is 1e30. */
const NO_LIMIT = 1e6;

/**
 * Reads pooling, normalisation, prefixes and limits as sentence-transformers does: `modules.json`, the pooling module's
 * `config.json`, `config_sentence_transformers.json`, `sentence_bert_config.json`, `tokenizer_config.json`, `config.json`.
 * @throws ModelError when a file is not understood or asks for a pooling that is not implemented.
 */
export async function readModelConfig(files: ModelFiles): Promise<ModelConfig> {
  const { directory } = files;
  const known = findKnownModel(namesOf(files));
  const modules = await readJsonFile(directory, 'modules.json', schemas.modules);
  const tokenizer = await readJsonFile(directory, 'tokenizer_config.json', schemas.tokenizer);
  const transformer = await readJsonFile(directory, 'config.json', schemas.transformer);
  const bert = await readJsonFile(directory, 'sentence_bert_config.json', schemas.sentenceBert);
  const prefixes = await readPrefixes(directory, known);
  const kinds = modules?.map((module) => module.type.split('.').at(-1) ?? '');
  const pooling = await readPooling(directory, modules, prefixes, known);
  const endOfText = pooling === 'last-token' && tokenizer?.add_eos_token ? textOf(tokenizer.eos_token) : undefined;
  return {
    pooling,
    normalize: kinds?.includes('Normalize') ?? known?.normalize ?? false,
    lowerCase: bert?.do_lower_case ?? false,
    maxTokens: maxTokens(bert?.max_seq_length, tokenizer?.model_max_length, transformer, known),
    prefixes,
    padId: transformer?.pad_token_id ?? undefined,
    padToken: textOf(tokenizer?.pad_token),
    endToken: known?.endToken ?? endOfText,
    unsupportedModules: (kinds ?? []).filter((kind) => !['Transformer', 'Pooling', 'Normalize'].includes(kind)),
  };
}

function textOf(value: z.infer<typeof token>): string | undefined {
  return (typeof value === 'object' ? value?.content : value) ?? undefined;
}

async function readPooling(
  directory: string,
  modules: z.infer<typeof schemas.modules> | undefined,
  prefixes: ModelConfig['prefixes'],
  known: KnownModel | undefined,
): Promise<Pooling | undefined> {
  const module = modules?.find(({ type }) => type.endsWith('.Pooling'));
  const path = module?.path ?? '1_Pooling';
  if (path !== '' && !isInside(path)) {
    const where = join(directory, 'modules.json');
    throw new ModelError(
      'model_config_invalid',
      `${where} names the path ${path}, one inside the directory was expected.`,
    );
  }
  const config = await readJsonFile(join(directory, path), 'config.json', schemas.pooling);
  if (config === undefined) return known?.pooling;
  const modes = poolingModes(config);
  const [mode] = modes;
  const pooling = modes.length === 1 && mode !== undefined ? SUPPORTED_POOLING[mode] : undefined;
  const where = join(directory, path, 'config.json');
  if (pooling === undefined) {
    throw new ModelError('pooling_unsupported', `${where} asks for pooling by ${modes.join(' and ')}.`, {
      hint: 'Supported are mean, cls and lasttoken; or export a graph whose output sentence_embedding is pooled already.',
    });
  }
  if (config.include_prompt === false && (prefixes.document !== '' || prefixes.query !== '')) {
    throw new ModelError('pooling_unsupported', `${where} leaves the prompt's tokens out of the pooling.`, {
      hint: 'Models of this kind (INSTRUCTOR) are not supported; choose another model.',
    });
  }
  return pooling;
}

function poolingModes(config: z.infer<typeof schemas.pooling>): readonly string[] {
  if (config.pooling_mode !== undefined) {
    return typeof config.pooling_mode === 'string' ? [config.pooling_mode] : config.pooling_mode;
  }
  const modes = Object.entries(POOLING_FLAGS).flatMap(([flag, mode]) => (config[flag] === true ? [mode] : []));
  return modes.length === 0 ? ['mean'] : modes;
}

async function readPrefixes(directory: string, known: KnownModel | undefined): Promise<ModelConfig['prefixes']> {
  const config = await readJsonFile(directory, 'config_sentence_transformers.json', schemas.sentenceTransformers);
  const prompts = config?.prompts ?? {};
  // Files saved by recent sentence-transformers list empty prompts for every model: they say nothing.
  if (!Object.values(prompts).some((prompt) => prompt)) return known?.prefixes ?? { document: '', query: '' };
  const fallback = config?.default_prompt_name ? (prompts[config.default_prompt_name] ?? '') : '';
  const first = (...names: readonly string[]): string =>
    names.map((name) => prompts[name]).find((prompt) => typeof prompt === 'string') ?? fallback;
  return { document: first('document', 'passage', 'passages', 'corpus'), query: first('query') };
}

function maxTokens(
  sentenceBert: number | null | undefined,
  tokenizer: number | null | undefined,
  transformer: z.infer<typeof schemas.transformer> | undefined,
  known: KnownModel | undefined,
): number {
  const { model_type: family, max_position_embeddings: trained, n_positions: rotary } = transformer ?? {};
  // Its rotary positions go further than what it was trained on, which is what the other field says.
  const positions = (family === 'nomic_bert' ? (rotary ?? trained) : trained) ?? undefined;
  const shift = SHIFTED_POSITIONS.includes(family ?? '') ? 2 : 0;
  const hardLimit = positions !== undefined && positions > 0 ? positions - shift : Number.POSITIVE_INFINITY;
  const fromTokenizer = tokenizer && tokenizer < NO_LIMIT ? tokenizer : undefined;
  const stated = sentenceBert ?? known?.maxTokens ?? fromTokenizer ?? hardLimit;
  const limit = Math.min(stated, hardLimit);
  return Number.isFinite(limit) ? limit : 512;
}
