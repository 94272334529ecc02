import { mkdir, writeFile } from 'node:fs/promises';
import { dirname, join } from 'node:path';
import { expect, test } from 'vitest';
import { readModelConfig } from '../../../src/models/model-config.ts';
import type { ModelFiles } from '../../../src/models/model-files.ts';
import { temporaryDirectory } from './temporary-directory.ts';

const root = await temporaryDirectory();

async function modelWith(name: string, contents: Readonly<Record<string, unknown>>): Promise<ModelFiles> {
  const directory = join(root, name);
  for (const [file, content] of Object.entries({ 'config.json': {}, ...contents })) {
    await mkdir(dirname(join(directory, file)), { recursive: true });
    await writeFile(join(directory, file), JSON.stringify(content));
  }
  return { directory, name, graph: '', graphName: '', graphBytes: 0, dtype: 'fp32', manifest: undefined, hashes: {} };
}

const modules = (...kinds: readonly string[]) =>
  kinds.map((kind) => ({ path: kind === 'Pooling' ? '1_Pooling' : '', type: `sentence_transformers.models.${kind}` }));

test('without files of its own, a known model takes cls pooling and its query prefix from the table', async () => {
  const config = await readModelConfig(await modelWith('BAAI/bge-small-en-v1.5', {}));
  expect(config).toMatchObject({ pooling: 'cls', normalize: true, maxTokens: 512 });
  expect(config.prefixes).toEqual({
    document: '',
    query: 'Represent this sentence for searching relevant passages: ',
  });
});

test('the empty prompts of recent files do not hide the prefix that the table knows', async () => {
  const files = await modelWith('copies/bge-base-en-v1.5', {
    'config_sentence_transformers.json': { prompts: { query: '', document: '' } },
  });
  expect((await readModelConfig(files)).prefixes.query).toMatch(/^Represent this sentence/);
});

test("a model's own files go before the table", async () => {
  const files = await modelWith('mine/bge-large-en-v1.5', {
    'modules.json': modules('Transformer', 'Pooling'),
    '1_Pooling/config.json': { pooling_mode: 'lasttoken' },
    'config_sentence_transformers.json': { prompts: { query: 'q: ', passage: 'p: ' } },
    'sentence_bert_config.json': { max_seq_length: 100, do_lower_case: true },
  });
  expect(await readModelConfig(files)).toMatchObject({
    pooling: 'last-token',
    normalize: false,
    lowerCase: true,
    maxTokens: 100,
    prefixes: { query: 'q: ', document: 'p: ' },
  });
});

test('a default prompt stands in for kinds without one', async () => {
  const files = await modelWith('with-default', {
    'config_sentence_transformers.json': { prompts: { sts: 'same: ', query: 'q: ' }, default_prompt_name: 'sts' },
  });
  expect((await readModelConfig(files)).prefixes).toEqual({ document: 'same: ', query: 'q: ' });
});

test('the limit never exceeds the positions of the transformer', async () => {
  const files = await modelWith('roberta', {
    'config.json': { model_type: 'xlm-roberta', max_position_embeddings: 514 },
    'sentence_bert_config.json': { max_seq_length: 8192 },
  });
  expect((await readModelConfig(files)).maxTokens).toBe(512);
  const endless = await modelWith('endless', { 'tokenizer_config.json': { model_max_length: 1e30 } });
  expect((await readModelConfig(endless)).maxTokens).toBe(512);
});

test('pooling that is not implemented is refused, never replaced', async () => {
  const files = await modelWith('max', {
    'modules.json': modules('Transformer', 'Pooling'),
    '1_Pooling/config.json': { pooling_mode_max_tokens: true, pooling_mode_mean_tokens: true },
  });
  await expect(readModelConfig(files)).rejects.toMatchObject({
    code: 'pooling_unsupported',
    message: expect.stringContaining('pooling by mean and max'),
  });
});

