/** usage: transformers-js-peer.ts <directory> <fp32 | q8 | int8> <mean | cls> <normalize: true | false> <threads> <folder of packages> */
import { readFileSync } from 'node:fs';
import { createRequire } from 'node:module';
import { basename, dirname, join } from 'node:path';
import { pathToFileURL } from 'node:url';
import { type Encode, servePeer } from './serve-peer.ts';

interface Tensor {
  readonly data: Float32Array;
  readonly dims: readonly number[];
}
interface LoadOptions {
  readonly dtype: string;
  readonly device: 'cpu';
  readonly session_options: { readonly intraOpNumThreads: number; readonly graphOptimizationLevel?: 'disabled' };
}
/** The part of @huggingface/transformers that is used here; it is no dependency of this project. */
interface TransformersJs {
  readonly env: { localModelPath: string; allowLocalModels: boolean; allowRemoteModels: boolean };
  pipeline(
    task: 'feature-extraction',
    model: string,
    options: LoadOptions,
  ): Promise<(texts: readonly string[], options: { pooling: string; normalize: boolean }) => Promise<Tensor>>;
  readonly AutoTokenizer: {
    from_pretrained(model: string): Promise<(texts: readonly string[], options: object) => Promise<object>>;
  };
  readonly AutoModel: {
    from_pretrained(
      model: string,
      options: LoadOptions,
    ): Promise<(inputs: object) => Promise<{ readonly sentence_embedding?: Tensor }>>;
  };
}

const [directory = '', dtype = '', pooling = '', normalize = '', threads = '', packages = ''] = process.argv.slice(2);
const require = createRequire(join(packages, 'package.json'));
const library: TransformersJs = await import(pathToFileURL(require.resolve('@huggingface/transformers')).href);
Object.assign(library.env, {
  localModelPath: dirname(directory),
  allowLocalModels: true,
  allowRemoteModels: false,
});
const embedBatch = dtype === 'int8' ? await openInt8Graph() : await openPipeline();
const settings = Object.fromEntries([
  ['one by one', inBatches(1)],
  ...[8, 32].map((size): [string, Encode] => [`batches of ${size} as they come`, inBatches(size)]),
  ...[8, 32].map((size): [string, Encode] => [`batches of ${size} by length`, byLength(inBatches(size))]),
]);
await servePeer(versions(), settings);

/** As its documentation says: a pipeline that pools and normalises. */
async function openPipeline(): Promise<(texts: readonly string[]) => Promise<Tensor>> {
  const extract = await library.pipeline('feature-extraction', basename(directory), {
    dtype,
    device: 'cpu',
    session_options: { intraOpNumThreads: Number(threads) },
  });
  return (texts) => extract(texts, { pooling, normalize: normalize === 'true' });
}

/** The very int8 graph that reembed runs: what is left is the difference of the engines. No pipeline reads one that pools by itself. */
async function openInt8Graph(): Promise<(texts: readonly string[]) => Promise<Tensor>> {
  const tokenize = await library.AutoTokenizer.from_pretrained(basename(directory));
  const run = await library.AutoModel.from_pretrained(basename(directory), {
    dtype,
    device: 'cpu',
    session_options: { intraOpNumThreads: Number(threads), graphOptimizationLevel: 'disabled' },
  });
  const embed = async (texts: readonly string[]) =>
    (await run(await tokenize(texts, { padding: true, truncation: true }))).sentence_embedding;
  if ((await embed(['a text'])) === undefined) return openPipeline();
  return async (texts) => {
    const vectors = await embed(texts);
    if (vectors === undefined) throw new Error(`${directory} gave no sentence_embedding.`);
    return vectors;
  };
}

function inBatches(size: number): Encode {
  return async (texts) => {
    const vectors: Float32Array[] = [];
    for (let start = 0; start < texts.length; start += size) {
      const { data, dims } = await embedBatch(texts.slice(start, start + size));
      const [count = 0, width = 0] = dims;
      for (let i = 0; i < count; i++) vectors.push(data.slice(i * width, (i + 1) * width));
    }
    return vectors;
  };
}

function byLength(encode: Encode): Encode {
  return async (texts) => {
    const sorted = texts.map((text, index) => ({ text, index })).sort((a, b) => a.text.length - b.text.length);
    const vectors = await encode(sorted.map(({ text }) => text));
    const result: Float32Array[] = [];
    for (const [i, { index }] of sorted.entries()) {
      const vector = vectors[i];
      if (vector !== undefined) result[index] = vector;
    }
    return result;
  };
}

function versions(): Record<string, string> {
  const of = (name: string): string => {
    const { version }: { version: string } = JSON.parse(
      readFileSync(join(packages, 'node_modules', name, 'package.json'), 'utf8'),
    );
    return version;
  };
  return { 'transformers.js': of('@huggingface/transformers'), 'onnxruntime-node': of('onnxruntime-node') };
}
