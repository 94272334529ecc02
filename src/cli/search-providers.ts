import type { EmbeddingProvider } from '../providers/types.ts';
import type { MigrationContext } from '../state/context.ts';

export type OpenProvider = () => Promise<EmbeddingProvider>;

/** The models that embed the query, opened when they are asked. */
export interface SearchProviders {
  readonly new: OpenProvider | undefined;
  readonly old: OpenProvider | undefined;
  /** The side whose queries come from the other model, through a projection. */
  readonly adapted: 'old' | 'new' | undefined;
}

interface Flags {
  readonly adapter: string | undefined;
  readonly side: 'active' | 'old' | 'new' | undefined;
  readonly mode: string | undefined;
}

/** With the models of both sides, one of them through the projection that `--adapter` names. */
export async function withProviders<T>(
  ctx: MigrationContext,
  { adapter: id, side, mode = side }: Flags,
  work: (providers: SearchProviders) => Promise<T>,
): Promise<T> {
  const { lazyProvider } = await import('../steps/provider.ts');
  const { definition, runtime } = ctx;
  const fresh = lazyProvider(ctx, definition);
  const old = definition.from === undefined ? undefined : lazyProvider(ctx, definition.from);
  const plain: SearchProviders = { new: () => fresh.get(), old: old && (() => old.get()), adapted: undefined };
  try {
    if (id === undefined) return await work(plain);
    const { openQueryAdapter, sideOf } = await import('../search/open-query-adapter.ts');
    const { adaptedQueries } = await import('../search/adapted-encoder.ts');
    const asked = mode === 'old' || mode === 'new' ? mode : undefined;
    const adapter = await openQueryAdapter({ id, dir: runtime.adapters.dir, migration: definition, side: asked });
    const adapted = sideOf(adapter.entry);
    const other = adapted === 'old' ? plain.new : plain.old;
    const mapped = other && (async () => adaptedQueries(await other(), adapter));
    try {
      return await work({ ...plain, [adapted]: mapped, adapted });
    } finally {
      await adapter.close();
    }
  } finally {
    await fresh.close();
    await old?.close();
  }
}
