import type { ModelReference, RemoteProviderName } from '../../config/types.ts';
import { ProviderError } from '../../errors.ts';
import type { ProviderOptions } from '../provider-options.ts';
import type { EmbeddingProvider } from '../types.ts';

/** Opens a provider that is asked over the network. @throws ConfigError or ProviderError when it cannot be used */
export async function openRemote(
  reference: ModelReference & { readonly provider: RemoteProviderName; readonly revision?: string | undefined },
  _options: ProviderOptions,
): Promise<EmbeddingProvider> {
  throw new ProviderError('provider_missing', `The provider ${reference.provider} does not work yet.`, {
    retryable: false,
    scope: 'service',
  });
}
