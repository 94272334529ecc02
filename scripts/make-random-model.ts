import { copyFile, mkdir, writeFile } from 'node:fs/promises';
import { dirname, join } from 'node:path';
import { fileURLToPath, pathToFileURL } from 'node:url';
import { parseArgs } from 'node:util';
import { encodeOnnxModel, type OnnxEncoder, type OnnxNode, type OnnxTensor } from '../src/models/onnx-writer.ts';

/**
 * With e the embeddings of a text's tokens: last_hidden_state is e + mean(e), token_embeddings its negative,
 * sentence_embedding mean(e), pooler_output tanh(mean(e)); any other name is as last_hidden_state.
 */
export type RandomOutput = string;

export interface RandomModelOptions {
  readonly dimensions?: number;
  readonly pooling?: 'mean' | 'cls' | 'lasttoken';
  readonly normalize?: boolean;
  readonly maxTokens?: number;
  /** Written to config_sentence_transformers.json; without it the model has no such file. */
  readonly prompts?: Readonly<Record<string, string>>;
  /** The graph asks for more memory than there is when a batch has more texts. */
  readonly largestBatch?: number;
  /** Where the graph lies (onnx/model.onnx). */
  readonly graph?: string;
  /** Outputs of the graph, in this order (last_hidden_state). */
  readonly outputs?: readonly RandomOutput[];
  /** Inputs of the graph: its states hang on each (input_ids, attention_mask, token_type_ids). */
  readonly inputs?: readonly string[];
  /** Outputs in half precision. */
  readonly half?: boolean;
  /** Embeddings are uniform between plus and minus this (1). */
  readonly scale?: number;
  /** The output logits is a cross-encoder's, `[batch, dimensions]`: the mean of the states of all tokens of its pair. */
  readonly scores?: boolean;
  /** False: neither modules.json nor a pooling module, as with a bare transformer. */
  readonly modules?: boolean;
}

/** Entries of the BERT vocabulary in the bundled tokenizer. */
const VOCABULARY = 30_522;
const TOKENIZER = fileURLToPath(new URL('../models/all-MiniLM-L6-v2/tokenizer.json', import.meta.url));
const MODULE_TYPES = 'sentence_transformers.models';

/**
 * Writes a model directory of the form of bge-small (BERT tokenizer, files of sentence-transformers, ONNX graph) whose
 * weights are random: its vectors mean nothing, but pooling, prefixes and limits can be checked against arithmetic.
 * The state of a token is its embedding plus the mean of the embeddings of all tokens of its text.
 * @returns the embedding table, `[30522, dimensions]`, row-major.
 */
export async function writeRandomModel(directory: string, options: RandomModelOptions = {}): Promise<Float32Array> {
  const { dimensions = 32, pooling = 'cls', normalize = true, maxTokens = 512, prompts, modules = true } = options;
  const path = join(directory, options.graph ?? 'onnx/model.onnx');
  await mkdir(dirname(path), { recursive: true });
  await mkdir(join(directory, '1_Pooling'), { recursive: true });
  const table = randomTable(VOCABULARY * dimensions, options.scale);
  await writeFile(path, encodeOnnxModel(graphOf(table, dimensions, options)));
  await copyFile(TOKENIZER, join(directory, 'tokenizer.json'));
  await writeJson(directory, 'config.json', { model_type: 'bert', max_position_embeddings: 512, pad_token_id: 0 });
  await writeJson(directory, 'tokenizer_config.json', { pad_token: '[PAD]', model_max_length: 512 });
  if (modules) {
    await writeJson(directory, 'sentence_bert_config.json', { max_seq_length: maxTokens, do_lower_case: false });
    await writeJson(directory, 'modules.json', [
      { idx: 0, name: '0', path: '', type: `${MODULE_TYPES}.Transformer` },
      { idx: 1, name: '1', path: '1_Pooling', type: `${MODULE_TYPES}.Pooling` },
      ...(normalize ? [{ idx: 2, name: '2', path: '2_Normalize', type: `${MODULE_TYPES}.Normalize` }] : []),
    ]);
    await writeJson(directory, '1_Pooling/config.json', {
      word_embedding_dimension: dimensions,
      pooling_mode_cls_token: pooling === 'cls',
      pooling_mode_mean_tokens: pooling === 'mean',
      pooling_mode_lasttoken: pooling === 'lasttoken',
    });
  }
  if (prompts !== undefined) await writeJson(directory, 'config_sentence_transformers.json', { prompts });
  return table;
}

async function writeJson(directory: string, name: string, value: unknown): Promise<void> {
  await writeFile(join(directory, name), `${JSON.stringify(value, null, 2)}\n`);
}

/** Uniform in -scale..scale, the same in every run: a 32-bit linear congruential generator (Numerical Recipes). */
function randomTable(size: number, scale = 1): Float32Array {
  let state = 42;
  return Float32Array.from({ length: size }, () => {
    state = (Math.imul(state, 1_664_525) + 1_013_904_223) >>> 0;
    return scale * (state / 2 ** 31 - 1);
  });
}

