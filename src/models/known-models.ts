import { findByName } from '../config/served-names.ts';
import type { Pooling } from './pooling.ts';

/** What a model's own files may leave unsaid. */
export interface KnownModel {
  readonly pooling: Pooling;
  readonly normalize: boolean;
  readonly maxTokens: number;
  readonly prefixes: { readonly document: string; readonly query: string };
  /** Put behind each text by the model's own code, which its `tokenizer.json` does not know of. */
  readonly endToken?: string;
}

const NO_PREFIXES = { document: '', query: '' };
const BGE_QUERY = 'Represent this sentence for searching relevant passages: ';
const BGE: KnownModel = {
  pooling: 'cls',
  normalize: true,
  maxTokens: 512,
  prefixes: { document: '', query: BGE_QUERY },
};
const GTE: KnownModel = { pooling: 'mean', normalize: true, maxTokens: 512, prefixes: NO_PREFIXES };
const E5: KnownModel = {
  pooling: 'mean',
  normalize: true,
  maxTokens: 512,
  prefixes: { document: 'passage: ', query: 'query: ' },
};
const GTE_QWEN2: KnownModel = {
  pooling: 'last-token',
  normalize: true,
  maxTokens: 8192,
  prefixes: {
    document: '',
    query: 'Instruct: Given a web search query, retrieve relevant passages that answer the query\nQuery: ',
  },
  endToken: '<|endoftext|>',
};
const NOMIC: KnownModel = {
  pooling: 'mean',
  normalize: true,
  maxTokens: 8192,
  prefixes: { document: 'search_document: ', query: 'search_query: ' },
};
const EMBEDDING_GEMMA: KnownModel = {
  pooling: 'mean',
  normalize: true,
  maxTokens: 2048,
  prefixes: { document: 'title: none | text: ', query: 'task: search result | query: ' },
};

/** As the model cards say. A model's own files go before this table. */
const KNOWN: Readonly<Record<string, KnownModel>> = {
  'BAAI/bge-small-en-v1.5': BGE,
  'BAAI/bge-base-en-v1.5': BGE,
  'BAAI/bge-large-en-v1.5': BGE,
  'sentence-transformers/all-MiniLM-L6-v2': { ...GTE, maxTokens: 256 },
  'sentence-transformers/all-MiniLM-L12-v2': { ...GTE, maxTokens: 128 },
  'sentence-transformers/all-mpnet-base-v2': { ...GTE, maxTokens: 384 },
  'thenlper/gte-small': GTE,
  'thenlper/gte-base': GTE,
  'thenlper/gte-large': GTE,
  'Alibaba-NLP/gte-modernbert-base': { ...GTE, pooling: 'cls', maxTokens: 8192 },
  'Alibaba-NLP/gte-Qwen2-1.5B-instruct': GTE_QWEN2,
  'intfloat/e5-small': E5,
  'intfloat/e5-base': E5,
  'intfloat/e5-large': E5,
  'intfloat/e5-small-v2': E5,
  'intfloat/e5-base-v2': E5,
  'intfloat/e5-large-v2': E5,
  'intfloat/multilingual-e5-small': E5,
  'intfloat/multilingual-e5-base': E5,
  'intfloat/multilingual-e5-large': E5,
  'nomic-ai/nomic-embed-text-v1': NOMIC,
  'nomic-ai/nomic-embed-text-v1.5': NOMIC,
  'google/embeddinggemma-300m': EMBEDDING_GEMMA,
};

/** The first of `names` that the table knows, by full name or by the part after the organisation; exports may add `-ONNX`. */
export function findKnownModel(names: readonly string[]): KnownModel | undefined {
  return findByName(
    KNOWN,
    names.map((name) => name.replace(/-onnx$/i, '')),
  );
}
