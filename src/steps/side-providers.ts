import type { SideProviders } from '../search/search.ts';
import type { MigrationContext } from '../state/context.ts';
import { lazyProvider } from './provider.ts';

/** Works with the models of both sides, opened when they are first asked; those that were given outlive the call, the definition's are closed. */
export async function withSideProviders<T>(
  ctx: MigrationContext,
  given: SideProviders | undefined,
  work: (providers: SideProviders) => Promise<T>,
): Promise<T> {
  const { definition } = ctx;
  const fresh = lazyProvider(ctx, definition);
  const old = definition.from === undefined ? undefined : lazyProvider(ctx, definition.from);
  try {
    return await work({ new: given?.new ?? (() => fresh.get()), old: given?.old ?? (old && (() => old.get())) });
  } finally {
    await fresh.close();
    await old?.close();
  }
}
