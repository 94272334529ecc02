import { existsSync } from 'node:fs';
import { basename, join } from 'node:path';
import { fileURLToPath } from 'node:url';
import type { PeerProgram } from './start-peer.ts';
import type { ModelSpec } from './types.ts';

export const REFERENCE = 'sentence-transformers fp32';
/**
 * A contender of full precision whose mean cosine to the reference is lower does not compute the same, and is left out.
 * The mean, because transformers.js loses the last [SEP] of a text that is cut.
 */
export const EQUAL_COSINE = 0.999;

/** transformers.js with a graph that its own models do not have: what is left between it and reembed is the engine. */
export const BORROWED_GRAPH = "transformers.js, reembed's int8 graph";

const BUNDLED = 'all-MiniLM-L6-v2';
const here = (name: string): string => fileURLToPath(new URL(name, import.meta.url));

export interface Setup {
  /** The model as the user gave it. */
  readonly modelDir: string;
  /** As prepare_model.py laid it out. */
  readonly laidOut: string;
  readonly spec: ModelSpec;
  readonly threads: number;
  /** Where setup.sh installed the others. */
  readonly packages: string;
}

/** All contenders that this model allows; int8 needs an int8 graph beside the fp32 one, or the bundled model. */
export function contenders(setup: Setup): readonly PeerProgram[] {
  const int8 = int8Model(setup.modelDir);
  return [
    sentenceTransformers(setup, 'fp32'),
    sentenceTransformers(setup, 'bf16'),
    fastembed(setup),
    transformersJs(setup, 'transformers.js fp32', 'fp32'),
    transformersJs(setup, 'transformers.js q8', 'q8'),
    ...(existsSync(join(setup.laidOut, 'onnx', 'model_int8.onnx'))
      ? [transformersJs(setup, BORROWED_GRAPH, 'int8')]
      : []),
    reembed(setup, setup.modelDir, 'fp32'),
    ...(int8 === undefined ? [] : [reembed(setup, int8, 'int8')]),
  ];
}

/** True when the contender promises the reference's own vectors. */
export function isFullPrecision(name: string): boolean {
  return name.includes('fp32') || name === 'fastembed';
}

function int8Model(modelDir: string): string | undefined {
  if (basename(modelDir) === BUNDLED) return BUNDLED;
  const graphs = ['onnx/model_int8.onnx', 'onnx/model_quantized.onnx'];
  return graphs.some((graph) => existsSync(join(modelDir, graph))) ? modelDir : undefined;
}

function python({ packages }: Setup): string {
  return join(packages, '.venv', 'bin', 'python');
}

function sentenceTransformers(setup: Setup, dtype: 'fp32' | 'bf16'): PeerProgram {
  const args = [here('sentence_transformers_peer.py'), setup.laidOut, dtype, String(setup.threads)];
  return { name: `sentence-transformers ${dtype}`, command: python(setup), args };
}

function fastembed(setup: Setup): PeerProgram {
  const { pooling, normalize, dimensions } = setup.spec;
  const options = [pooling, normalize, dimensions, setup.threads].map(String);
  return { name: 'fastembed', command: python(setup), args: [here('fastembed_peer.py'), setup.laidOut, ...options] };
}

function transformersJs(setup: Setup, name: string, dtype: 'fp32' | 'q8' | 'int8'): PeerProgram {
  const { pooling, normalize } = setup.spec;
  const options = [dtype, pooling, String(normalize), String(setup.threads), join(setup.packages, '.node')];
  return node(name, 'transformers-js-peer.ts', [setup.laidOut, ...options]);
}

/** Through its own front, with nothing set but the precision. */
function reembed(setup: Setup, model: string, dtype: 'fp32' | 'int8'): PeerProgram {
  return node(`reembed ${dtype}`, 'reembed-peer.ts', [model, dtype, String(setup.spec.dimensions)]);
}

function node(name: string, file: string, args: readonly string[]): PeerProgram {
  return { name, command: process.execPath, args: ['--import', import.meta.resolve('tsx'), here(file), ...args] };
}
