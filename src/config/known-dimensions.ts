import { findByName, servedNames } from './served-names.ts';

/** What models make unasked, as their cards say. */
const DIMENSIONS: Readonly<Record<string, number>> = {
  'openai/text-embedding-ada-002': 1536,
  'openai/text-embedding-3-small': 1536,
  'openai/text-embedding-3-large': 3072,
  'gemini/gemini-embedding-001': 3072,
  'gemini/gemini-embedding-2': 3072,
  'gemini/gemini-embedding-2-preview': 3072,
  'BAAI/bge-small-en-v1.5': 384,
  'BAAI/bge-base-en-v1.5': 768,
  'BAAI/bge-large-en-v1.5': 1024,
  'sentence-transformers/all-MiniLM-L6-v2': 384,
  'sentence-transformers/all-MiniLM-L12-v2': 384,
  'sentence-transformers/all-mpnet-base-v2': 768,
  'thenlper/gte-small': 384,
  'thenlper/gte-base': 768,
  'thenlper/gte-large': 1024,
  'Alibaba-NLP/gte-modernbert-base': 768,
  'Alibaba-NLP/gte-Qwen2-1.5B-instruct': 1536,
  'intfloat/e5-small': 384,
  'intfloat/e5-base': 768,
  'intfloat/e5-large': 1024,
  'intfloat/e5-small-v2': 384,
  'intfloat/e5-base-v2': 768,
  'intfloat/e5-large-v2': 1024,
  'intfloat/multilingual-e5-small': 384,
  'intfloat/multilingual-e5-base': 768,
  'intfloat/multilingual-e5-large': 1024,
  'nomic-ai/nomic-embed-text-v1': 768,
  'nomic-ai/nomic-embed-text-v1.5': 768,
  'google/embeddinggemma-300m': 768,
  'mixedbread-ai/mxbai-embed-large-v1': 1024,
};

/** Dimensions of a model by its name, however it is served; undefined for a model that is not known. `hash/<dimensions>` says them itself. */
export function knownDimensions(model: string): number | undefined {
  const named = /^hash\/(\d+)$/.exec(model)?.[1];
  return named === undefined ? findByName(DIMENSIONS, servedNames(model)) : Number(named);
}
