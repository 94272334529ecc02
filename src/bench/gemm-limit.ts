import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import type { NamedDevice } from '../models/device.ts';
import { InferencePool } from '../models/inference-pool.ts';
import type { LocalModel } from '../models/local-model.ts';
import type { TokenBatch } from '../models/worker-messages.ts';
import { type EncoderShape, weightFlopsPerToken } from './gemm-flops.ts';
import { encodeGemmGraph, GEMM_VOCABULARY } from './gemm-graph.ts';

/** The model whose products are measured: where they run and how. */
export type GemmLike = {
  readonly files: Pick<LocalModel['files'], 'dtype'>;
  readonly facts: Pick<LocalModel['facts'], 'device'>;
  readonly pool: Pick<LocalModel['pool'], 'threads'>;
  readonly deviceId?: number | undefined;
};

/** Matrix products ready to run, in a pool of the same threads as the model's. */
export interface GemmBench {
  /** Operations per second, the best of several batch sizes. One call takes about a second. */
  run(signal?: AbortSignal): Promise<GemmRate>;
  close(): Promise<void>;
}

export interface GemmRate {
  readonly flops: number;
  /** The batch that was fastest, in tokens. */
  readonly tokens: number;
}

const SEQUENCE = 64;
const TOKENS_ON_CPU = [256, 512, 1024, 2048];
const TOKENS_ON_DEVICE = [4096, 16_384, 65_536];
/** For each size, in milliseconds. */
const SHORTEST = 250;

/**
 * Prepares the products of `shape`. ONNX Runtime itself runs them, with its own kernels: what a model reaches of their
 * speed is what batching, attention, normalisation, activation, quantisation and this program leave of it.
 * @throws ModelError when ONNX Runtime refuses the graph or the device.
 */
export async function openGemmBench(
  shape: EncoderShape,
  { files: { dtype }, facts, pool: { threads }, deviceId }: GemmLike,
): Promise<GemmBench> {
  const { device } = facts;
  const directory = await mkdtemp(join(tmpdir(), 'reembed-gemm-'));
  try {
    const graph = join(directory, 'gemm.onnx');
    // CPUs have no products of their own for fp16: ONNX Runtime widens it and multiplies fp32.
    const multiplied = dtype === 'fp16' && device === 'cpu' ? 'fp32' : dtype;
    const { bytes, layers } = encodeGemmGraph(shape, multiplied);
    await writeFile(graph, bytes);
    const session = {
      graph,
      device,
      deviceId,
      dtype: multiplied,
      graphOptimizationLevel: undefined,
      output: undefined,
    };
    const sample = Int32Array.of(1, 2);
    const setup = { session, pooling: undefined, normalize: false, padId: 0, sample };
    const { pool } = await InferencePool.open(setup, { threads: () => threads });
    await pool.openAll();
    const flopsPerToken = weightFlopsPerToken({ ...shape, layers });
    return benchOf(pool, flopsPerToken, device, () => remove(directory));
  } catch (error) {
    await remove(directory);
    throw error;
  }
}

function benchOf(
  pool: InferencePool,
  flopsPerToken: number,
  device: NamedDevice,
  cleanUp: () => Promise<void>,
): GemmBench {
  const sizes = device === 'cpu' ? TOKENS_ON_CPU : TOKENS_ON_DEVICE;
  return {
    async run(signal) {
      let best: GemmRate = { flops: 0, tokens: 0 };
      for (const tokens of sizes) {
        const perSecond = await keepBusy(pool, tokens, signal);
        const flops = perSecond * tokens * flopsPerToken;
        if (flops > best.flops) best = { flops, tokens };
      }
      return best;
    },
    async close() {
      await pool.close();
      await cleanUp();
    },
  };
}

/** Batches per second: two lanes a thread, each with one batch after the other, so that none waits for its next one. */
async function keepBusy(pool: InferencePool, tokens: number, signal: AbortSignal | undefined): Promise<number> {
  await Promise.all(Array.from({ length: pool.threads }, () => pool.run(batchOf(tokens), signal)));
  const start = performance.now();
  const lanes = Array.from({ length: 2 * pool.threads }, async () => {
    let batches = 0;
    for (; batches === 0 || performance.now() - start < SHORTEST; batches++) await pool.run(batchOf(tokens), signal);
    return batches;
  });
  const batches = (await Promise.all(lanes)).reduce((sum, each) => sum + each, 0);
  return batches / ((performance.now() - start) / 1000);
}

/** A new one each time: the pool takes its memory over. */
function batchOf(tokens: number): TokenBatch {
  const lengths = new Int32Array(Math.max(1, Math.round(tokens / SEQUENCE))).fill(SEQUENCE);
  const ids = Int32Array.from({ length: lengths.length * SEQUENCE }, (_, i) => (i * 7) % GEMM_VOCABULARY);
  return { ids, lengths };
}

async function remove(directory: string): Promise<void> {
  await rm(directory, { recursive: true, force: true });
}
