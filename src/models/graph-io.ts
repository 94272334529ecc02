import { ModelError } from '../errors.ts';

/** A batch as int64 matrices `[batch, sequence]`, row-major, filled up on the right. */
export interface PaddedBatch {
  readonly inputIds: BigInt64Array;
  readonly attentionMask: BigInt64Array;
  /** Undefined is zero throughout. */
  readonly tokenTypes?: BigInt64Array | undefined;
  readonly batch: number;
  readonly sequence: number;
}

/**
 * The outputs that hold an embedding, the best first: pooled by the model's own modules; token states; and, where there
 * is nothing else, what BERT's next-sentence head makes of the first token.
 */
const EMBEDDINGS = ['sentence_embedding', 'last_hidden_state', 'token_embeddings', 'pooler_output'];
/** What a cross-encoder's head makes of a pair. */
const SCORES = 'logits';

/** What a graph is opened for: vectors of texts, or scores of pairs of texts. */
export type GraphTask = 'embed' | 'rerank';

/** The inputs of text encoders; which of them a graph has differs from family to family. */
const INPUTS: Readonly<Record<string, (batch: PaddedBatch) => BigInt64Array>> = {
  input_ids: ({ inputIds }) => inputIds,
  attention_mask: ({ attentionMask }) => attentionMask,
  token_type_ids: ({ inputIds, tokenTypes }) => tokenTypes ?? new BigInt64Array(inputIds.length),
  position_ids: positions,
};

/**
 * Chooses an output by its name, wherever it stands in the graph.
 * @param wanted as the manifest says.
 * @throws ModelError `graph_invalid` when the graph has no output for its task.
 */
export function chooseOutput(
  graph: string,
  names: readonly string[],
  { task = 'embed', wanted }: { readonly task?: GraphTask | undefined; readonly wanted?: string | undefined } = {},
): string {
  if (task === 'rerank') return chooseScores(graph, names);
  const chosen = wanted ?? EMBEDDINGS.find((name) => names.includes(name));
  if (chosen !== undefined && names.includes(chosen)) return chosen;
  const missing = chosen === undefined ? `none of ${EMBEDDINGS.join(', ')} among its outputs` : `no output ${chosen}`;
  throw new ModelError('graph_invalid', `${graph} has ${missing}; it has ${names.join(', ')}.`, {
    hint: names.includes(SCORES)
      ? 'It looks like a cross-encoder: that is a reranker (RERANK_MODEL), and makes no vectors. Choose an embedding model.'
      : 'Export the model for feature extraction.',
  });
}

function chooseScores(graph: string, names: readonly string[]): string {
  if (names.includes(SCORES)) return SCORES;
  const isEmbedder = EMBEDDINGS.some((name) => names.includes(name));
  const what = isEmbedder ? `: it is an embedding model's, not a cross-encoder's` : '';
  throw new ModelError('graph_invalid', `${graph} has no output ${SCORES}; it has ${names.join(', ')}${what}.`, {
    hint: 'Choose a reranker as RERANK_MODEL, e.g. BAAI/bge-reranker-base or cross-encoder/ms-marco-MiniLM-L6-v2; an export of one is made for text classification.',
  });
}

/** @throws ModelError `graph_invalid` when the graph wants an input that no text encoder has. */
export function assertInputs(graph: string, names: readonly string[]): void {
  const others = names.filter((name) => !(name in INPUTS));
  if (others.length === 0) return;
  throw new ModelError('graph_invalid', `${graph} wants ${others.join(', ')}, which no text encoder needs.`, {
    hint: 'Export the model without past key values: for feature extraction, a reranker for text classification.',
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
