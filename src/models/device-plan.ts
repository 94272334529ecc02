import type { Dtype } from '../config/types.ts';
import { ModelError } from '../errors.ts';

/**
 * Sessions on one device: while one computes, the other's batch is copied to the device and its last one is pooled and sent
 * back. `session.run` blocks its thread, so that two batches in flight take two threads.
 */
const SESSIONS_ON_CUDA = 2;
/** Tokens of a batch that are tried by calibration, padding counted in. */
const CANDIDATES: readonly number[] = [4096, 8192, 16_384, 32_768, 65_536];
/** Without calibration. */
const DEFAULT_TOKENS = 16_384;
const MEGABYTE = 1024 ** 2;

export interface DeviceNeeds {
  /** Size of the graph and its external weights. */
  readonly graphBytes: number;
  readonly dtype: Dtype;
  readonly dimensions: number;
  /** Tokens of the longest text. */
  readonly maxTokens: number;
}

export interface DeviceWishes {
  readonly device: 'cuda' | 'webgpu';
  /** Bytes that all sessions together may take; undefined: what the device has. */
  readonly limit?: number | undefined;
  /** Sessions asked for, on CUDA; 2 unless said. WebGPU has one: its sessions would wait for each other. */
  readonly sessions?: number | undefined;
}

export interface DevicePlan {
  /** Sessions, each in a thread of its own. */
  readonly sessions: number;
  /** Tokens of a batch until calibration knows better. */
  readonly tokens: number;
  /** What calibration may choose from, ascending; never empty. */
  readonly candidates: readonly number[];
}

/**
 * How many sessions a device gets and how large their batches may be. ONNX Runtime's own limit cannot be reached from Node
 * (see session-options.ts), so a limit bounds what is asked of the device: weights and activations by estimate, without the
 * driver's own memory. Fewer sessions go before smaller batches.
 * @throws ModelError `gpu_memory_too_small` when a single text of the longest kind does not fit.
 */
export function planDevice(needs: DeviceNeeds, { device, limit, sessions }: DeviceWishes): DevicePlan {
  const most = device === 'webgpu' ? 1 : (sessions ?? SESSIONS_ON_CUDA);
  return limit === undefined ? plan(most, Number.POSITIVE_INFINITY) : planWithin(needs, limit, most);
}

function planWithin(needs: DeviceNeeds, limit: number, most: number): DevicePlan {
  for (let sessions = most; sessions > 1; sessions--) {
    const tokens = tokensWithin(needs, limit / sessions);
    if (tokens >= DEFAULT_TOKENS) return plan(sessions, tokens);
  }
  const tokens = tokensWithin(needs, limit);
  if (tokens >= needs.maxTokens) return plan(1, tokens);
  const least = deviceBytes(needs, needs.maxTokens);
  throw new ModelError(
    'gpu_memory_too_small',
    `EMBEDDING_GPU_MEMORY is ${megabytes(limit)} MB, the model and one text of ${needs.maxTokens} tokens take about ${megabytes(least)} MB.`,
    {
      hint: `Set EMBEDDING_GPU_MEMORY=${megabytes(least)}MB or more, or choose a smaller model or EMBEDDING_DTYPE=fp16.`,
    },
  );
}

/**
 * Bytes of device memory that a session takes with batches of `tokens` tokens, by estimate: its weights; for each token the
 * states between layers and, with heads of 32 dimensions, two rows of attention scores; twice that, because the runtime's
 * arena grows in powers of two.
 */
export function deviceBytes(needs: DeviceNeeds, tokens: number): number {
  return needs.graphBytes + tokens * tokenBytes(needs);
}

function tokenBytes({ dtype, dimensions, maxTokens }: DeviceNeeds): number {
  const valueBytes = dtype === 'fp16' ? 2 : 4;
  const values = dimensions * (8 + maxTokens / 16);
  return 2 * valueBytes * values;
}

function tokensWithin(needs: DeviceNeeds, bytes: number): number {
  return Math.floor((bytes - needs.graphBytes) / tokenBytes(needs));
}

function plan(sessions: number, most: number): DevicePlan {
  const fitting = CANDIDATES.filter((tokens) => tokens <= most);
  const candidates = fitting.length > 0 ? fitting : [most];
  return { sessions, tokens: Math.min(DEFAULT_TOKENS, candidates.at(-1) ?? most), candidates };
}

function megabytes(bytes: number): number {
  return Math.ceil(bytes / MEGABYTE);
}
