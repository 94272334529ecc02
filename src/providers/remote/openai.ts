import type { ModelReference, RemoteSettings } from '../../config/types.ts';
import { endpointUrl } from './endpoint.ts';
import { countOf, fieldsOf } from './json-fields.ts';
import type { Protocol } from './protocol.ts';
import { servedModel } from './served-model.ts';

const OFFICIAL = 'https://api.openai.com/v1';
/** https://platform.openai.com/docs/api-reference/embeddings/create */
const OFFICIAL_LIMITS = { items: 2048, tokens: 300_000, bytes: 8 * 2 ** 20, tokensPerText: 8191, refusesLong: true };
/** For servers of one's own, which say no limits: small enough for a CPU to answer in time. */
const OWN_ITEMS = 64;

export function openaiUrl(settings: RemoteSettings): URL {
  // People copy the whole URL of the method, too.
  return endpointUrl((settings.baseUrl ?? OFFICIAL).replace(/\/embeddings$/, ''), '/embeddings', settings);
}

/** OpenAI's embeddings API, which vLLM, Ollama, LiteLLM and others speak too. */
export function openaiProtocol(
  reference: ModelReference & { readonly revision?: string | undefined },
  url: URL,
  settings: RemoteSettings,
): Protocol {
  const served = servedModel(reference, settings);
  const isOfficial = url.hostname === new URL(OFFICIAL).hostname;
  const maxTokens = served.maxTokens ?? (isOfficial ? OFFICIAL_LIMITS.tokensPerText : undefined);
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
      ...OFFICIAL_LIMITS,
      items: isOfficial ? OFFICIAL_LIMITS.items : OWN_ITEMS,
      tokensPerText: maxTokens ?? Number.POSITIVE_INFINITY,
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
