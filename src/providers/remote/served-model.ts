import { knownDimensions } from '../../config/known-dimensions.ts';
import { findByName, servedNames } from '../../config/served-names.ts';
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
  /** Whether its vectors may be cut to fewer dimensions. */
  readonly matryoshka?: true;
  readonly prefixes?: ServedModel['prefixes'];
}

/** gemini-embedding-2 knows these instead of task types. */
const GEMINI_PREFIXES = { document: 'title: none | text: ', query: 'task: search result | query: ' };
const MXBAI_PREFIXES = { document: '', query: 'Represent this sentence for searching relevant passages: ' };

/** Models that are mostly served, beside those that also run here (`known-models.ts`). All make vectors of length 1. */
const CARDS: Readonly<Record<string, Card>> = {
  'openai/text-embedding-ada-002': { maxTokens: 8191 },
  'openai/text-embedding-3-small': { maxTokens: 8191, matryoshka: true },
  'openai/text-embedding-3-large': { maxTokens: 8191, matryoshka: true },
  'gemini/gemini-embedding-001': { maxTokens: 2048 },
  'gemini/gemini-embedding-2': { maxTokens: 8192, prefixes: GEMINI_PREFIXES },
  'gemini/gemini-embedding-2-preview': { maxTokens: 8192, prefixes: GEMINI_PREFIXES },
  'nomic-ai/nomic-embed-text-v1.5': { matryoshka: true },
  'google/embeddinggemma-300m': { matryoshka: true },
  'mixedbread-ai/mxbai-embed-large-v1': { maxTokens: 512, matryoshka: true, prefixes: MXBAI_PREFIXES },
};

const NO_PREFIXES = { document: '', query: '' };

/** @param reference with the name as the service knows it */
export function servedModel(
  { model, dimensions }: ModelReference,
  { sendDimensions }: Pick<RemoteSettings, 'sendDimensions'>,
): ServedModel {
  const names = servedNames(model);
  const card = findByName(CARDS, names);
  const known = findKnownModel(names);
  const isAsked = sendDimensions || (card?.matryoshka === true && knownDimensions(model) !== dimensions);
  return {
    prefixes: card?.prefixes ?? known?.prefixes ?? NO_PREFIXES,
    maxTokens: card?.maxTokens ?? known?.maxTokens,
    normalize: card !== undefined || (known?.normalize ?? isAsked),
    dimensions: isAsked ? dimensions : undefined,
  };
}

/** Tokens of a text at most, as the model's card says; undefined for a model that is not known. */
export function servedMaxTokens(model: string): number | undefined {
  const names = servedNames(model);
  return findByName(CARDS, names)?.maxTokens ?? findKnownModel(names)?.maxTokens;
}
