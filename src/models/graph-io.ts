import { ModelError } from '../errors.ts';

/** A batch as int64 matrices `[batch, sequence]`, row-major, filled up on the right. */
export interface PaddedBatch {
  readonly inputIds: BigInt64Array;
  readonly attentionMask: BigInt64Array;
  readonly batch: number;
  readonly sequence: number;
}

/**
 * The outputs that hold an embedding, the best first: pooled by the model's own modules; token states; and, where there
 * is nothing else, what BERT's next-sentence head makes of the first token.
 */
const OUTPUTS = ['sentence_embedding', 'last_hidden_state', 'token_embeddings', 'pooler_output'];

/** The inputs of text encoders; which of them a graph has differs from family to family. */
const INPUTS: Readonly<Record<string, (batch: PaddedBatch) => BigInt64Array>> = {
  input_ids: ({ inputIds }) => inputIds,
  attention_mask: ({ attentionMask }) => attentionMask,
  token_type_ids: ({ inputIds }) => new BigInt64Array(inputIds.length),
  position_ids: positions,
};

/**
 * Chooses an output by its name, wherever it stands in the graph.
 * @param wanted as the manifest says.
 * @throws ModelError `graph_invalid` when the graph has no output that holds an embedding.
 */
export function chooseOutput(graph: string, names: readonly string[], wanted?: string): string {
  const chosen = wanted ?? OUTPUTS.find((name) => names.includes(name));
  if (chosen !== undefined && names.includes(chosen)) return chosen;
  const missing = chosen === undefined ? `none of ${OUTPUTS.join(', ')} among its outputs` : `no output ${chosen}`;
  throw new ModelError('graph_invalid', `${graph} has ${missing}; it has ${names.join(', ')}.`, {
    hint: 'Export the model for feature extraction.',
  });
}

/** @throws ModelError `graph_invalid` when the graph wants an input that no text encoder has. */
export function assertInputs(graph: string, names: readonly string[]): void {
  const others = names.filter((name) => !(name in INPUTS));
  if (others.length === 0) return;
  throw new ModelError('graph_invalid', `${graph} wants ${others.join(', ')}, which no text encoder needs.`, {
    hint: 'Export the model for feature extraction, without past key values.',
  });
}

/** What is fed for each input that the graph has. */
export function inputsFor(names: readonly string[], batch: PaddedBatch): Readonly<Record<string, BigInt64Array>> {
  const entries = names.flatMap((name) => {
    const data = INPUTS[name]?.(batch);
    return data === undefined ? [] : [[name, data] as const];
  });
  return Object.fromEntries(entries);
}

/** 0, 1, 2 … in each row, written as the low words of the int64 matrix. */
function positions({ batch, sequence }: PaddedBatch): BigInt64Array {
  const result = new BigInt64Array(batch * sequence);
  const words = new Int32Array(result.buffer);
  for (let row = 0; row < batch; row++) {
    for (let token = 0; token < sequence; token++) words[2 * (row * sequence + token)] = token;
  }
  return result;
}
