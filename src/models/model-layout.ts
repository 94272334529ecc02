import { posix } from 'node:path';
import type { Dtype } from '../config/types.ts';

/** Where exports put the graph, by precision; the first that exists is taken. */
export const GRAPHS: Readonly<Record<Dtype, readonly string[]>> = {
  fp32: ['onnx/model.onnx', 'model.onnx'],
  fp16: ['onnx/model_fp16.onnx', 'model_fp16.onnx'],
  int8: ['onnx/model_int8.onnx', 'onnx/model_quantized.onnx', 'model_int8.onnx', 'model_quantized.onnx'],
};

/** In the order in which one is chosen where nobody asks for one. */
export const DTYPES: readonly Dtype[] = ['fp32', 'fp16', 'int8'];

/** The files that take part in inference besides the graph; what a model lacks is left out. */
export const CONFIG_FILES: readonly string[] = [
  'tokenizer.json',
  'tokenizer_config.json',
  'special_tokens_map.json',
  'config.json',
  'modules.json',
  'sentence_bert_config.json',
  'config_sentence_transformers.json',
  '1_Pooling/config.json',
];

/** True where a file is named inside the model's directory: no way up, no root, no drive, no backslash. */
export function isInside(name: string): boolean {
  if (name === '' || /[\\\0:]/.test(name) || name.startsWith('/')) return false;
  return name.split('/').every((part) => part !== '' && part !== '.' && part !== '..');
}

/** Those of `names` that hold weights of `graph`: over 2 GB they lie in one or more files beside it. */
export function weightFiles(graph: string, names: readonly string[]): readonly string[] {
  const beside = new Set([`${graph}_data`, `${graph}.data`]);
  return names.filter((name) => beside.has(name) || beside.has(name.replace(/_\d+$/, ''))).sort();
}

/** The graph that is taken for `dtype`, or for the first precision that has one. */
export function chooseGraph(
  names: readonly string[],
  dtype: Dtype | undefined,
): { readonly graph: string; readonly dtype: Dtype } | undefined {
  const wanted = dtype === undefined ? DTYPES : [dtype];
  const candidates = wanted.flatMap((each) => GRAPHS[each].map((graph) => ({ graph, dtype: each })));
  return candidates.find(({ graph }) => names.includes(graph));
}

/** The directory of a file of a model, as `readdir` takes it. */
export function folderOf(name: string): string {
  return posix.dirname(name);
}
