import { ModelError, messageOf } from '../errors.ts';
import { encodeOnnxGraph, type OnnxGraph } from './onnx-writer.ts';
import { loadRuntime } from './session.ts';
import { sessionOptionsFor } from './session-options.ts';

/** Values in row-major order, and their shape. */
export interface GraphTensor<Data extends GraphData = GraphData> {
  readonly data: Data;
  readonly dims: readonly number[];
}

export type GraphData = Float32Array | Float64Array | BigInt64Array;

const TYPE_NAMES = { Float32Array: 'float32', Float64Array: 'float64', BigInt64Array: 'int64' } as const;

/** A graph that is ready to be run on the CPU. */
export interface RunnableGraph {
  /**
   * Blocks its thread until it is done. Keys are the graph's inputs and outputs.
   * @throws ModelError `graph_failed`
   */
  run(inputs: Readonly<Record<string, GraphTensor>>): Promise<Readonly<Record<string, GraphTensor>>>;
  release(): Promise<void>;
}

/**
 * Opens a graph of one's own, for linear algebra at the processor's speed.
 *
 * @param threads threads inside the graph (1)
 * @throws ModelError `onnxruntime_missing`, `graph_invalid`
 */
export async function openGraph(graph: OnnxGraph, { threads = 1 } = {}): Promise<RunnableGraph> {
  const runtime = await loadRuntime();
  const options = sessionOptionsFor({ device: 'cpu', dtype: 'fp32', graphOptimizationLevel: 'all', threads });
  // Between short graphs, threads that spin while they wait cost more than they win.
  const extra = { session: { intra_op: { allow_spinning: '0' } } };
  const session = await runtime.InferenceSession.create(encodeOnnxGraph(graph), { ...options, extra }).catch(
    (cause: unknown) => {
      throw new ModelError(
        'graph_invalid',
        `ONNX Runtime refused the graph ${graph.name}: ${messageOf(cause).trim()}.`,
        {
          hint: 'Install the onnxruntime-node that this version of reembed names.',
          cause,
        },
      );
    },
  );
  return {
    async run(inputs) {
      const feeds = Object.fromEntries(
        Object.entries(inputs).map(([name, { data, dims }]) => [name, new runtime.Tensor(typeOf(data), data, dims)]),
      );
      const results = await session.run(feeds).catch((cause: unknown) => {
        throw new ModelError('graph_failed', `The graph ${graph.name} failed: ${messageOf(cause).trim()}.`, { cause });
      });
      return Object.fromEntries(
        Object.entries(results).map(([name, { data, dims }]) => [name, { data: asNumbers(graph.name, data), dims }]),
      );
    },
    release: () => session.release(),
  };
}

function typeOf(data: GraphData): 'float32' | 'float64' | 'int64' {
  return TYPE_NAMES[data.constructor.name as keyof typeof TYPE_NAMES];
}

function asNumbers(graph: string, data: unknown): GraphData {
  if (data instanceof Float32Array || data instanceof Float64Array || data instanceof BigInt64Array) return data;
  throw new ModelError('graph_invalid', `The graph ${graph} gave neither floats nor integers.`);
}
