import type { ModelReference } from '../config/types.ts';
import { createProvider } from '../providers/create-provider.ts';
import { providerOptions } from '../providers/provider-options.ts';
import type { EmbeddingProvider } from '../providers/types.ts';
import type { MigrationContext } from '../state/context.ts';

/** A provider that is made when it is first needed: with nothing to embed no model is loaded and no key is asked for. */
export interface LazyProvider {
  get(): Promise<EmbeddingProvider>;
  close(): Promise<void>;
}

/** The provider of a model of this migration, with the environment's device, threads and batch size. */
export function lazyProvider(
  ctx: MigrationContext,
  reference: ModelReference & { readonly revision?: string | undefined },
): LazyProvider {
  let provider: Promise<EmbeddingProvider> | undefined;
  const open = (): Promise<EmbeddingProvider> =>
    createProvider(reference, {
      ...providerOptions(ctx.runtime),
      onNotice: (message) => ctx.onProgress({ kind: 'notice', message }),
    });
  return {
    get() {
      provider ??= open();
      return provider;
    },
    async close() {
      const opened = await provider?.catch(() => undefined);
      await opened?.close();
    },
  };
}
