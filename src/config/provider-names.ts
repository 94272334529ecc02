import type { LocalProviderName, RemoteProviderName } from './types.ts';

const LOCAL = ['local', 'hash', 'file'] as const satisfies readonly LocalProviderName[];
const REMOTE = ['openai', 'huggingface', 'tei', 'gemini'] as const satisfies readonly RemoteProviderName[];

/** Every provider, as `provider` in a migration and `EMBEDDING_PROVIDER` name it. */
export const PROVIDERS = [...LOCAL, ...REMOTE, 'adapted'] as const;

/** Whether texts leave this machine, cost money or count against a service's limits. */
export function isRemote(provider: string): provider is RemoteProviderName {
  return REMOTE.some((name) => name === provider);
}
