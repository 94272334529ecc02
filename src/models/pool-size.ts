import type { Dtype } from '../config/types.ts';

/** Bytes in memory for each byte of the graph's file: fp32 and int8 measured with onnxruntime-node 1.30, fp16 estimated (CPUs widen it). */
const GRAPH_FACTOR: Readonly<Record<Dtype, number>> = { fp32: 1.4, fp16: 3.2, int8: 1.7 };
/** A thread's own heap and stack, about. */
const THREAD_BYTES = 24 * 1024 ** 2;
/** Of the free memory, what the sessions may take together: the rest is for texts, vectors and neighbours. */
const SHARE = 0.8;

export interface SessionMemory {
  readonly dtype: Dtype;
  /** Size of the graph and its external weights. */
  readonly graphBytes: number;
  readonly dimensions: number;
  /** Tokens of the largest batch. */
  readonly batchTokens: number;
  /** Tokens of the longest text; what is over 512 is not reckoned with, few texts are so long. */
  readonly sequence: number;
}

/** Bytes that one more inference session of a model takes, about. */
export function sessionBytes(session: SessionMemory): number {
  return session.graphBytes * GRAPH_FACTOR[session.dtype] + activationBytes(session) + THREAD_BYTES;
}

/**
 * What the runtime's arena grows to: the states between layers and, with heads of 32 dimensions, two matrices of
 * attention scores. Measured 29 KB a token at 384 dimensions in texts of 256 tokens, 35 KB in batches of 4,096.
 */
function activationBytes({ dimensions, batchTokens, sequence }: SessionMemory): number {
  return batchTokens * dimensions * (32 + Math.min(sequence, 512) / 4);
}

export interface PoolSize {
  readonly threads: number;
  /** Said when there are fewer threads than cores. */
  readonly notice: string | undefined;
}

/**
 * One thread a core, as far as memory goes; `requested` overrides both.
 * @param freeBytes what is free after the first session was opened.
 */
export function poolSize(
  machine: { readonly cores: number; readonly freeBytes: number },
  session: SessionMemory,
  requested?: number,
): PoolSize {
  if (requested !== undefined) return { threads: requested, notice: undefined };
  const bytes = sessionBytes(session);
  // The first session is open already: of its memory only the activations are still to come.
  const more = Math.floor((machine.freeBytes * SHARE - activationBytes(session)) / bytes);
  const threads = Math.max(1, Math.min(machine.cores, 1 + more));
  if (threads === machine.cores) return { threads, notice: undefined };
  const free = `${megabytes(machine.freeBytes)} MB of memory are free and a session takes about ${megabytes(bytes)} MB`;
  return {
    threads,
    notice: `${threads} of ${machine.cores} cores are used: ${free}. EMBEDDING_THREADS overrides this.`,
  };
}

function megabytes(bytes: number): string {
  return Math.round(bytes / 1024 ** 2).toLocaleString('en-US');
}
