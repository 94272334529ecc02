import type { ModelReference, RemoteSettings } from '../../config/types.ts';
import { endpointUrl } from './endpoint.ts';
import { countOf, fieldsOf } from './json-fields.ts';
import type { Protocol } from './protocol.ts';
import { isOpenAi, largestRequest, OPENAI_URL } from './request-limits.ts';
import { servedModel } from './served-model.ts';

const MAX_TOKENS = 8191;
const MAX_BYTES = 8 * 2 ** 20;

export function openaiUrl(settings: RemoteSettings): URL {
  // People copy the whole URL of the method, too.
  return endpointUrl((settings.baseUrl ?? OPENAI_URL).replace(/\/embeddings$/, ''), '/embeddings', settings);
}

/** OpenAI's embeddings API, which vLLM, Ollama, LiteLLM and others speak too. */
export function openaiProtocol(
  reference: ModelReference & { readonly revision?: string | undefined },
  url: URL,
  settings: RemoteSettings,
): Protocol {
  const served = servedModel(reference, settings);
  const maxTokens = served.maxTokens ?? (isOpenAi('openai', url.href) ? MAX_TOKENS : undefined);
  let format: 'base64' | 'float' = 'base64';
  return {
    url,
    model: {
      provider: 'openai',
      name: reference.model,
      revision: reference.revision ?? null,
      dimensions: reference.dimensions,
      dtype: null,
      pooling: null,
      normalize: served.normalize,
      prefixes: served.prefixes,
      files: {},
    },
    limits: {
      ...largestRequest('openai', url.href),
      bytes: MAX_BYTES,
      tokensPerText: maxTokens ?? Number.POSITIVE_INFINITY,
      refusesLong: true,
    },
    maxTokens,
    body: (texts, kind) => ({
      model: reference.model,
      input: texts.map((text) => served.prefixes[kind] + text),
      encoding_format: format,
      ...(served.dimensions === undefined ? {} : { dimensions: served.dimensions }),
    }),
    vectors: ({ json }) => {
      const { data } = fieldsOf(json);
      if (!Array.isArray(data)) return undefined;
      return data.map((item) => {
        const { index, embedding } = fieldsOf(item);
        return { index: typeof index === 'number' ? index : Number.NaN, values: embedding };
      });
    },
    tokens: ({ json }) => countOf(fieldsOf(fieldsOf(json).usage).total_tokens),
    adapt: ({ details, message }, body) => {
      const isAboutFormat = details.kind === 'refused' && /encoding_format|base64/i.test(message);
      if (!isAboutFormat || fieldsOf(body).encoding_format !== 'base64') return false;
      format = 'float';
      return true;
    },
  };
}
