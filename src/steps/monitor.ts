import { readQueries } from '../evaluate/queries/read-queries.ts';
import type { ShadowReport } from '../evaluate/shadow/types.ts';
import { type WatchOptions, watchAgreement } from '../evaluate/shadow/watch-agreement.ts';
import type { SideProviders } from '../search/search.ts';
import type { MigrationContext } from '../state/context.ts';
import { resolveMigration } from '../state/resolve.ts';
import { withSideProviders } from './side-providers.ts';

export interface MonitorOptions extends Omit<WatchOptions, 'queries' | 'providers'> {
  /** A file of queries, as `evaluate` takes it; without it what the application's own shadow logs meanwhile is reported. */
  readonly queries?: string | undefined;
  /** Models that outlive this call; those of the definition are opened and closed unless given. */
  readonly providers?: SideProviders | undefined;
}

/**
 * Watches for a while how far the two sides agree: after the swap the kept old column beside the new one.
 *
 * @throws as `watchAgreement`; ConfigError `queries_unreadable`, `queries_invalid`
 */
export async function monitor(ctx: MigrationContext, options: MonitorOptions): Promise<ShadowReport> {
  const { queries: file, providers: given, ...rest } = options;
  const { table } = await resolveMigration(ctx);
  const queries = file === undefined ? undefined : await readQueries(file, table.key.length);
  const texts = queries?.map(({ query }) => query);
  return withSideProviders(ctx, given, (providers) => watchAgreement(ctx, { ...rest, queries: texts, providers }));
}
