import { realReference } from '../adapters/adapted-reference.ts';
import { isRemote } from '../config/provider-names.ts';
import type { ModelReference } from '../config/types.ts';
import { createProvider } from '../providers/create-provider.ts';
import { providerOptions } from '../providers/provider-options.ts';
import type { EmbeddingProvider } from '../providers/types.ts';
import type { MigrationContext } from '../state/context.ts';
import { type MigrationLedger, openLedger } from './usage-ledger.ts';

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
  let ledger: MigrationLedger | undefined;
  const open = async (): Promise<EmbeddingProvider> => {
    const real = await realReference(reference, ctx.runtime.adapters);
    if (isRemote(real.provider)) ledger = await openLedger(ctx, real);
    return createProvider(reference, {
      ...providerOptions(ctx.runtime),
      ledger,
      waitsForService: true,
      onNotice: (message) => ctx.onProgress({ kind: 'notice', message }),
      onWarning: (message) => ctx.onProgress({ kind: 'warning', message }),
    });
  };
  return {
    get() {
      provider ??= open();
      return provider;
    },
    async close() {
      const opened = await provider?.catch(() => undefined);
      await opened?.close();
      await ledger?.close();
    },
  };
}