test('modules behind the pooling are noticed', async () => {
  const files = await modelWith('dense', { 'modules.json': modules('Transformer', 'Pooling', 'Dense', 'Normalize') });
  expect((await readModelConfig(files)).unsupportedModules).toEqual(['Dense']);
});

test('a file that is not JSON is named', async () => {
  const files = await modelWith('broken', {});
  await writeFile(join(files.directory, 'modules.json'), '[{"type":');
  await expect(readModelConfig(files)).rejects.toMatchObject({
    message: expect.stringContaining(`${join(files.directory, 'modules.json')} is not JSON`),
  });
});

const E5_PREFIXES = { document: 'passage: ', query: 'query: ' };
const NO_PREFIXES = { document: '', query: '' };

test.each([
  [
    'BAAI/bge-large-en-v1.5',
    'cls',
    512,
    { document: '', query: expect.stringMatching(/^Represent this sentence.*: $/) },
  ],
  ['sentence-transformers/all-MiniLM-L6-v2', 'mean', 256, NO_PREFIXES],
  ['sentence-transformers/all-mpnet-base-v2', 'mean', 384, NO_PREFIXES],
  ['thenlper/gte-base', 'mean', 512, NO_PREFIXES],
  ['intfloat/e5-small', 'mean', 512, E5_PREFIXES],
  ['intfloat/e5-base-v2', 'mean', 512, E5_PREFIXES],
  ['intfloat/multilingual-e5-small', 'mean', 512, E5_PREFIXES],
  ['nomic-ai/nomic-embed-text-v1.5', 'mean', 8192, { document: 'search_document: ', query: 'search_query: ' }],
  [
    'google/embeddinggemma-300m',
    'mean',
    2048,
    { document: 'title: none | text: ', query: 'task: search result | query: ' },
  ],
  [
    'Alibaba-NLP/gte-Qwen2-1.5B-instruct',
    'last-token',
    8192,
    { document: '', query: expect.stringMatching(/^Instruct: .*\nQuery: $/) },
  ],
])('%s is known: pooling, limit, prefixes', async (name, pooling, maxTokens, prefixes) => {
  const expected = { pooling, maxTokens, prefixes, normalize: true };
  expect(await readModelConfig(await modelWith(name, {}))).toMatchObject(expected);
  const last = name.split('/')[1];
  // Exports that others publish under the same name, as Xenova and onnx-community do.
  for (const copy of [`Xenova/${last}`, `onnx-community/${last}-ONNX`]) {
    expect(await readModelConfig(await modelWith(copy, {}))).toMatchObject(expected);
  }
});

test('the rotary positions of nomic go as far as the model, not as its training', async () => {
  const files = await modelWith('copies/nomic-embed-text-v1.5', {
    'config.json': { model_type: 'nomic_bert', max_position_embeddings: 2048, n_positions: 8192 },
    'sentence_bert_config.json': { max_seq_length: 8192 },
  });
  expect((await readModelConfig(files)).maxTokens).toBe(8192);
});

test('modules.json leads nowhere outside of the directory', async () => {
  const files = await modelWith('leading-out', {
    'modules.json': [{ path: '../../secret', type: 'sentence_transformers.models.Pooling' }],
  });
  await expect(readModelConfig(files)).rejects.toMatchObject({
    code: 'model_config_invalid',
    message: expect.stringContaining('names the path ../../secret, one inside the directory was expected'),
  });
});

test('an end token is asked for where the vector is read from the last token, and nowhere else', async () => {
  const tokenizer = { 'tokenizer_config.json': { add_eos_token: true, eos_token: { content: '</s>' } } };
  const last = { '1_Pooling/config.json': { pooling_mode_lasttoken: true } };
  expect((await readModelConfig(await modelWith('last', { ...tokenizer, ...last }))).endToken).toBe('</s>');
  expect((await readModelConfig(await modelWith('first', tokenizer))).endToken).toBeUndefined();
  expect((await readModelConfig(await modelWith('unsaid', last))).endToken).toBeUndefined();
});