function graphOf(table: Float32Array, dimensions: number, options: RandomModelOptions): OnnxEncoder {
  const { largestBatch, half = false, outputs = ['last_hidden_state'], scores = false } = options;
  const inputs = options.inputs ?? ['input_ids', 'attention_mask', 'token_type_ids'];
  const constants: OnnxTensor[] = [
    { name: 'table', dims: [VOCABULARY, dimensions], data: table },
    { name: 'one', dims: [1], data: BigInt64Array.of(1n) },
    { name: 'two', dims: [1], data: BigInt64Array.of(2n) },
  ];
  const nodes: OnnxNode[] = [
    { op: 'Gather', inputs: ['table', 'input_ids'], output: 'embedded' },
    { op: 'Cast', inputs: ['attention_mask'], output: 'mask', attributes: { to: 1 } },
    { op: 'Unsqueeze', inputs: ['mask', 'two'], output: 'mask3' },
    { op: 'Mul', inputs: ['embedded', 'mask3'], output: 'masked' },
    { op: 'ReduceSum', inputs: ['masked', 'one'], output: 'sum', attributes: { keepdims: 1 } },
    { op: 'ReduceSum', inputs: ['mask3', 'one'], output: 'count', attributes: { keepdims: 1 } },
    { op: 'Div', inputs: ['sum', 'count'], output: 'context' },
    { op: 'Add', inputs: ['embedded', 'context'], output: 'states0' },
  ];
  addOptionalInputs(nodes, inputs);
  if (largestBatch !== undefined) addMemoryLimit(constants, nodes, largestBatch);
  else nodes.push({ op: 'Identity', inputs: ['states'], output: 'limited' });
  const isScores = (name: string): boolean => scores && name === 'logits';
  for (const name of outputs) {
    if (isScores(name)) addScores(nodes, name, half);
    else addOutput(nodes, name, half);
  }
  const described = outputs.map((name) => ({ name, pools: POOLED.includes(name) || isScores(name), half }));
  return { inputs, output: 'last_hidden_state', outputs: described, dimensions, constants, nodes };
}

const POOLED = ['sentence_embedding', 'pooler_output'];

/** The states hang on the optional inputs: each adds its numbers to all values of a token. */
function addOptionalInputs(nodes: OnnxNode[], inputs: readonly string[]): void {
  const optional = inputs.filter((name) => name !== 'input_ids' && name !== 'attention_mask');
  optional.forEach((name, index) => {
    nodes.push(
      { op: 'Cast', inputs: [name], output: `${name}_float`, attributes: { to: 1 } },
      { op: 'Unsqueeze', inputs: [`${name}_float`, 'two'], output: `${name}_float3` },
      { op: 'Add', inputs: [`states${index}`, `${name}_float3`], output: `states${index + 1}` },
    );
  });
  nodes.push({ op: 'Identity', inputs: [`states${optional.length}`], output: 'states' });
}

function addOutput(nodes: OnnxNode[], name: string, half: boolean): void {
  const value = `${name}_value`;
  if (POOLED.includes(name)) {
    nodes.push({ op: 'Squeeze', inputs: ['context', 'one'], output: `${name}_mean` });
    nodes.push({ op: name === 'pooler_output' ? 'Tanh' : 'Identity', inputs: [`${name}_mean`], output: value });
  } else nodes.push({ op: name === 'token_embeddings' ? 'Neg' : 'Identity', inputs: ['limited'], output: value });
  nodes.push({ op: 'Cast', inputs: [value], output: name, attributes: { to: half ? 10 : 1 } });
}

function addScores(nodes: OnnxNode[], name: string, half: boolean): void {
  nodes.push(
    { op: 'Mul', inputs: ['limited', 'mask3'], output: 'limitedMasked' },
    { op: 'ReduceSum', inputs: ['limitedMasked', 'one'], output: 'limitedSum', attributes: { keepdims: 0 } },
    { op: 'Squeeze', inputs: ['count', 'one'], output: 'countOfPair' },
    { op: 'Div', inputs: ['limitedSum', 'countOfPair'], output: 'score' },
    { op: 'Cast', inputs: ['score'], output: name, attributes: { to: half ? 10 : 1 } },
  );
}

/** Beside the states, allocates one value, or 2^58 values when there are more texts than `limit`: more than any machine has. */
function addMemoryLimit(constants: OnnxTensor[], nodes: OnnxNode[], limit: number): void {
  constants.push(
    { name: 'zero', dims: [1], data: BigInt64Array.of(0n) },
    { name: 'limit', dims: [1], data: BigInt64Array.of(BigInt(limit)) },
    { name: 'huge', dims: [1], data: BigInt64Array.of(2n ** 58n) },
  );
  nodes.push(
    { op: 'Shape', inputs: ['input_ids'], output: 'shape' },
    { op: 'Gather', inputs: ['shape', 'zero'], output: 'texts' },
    { op: 'Sub', inputs: ['texts', 'limit'], output: 'above' },
    { op: 'Max', inputs: ['above', 'zero'], output: 'excess' },
    { op: 'Min', inputs: ['excess', 'one'], output: 'isAbove' },
    { op: 'Mul', inputs: ['isAbove', 'huge'], output: 'hugeExcess' },
    { op: 'Add', inputs: ['hugeExcess', 'one'], output: 'ballastShape' },
    { op: 'ConstantOfShape', inputs: ['ballastShape'], output: 'ballast' },
    { op: 'Gather', inputs: ['ballast', 'zero'], output: 'nothing' },
    { op: 'Add', inputs: ['states', 'nothing'], output: 'limited' },
  );
}

if (process.argv[1] !== undefined && import.meta.url === pathToFileURL(process.argv[1]).href) {
  const { positionals, values } = parseArgs({
    allowPositionals: true,
    options: { dimensions: { type: 'string', default: '384' }, 'query-prefix': { type: 'string' } },
  });
  const [directory] = positionals;
  if (directory === undefined) {
    console.error('usage: make-random-model.ts <directory> [--dimensions 384] [--query-prefix "query: "]');
    process.exit(2);
  }
  const prefix = values['query-prefix'];
  await writeRandomModel(directory, {
    dimensions: Number(values.dimensions),
    ...(prefix === undefined ? {} : { prompts: { query: prefix } }),
  });
  console.log(`Wrote a random-weights model of the form of bge-small to ${directory}.`);
}
