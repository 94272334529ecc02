import type { ModelReference, RemoteSettings } from '../../config/types.ts';
import { findKnownModel } from '../../models/known-models.ts';

/** What is known of a model by its name, however it is served. */
export interface ServedModel {
  readonly prefixes: { readonly document: string; readonly query: string };
  readonly maxTokens: number | undefined;
  /** Whether its vectors have length 1. */
  readonly normalize: boolean;
  /** To be asked for in each request; undefined where the model makes them by itself or cannot be asked. */
  readonly dimensions: number | undefined;
}

/** As the models' cards say; of a model that also runs here only what `known-models.ts` leaves out. */
interface Card {
  readonly maxTokens?: number;
  /** Of Matryoshka models, whose vectors may be cut: the dimensions that they make unasked. */
  readonly matryoshka?: number;
  readonly prefixes?: ServedModel['prefixes'];
}

const MXBAI_PREFIXES = { document: '', query: 'Represent this sentence for searching relevant passages: ' };

/** Models that are mostly served, beside those that also run here (`known-models.ts`). All make vectors of length 1. */
const CARDS: Readonly<Record<string, Card>> = {
  'openai/text-embedding-ada-002': { maxTokens: 8191 },
  'openai/text-embedding-3-small': { maxTokens: 8191, matryoshka: 1536 },
  'openai/text-embedding-3-large': { maxTokens: 8191, matryoshka: 3072 },
  'gemini/gemini-embedding-001': { maxTokens: 2048 },
  'gemini/gemini-embedding-2': { maxTokens: 8192 },
  'nomic-ai/nomic-embed-text-v1.5': { matryoshka: 768 },
  'google/embeddinggemma-300m': { matryoshka: 768 },
  'mixedbread-ai/mxbai-embed-large-v1': { maxTokens: 512, matryoshka: 1024, prefixes: MXBAI_PREFIXES },
};

/** Names under which Ollama has these models. */
const OLLAMA: Readonly<Record<string, string>> = {
  'nomic-embed-text': 'nomic-ai/nomic-embed-text-v1.5',
  embeddinggemma: 'google/embeddinggemma-300m',
  'mxbai-embed-large': 'mixedbread-ai/mxbai-embed-large-v1',
  'all-minilm': 'sentence-transformers/all-MiniLM-L6-v2',
};

const NO_PREFIXES = { document: '', query: '' };

/** @param reference with the name as the service knows it: also with a tag (Ollama) or the name of a backend before it (LiteLLM) */
export function servedModel(
  { model, dimensions }: ModelReference,
  { sendDimensions }: Pick<RemoteSettings, 'sendDimensions'>,
): ServedModel {
  const names = namesOf(model);
  const card = findCard(names);
  const known = findKnownModel(names);
  const isAsked = sendDimensions || (card?.matryoshka !== undefined && card.matryoshka !== dimensions);
  return {
    prefixes: card?.prefixes ?? known?.prefixes ?? NO_PREFIXES,
    maxTokens: card?.maxTokens ?? known?.maxTokens,
    normalize: card !== undefined || (known?.normalize ?? isAsked),
    dimensions: isAsked ? dimensions : undefined,
  };
}

/** Tokens of a text at most, as the model's card says; undefined for a model that is not known. */
export function servedMaxTokens(model: string): number | undefined {
  const names = namesOf(model);
  return findCard(names)?.maxTokens ?? findKnownModel(names)?.maxTokens;
}

function namesOf(model: string): readonly string[] {
  const untagged = model.replace(/:[^/]*$/, '');
  const behind = untagged.replace(/^[^/]+\//, '');
  return [untagged, OLLAMA[untagged], behind, OLLAMA[behind]].filter((name) => name !== undefined);
}

function findCard(names: readonly string[]): Card | undefined {
  for (const name of names) {
    const entry = Object.entries(CARDS).find(([full]) => full === name || full.endsWith(`/${name}`));
    if (entry !== undefined) return entry[1];
  }
  return undefined;
}
