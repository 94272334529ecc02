import { ModelError, messageOf } from '../errors.ts';
import { conciseReason } from './device-failure.ts';
import type { PaddedBatch } from './graph-io.ts';
import { isOutOfMemory } from './out-of-memory.ts';
import { normalizeRows, pool } from './pooling.ts';
import type { GraphOutput, InferenceSession } from './session.ts';
import type { EncodedBatch, SessionFacts, TokenBatch, WorkerSetup } from './worker-messages.ts';

/**
 * Runs a batch, pools and normalises it. When memory runs out the batch is halved and both halves are run, down to
 * single texts.
 * @throws ModelError `out_of_memory` when one text alone is too much, `inference_failed` for anything else.
 */
export async function encodeBatch(
  session: InferenceSession,
  setup: Pick<WorkerSetup, 'pooling' | 'normalize' | 'padId'>,
  batch: TokenBatch,
): Promise<EncodedBatch> {
  try {
    return { vectors: await runBatch(session, setup, batch), halvings: 0 };
  } catch (error) {
    if (error instanceof ModelError) throw error;
    if (!isOutOfMemory(messageOf(error))) {
      throw new ModelError('inference_failed', `Inference failed: ${conciseReason(messageOf(error))}.`, {
        cause: error,
      });
    }
    if (batch.lengths.length === 1) throw tooLarge(batch, error);
  }
  const [first, second] = halve(batch);
  const left = await encodeBatch(session, setup, first);
  const right = await encodeBatch(session, setup, second);
  const vectors = new Float32Array(left.vectors.length + right.vectors.length);
  vectors.set(left.vectors);
  vectors.set(right.vectors, left.vectors.length);
  return { vectors, halvings: 1 + left.halvings + right.halvings };
}

/** Runs one text to learn what the graph returns. */
export async function inspectSession(session: InferenceSession, sample: Int32Array): Promise<SessionFacts> {
  const output = await session.run(padBatch({ ids: sample, lengths: Int32Array.of(sample.length) }, 0));
  return {
    device: session.device,
    note: session.note,
    dimensions: output.shape.at(-1) ?? 0,
    graphPools: output.shape.length === 2,
    runtime: session.runtime,
  };
}

async function runBatch(
  session: InferenceSession,
  setup: Pick<WorkerSetup, 'pooling' | 'normalize' | 'padId'>,
  batch: TokenBatch,
): Promise<Float32Array> {
  if (batch.lengths.length === 0) return new Float32Array();
  const output = await session.run(padBatch(batch, setup.padId));
  const vectors = poolOutput(output, setup, batch.lengths);
  if (setup.normalize) normalizeRows(vectors, output.shape.at(-1) ?? 1);
  return vectors;
}

function poolOutput(output: GraphOutput, setup: Pick<WorkerSetup, 'pooling'>, lengths: Int32Array): Float32Array {
  const dimensions = output.shape.at(-1) ?? 0;
  // Copied: the runtime's own buffer must not be transferred to another thread.
  if (output.shape.length === 2) return output.data.slice();
  if (setup.pooling === undefined) {
    throw new ModelError('pooling_unknown', 'The graph returns token states and nothing says how to pool them.');
  }
  return pool({ data: output.data, sequence: output.shape[1] ?? 0, dimensions, lengths }, setup.pooling);
}

/** Fills the texts up to the longest one, on the right. Ids are written as the low words of the int64 matrix. */
function padBatch(batch: TokenBatch, padId: number): PaddedBatch {
  const sequence = batch.lengths.reduce((longest, length) => Math.max(longest, length), 0);
  const size = batch.lengths.length * sequence;
  const inputIds = new BigInt64Array(size).fill(BigInt(padId));
  const attentionMask = new BigInt64Array(size);
  const idWords = new Int32Array(inputIds.buffer);
  const maskWords = new Int32Array(attentionMask.buffer);
  let read = 0;
  batch.lengths.forEach((length, row) => {
    for (let token = 0; token < length; token++) {
      const word = 2 * (row * sequence + token);
      idWords[word] = batch.ids[read++] ?? padId;
      idWords[word + 1] = 0;
      maskWords[word] = 1;
    }
  });
  const tokenTypes = batch.types && padTypes(batch.types, batch.lengths, sequence);
  return { inputIds, attentionMask, tokenTypes, batch: batch.lengths.length, sequence };
}

function padTypes(types: Int32Array, lengths: Int32Array, sequence: number): BigInt64Array {
  const padded = new BigInt64Array(lengths.length * sequence);
  const words = new Int32Array(padded.buffer);
  let read = 0;
  lengths.forEach((length, row) => {
    for (let token = 0; token < length; token++) words[2 * (row * sequence + token)] = types[read++] ?? 0;
  });
  return padded;
}

function halve(batch: TokenBatch): readonly [TokenBatch, TokenBatch] {
  const middle = batch.lengths.length >> 1;
  const tokens = batch.lengths.subarray(0, middle).reduce((sum, length) => sum + length, 0);
  return [
    {
      ids: batch.ids.subarray(0, tokens),
      lengths: batch.lengths.subarray(0, middle),
      types: batch.types?.subarray(0, tokens),
    },
    {
      ids: batch.ids.subarray(tokens),
      lengths: batch.lengths.subarray(middle),
      types: batch.types?.subarray(tokens),
    },
  ];
}

function tooLarge(batch: TokenBatch, cause: unknown): ModelError {
  return new ModelError(
    'out_of_memory',
    `Memory ran out on a single text of ${batch.ids.length} tokens: ${conciseReason(messageOf(cause))}.`,
    { hint: 'Lower EMBEDDING_THREADS, choose a smaller model or EMBEDDING_DTYPE=int8, or add memory.', cause },
  );
}
