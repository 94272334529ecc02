import type { ModelReference, RuntimeSettings } from '../config/types.ts';
import { loadCl100k } from '../models/tiktoken.ts';
import { loadTokenizer } from '../models/tokenizer.ts';
import { hashProvider } from '../providers/hash.ts';
import { servedMaxTokens } from '../providers/remote/served-model.ts';
import { findLocalModel, type LocalModelFiles } from './local-model-files.ts';

/** Counts tokens as a model does, without the model. */
export interface TokenCounter {
  /** E.g. `the tokenizer of BAAI/bge-small-en-v1.5`; undefined when it cannot count. */
  readonly tokenizer: string | undefined;
  /** Why it cannot. */
  readonly notCounted: string | undefined;
  /** Tokens of a text at most; longer ones are cut. */
  readonly maxTokens: number | undefined;
  /** Tokens of each text, special tokens included and nothing cut; undefined when it cannot count. */
  count(texts: readonly string[]): Promise<readonly number[] | undefined>;
}

/** No text is cut: "no limit", as in tokenizer_config.json. */
const UNLIMITED = 1e9;
const CL100K_MODELS = ['text-embedding-3-small', 'text-embedding-3-large', 'text-embedding-ada-002'];

/** What counts the tokens of a model: its own tokenizer where that is here, whatever service runs the model; never a download. */
export async function openTokenCounter(
  { provider, model }: Pick<ModelReference, 'provider' | 'model'>,
  runtime: Pick<RuntimeSettings, 'dtype' | 'modelsDir'>,
): Promise<TokenCounter> {
  if (provider === 'hash') return countBy('the words that the test model takes', undefined, countWords(model));
  if (provider === 'file')
    return countBy('the file of vectors, which needs none', undefined, async (texts) => texts.map(() => 0));
  if (provider === 'openai' && CL100K_MODELS.includes(model)) return tiktokenCounter(model);
  if (provider === 'gemini') return cannotCount(model, `no tokenizer of ${model} is published`);
  const found = await findLocalModel(model, runtime);
  if ('problem' in found) {
    const reason =
      provider === 'local' ? found.problem.replace(/\.$/, '') : `no tokenizer of ${model} is on this machine`;
    return cannotCount(model, reason);
  }
  return localCounter(model, found);
}

function countBy(tokenizer: string, maxTokens: number | undefined, count: TokenCounter['count']): TokenCounter {
  return { tokenizer, notCounted: undefined, maxTokens, count };
}

function cannotCount(model: string, notCounted: string): TokenCounter {
  const maxTokens = servedMaxTokens(model);
  return { tokenizer: undefined, notCounted, maxTokens, count: async () => undefined };
}

async function tiktokenCounter(model: string): Promise<TokenCounter> {
  const count = await loadCl100k();
  if (count === undefined) return cannotCount(model, '"npm install js-tiktoken" lets them be counted');
  return countBy('cl100k_base (js-tiktoken)', servedMaxTokens(model), count);
}

async function localCounter(model: string, { files, config }: LocalModelFiles): Promise<TokenCounter> {
  const tokenizer = await loadTokenizer(files.directory, { ...config, maxTokens: UNLIMITED });
  return countBy(`the tokenizer of ${model}`, config.maxTokens, async (texts) => {
    const tokenized = await tokenizer.tokenize(texts.map((text) => config.prefixes.document + text));
    return tokenized.map(({ ids }) => ids.length);
  });
}

function countWords(model: string): TokenCounter['count'] {
  const provider = hashProvider(model);
  return async (texts) => {
    const counts: number[] = [];
    for (const text of texts) counts.push((await provider.embed([text], { kind: 'document' })).tokens);
    return counts;
  };
}
