import type { ModelReference, RemoteSettings } from '../../config/types.ts';
import { endpointUrl } from './endpoint.ts';
import { countOf, fieldsOf } from './json-fields.ts';
import type { Protocol } from './protocol.ts';
import { largestRequest } from './request-limits.ts';
import { servedModel } from './served-model.ts';

const SERVICE = 'https://generativelanguage.googleapis.com';
/** Of a model that is not known: that of the oldest one. */
const MAX_TOKENS = 2048;
const MAX_BYTES = 8 * 2 ** 20;
const TASKS = { document: 'RETRIEVAL_DOCUMENT', query: 'RETRIEVAL_QUERY' } as const;

export function geminiUrl({ model }: ModelReference, settings: RemoteSettings): URL {
  const base = settings.baseUrl ?? SERVICE;
  const version = /\/v\d\w*$/.test(base) ? '' : '/v1beta';
  return endpointUrl(base, `${version}/models/${bareName(model)}:batchEmbedContents`, settings);
}

/**
 * Google's Gemini API. Answers have no index: their order is the requests'. Vectors shorter than the model's own are cut by the
 * service and not scaled again, so all are scaled to length 1 here. `gemini-embedding-2` is told the task by a prefix; with older models the
 * task type plays that part, and stands in its place in the fingerprint.
 */
export function geminiProtocol(
  reference: ModelReference & { readonly revision?: string | undefined },
  url: URL,
  settings: RemoteSettings,
): Protocol {
  const { model, dimensions, revision } = reference;
  const { prefixes, maxTokens = MAX_TOKENS } = servedModel(reference, settings);
  const isPrompted = prefixes.document !== '';
  return {
    url,
    model: {
      provider: 'gemini',
      name: model,
      revision: revision ?? null,
      dimensions,
      dtype: null,
      pooling: null,
      normalize: true,
      prefixes: isPrompted ? prefixes : { document: `task: ${TASKS.document}`, query: `task: ${TASKS.query}` },
      files: {},
    },
    limits: { ...largestRequest('gemini', undefined), bytes: MAX_BYTES, tokensPerText: maxTokens, refusesLong: false },
    maxTokens,
    body: (texts, kind) => ({
      requests: texts.map((text) => ({
        model: `models/${bareName(model)}`,
        content: { parts: [{ text: prefixes[kind] + text }] },
        ...(isPrompted ? {} : { taskType: TASKS[kind] }),
        outputDimensionality: dimensions,
      })),
    }),
    vectors: ({ json }) => {
      const { embeddings } = fieldsOf(json);
      if (!Array.isArray(embeddings)) return undefined;
      return embeddings.map((embedding) => ({ index: undefined, values: fieldsOf(embedding).values }));
    },
    tokens: ({ json }) => countOf(fieldsOf(fieldsOf(json).usageMetadata).promptTokenCount),
  };
}

function bareName(model: string): string {
  return model.replace(/^models\//, '');
}
