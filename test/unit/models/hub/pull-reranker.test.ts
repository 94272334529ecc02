import { readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { expect, onTestFinished, test } from 'vitest';
import { describeListed } from '../../../../src/cli/model-text.ts';
import { listModels } from '../../../../src/models/list-models.ts';
import { openReranker } from '../../../../src/providers/open-reranker.ts';
import { TINY_FIXTURE, writeTinyCrossEncoder } from '../../../helpers/tiny-cross-encoder.ts';
import { temporaryDirectory } from '../temporary-directory.ts';
import { COMMIT, pullBed } from './pull-bed.ts';

/** The files of BAAI/bge-reranker-base as they lie on the Hub, with the content of the tiny cross-encoder. */
const NAME = 'BAAI/bge-reranker-base';
const bed = await pullBed();

async function repositoryFiles(): Promise<Readonly<Record<string, Uint8Array | string>>> {
  const directory = await writeTinyCrossEncoder(await temporaryDirectory());
  const read = (name: string): Promise<Buffer> => readFile(join(directory, name));
  return {
    'README.md': 'a card',
    'config.json': await read('config.json'),
    'model.safetensors': 'weights for PyTorch',
    'onnx/model.onnx': await read('onnx/model.onnx'),
    'pytorch_model.bin': 'pickled weights',
    'sentencepiece.bpe.model': 'another tokenizer',
    'special_tokens_map.json': '{}',
    'tokenizer.json': await read('tokenizer.json'),
    'tokenizer_config.json': '{"pad_token":"[PAD]","model_max_length":512}',
  };
}

test('a reranker is pulled, locked, listed as one and runs from where it was put', async () => {
  bed.hub.repositories.set(NAME, { commit: COMMIT, files: await repositoryFiles(), license: 'mit' });
  const modelLock = join(bed.root, 'reembed.lock.json');
  const pulled = await bed.pull({ name: NAME, modelLock });
  expect(pulled).toMatchObject({ revision: COMMIT, dtype: 'fp32', license: 'mit', dimensions: null, lock: 'written' });
  expect(Object.keys(pulled.files).sort()).toEqual([
    'config.json',
    'onnx/model.onnx',
    'special_tokens_map.json',
    'tokenizer.json',
    'tokenizer_config.json',
  ]);
  const listed = (await listModels(bed.modelsDir)).find(({ name }) => name === NAME);
  expect(listed).toMatchObject({ kind: 'reranker', dimensions: null, problem: null });
  expect(listed && describeListed(listed)).toMatch(/\n {2}Kind +reranker\n/);
  const reranker = await openReranker({ model: NAME, modelsDir: bed.modelsDir, modelLock, device: 'cpu', threads: 1 });
  onTestFinished(() => reranker.close());
  const [pair] = JSON.parse(await readFile(join(TINY_FIXTURE, 'golden.json'), 'utf8'));
  const [score] = await reranker.score(pair.query, [pair.text]);
  expect(Math.abs((score ?? Number.NaN) - pair.logit)).toBeLessThan(1e-3);
  expect(reranker.model.files).toEqual(pulled.files);
});
