import type { ModelReference, RemoteSettings } from '../../config/types.ts';
import { endpointUrl } from './endpoint.ts';
import type { Protocol } from './protocol.ts';
import { largestRequest } from './request-limits.ts';
import { servedModel } from './served-model.ts';
import { inputsBody, listOfVectors, PAYLOAD_BYTES } from './tei.ts';

const ROUTER = 'https://router.huggingface.co/hf-inference/models';

/** The endpoint's own URL, or the router's for the model. */
export function huggingfaceUrl({ model }: ModelReference, settings: RemoteSettings): URL {
  if (settings.baseUrl !== undefined) return endpointUrl(settings.baseUrl, '', settings);
  return endpointUrl(ROUTER, `/${model}/pipeline/feature-extraction`, settings);
}

/** An Inference Endpoint, or the Hugging Face router's feature extraction: https://huggingface.co/docs/inference-providers/tasks/feature-extraction */
export function huggingfaceProtocol(
  reference: ModelReference & { readonly revision?: string | undefined },
  url: URL,
  settings: RemoteSettings,
): Protocol {
  const served = servedModel(reference, settings);
  return {
    url,
    model: {
      provider: 'huggingface',
      name: reference.model,
      revision: reference.revision ?? null,
      dimensions: reference.dimensions,
      dtype: null,
      pooling: null,
      normalize: true,
      prefixes: served.prefixes,
      files: {},
    },
    limits: {
      ...largestRequest('huggingface', undefined),
      bytes: PAYLOAD_BYTES,
      tokensPerText: served.maxTokens ?? Number.POSITIVE_INFINITY,
      refusesLong: false,
    },
    maxTokens: served.maxTokens,
    body: inputsBody(served),
    vectors: listOfVectors,
    tokens: () => undefined,
  };
}
