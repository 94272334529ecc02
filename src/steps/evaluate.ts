import type { Adapter } from '../adapters/apply.ts';
import { ConfigError } from '../errors.ts';
import { type EvaluateSidesOptions, evaluateSides } from '../evaluate/evaluate-sides.ts';
import type { QuerySource } from '../evaluate/load-queries.ts';
import type { SideReranker } from '../evaluate/sides.ts';
import type { EvaluationResult } from '../evaluate/types.ts';
import { openReranker } from '../providers/open-reranker.ts';
import type { Reranker } from '../providers/reranker.ts';
import { rerankerSettings } from '../providers/reranker-settings.ts';
import type { VectorAdapter } from '../search/adapted-encoder.ts';
import { openQueryAdapter } from '../search/open-query-adapter.ts';
import type { SideProviders } from '../search/search.ts';
import type { MigrationContext } from '../state/context.ts';
import { withSideProviders } from './side-providers.ts';

export interface EvaluateOptions extends Omit<EvaluateSidesOptions, 'queries' | 'providers' | 'reranker' | 'adapter'> {
  /** What `REEMBED_QUERIES` or `REEMBED_KNOWN_ITEM` names unless given. */
  readonly queries?: QuerySource | undefined;
  /** Models that outlive this call; those of the definition are opened and closed unless given. */
  readonly providers?: SideProviders | undefined;
  /** Also the new vectors behind the reranker of the environment (`RERANK_*`), or behind the one that is given; the verdict is then about those. */
  readonly rerank?: boolean | Reranker | undefined;
  /** Also the old vectors with queries of the new model that a projection maps, or as its direction says: its id, `auto`, or one that is open. */
  readonly adapter?: string | VectorAdapter | undefined;
  /** Makes the verdict one on the mapped queries; it is not kept for 007 then (false). */
  readonly judgeAdapter?: boolean | undefined;
}

/**
 * Says whether the new vectors may go into service, by queries with known answers: both models answer them, on the rows that both have
 * embedded, and the difference is told with its uncertainty. The verdict is kept for 007's gate and `status`.
 *
 * @throws ConfigError `no_queries`, and as `loadQueries`; PreflightError `not_expanded`, `old_column_gone`, `nothing_to_compare`;
 *   ModelError `old_model_differs`; AdapterError as `openQueryAdapter`
 */
export async function evaluate(ctx: MigrationContext, options: EvaluateOptions = {}): Promise<EvaluationResult> {
  const queries = options.queries ?? configuredQueries(ctx);
  if (queries === undefined) throw noQueries();
  const { rerank = false, providers: given, adapter: mapper, judgeAdapter: judged = false, ...rest } = options;
  const adapter = await openMapper(ctx, mapper);
  try {
    return await withReranker(ctx, rerank, (reranker) =>
      withSideProviders(ctx, given, (providers) => {
        const more = { reranker, adapter: adapter && { adapter, judged } };
        return evaluateSides(ctx, { ...rest, ...more, queries, providers });
      }),
    );
  } finally {
    if (typeof mapper === 'string' && adapter !== undefined && 'close' in adapter) await adapter.close();
  }
}

async function openMapper(
  { definition, runtime }: MigrationContext,
  mapper: string | VectorAdapter | undefined,
): Promise<VectorAdapter | Adapter | undefined> {
  if (typeof mapper !== 'string') return mapper;
  return openQueryAdapter({ id: mapper, dir: runtime.adapters.dir, migration: definition });
}

async function withReranker<T>(
  ctx: MigrationContext,
  rerank: boolean | Reranker,
  work: (reranker: SideReranker | undefined) => Promise<T>,
): Promise<T> {
  if (rerank === false) return work(undefined);
  const model = rerank === true ? await openConfigured(ctx) : rerank;
  try {
    return await work({ model, topK: ctx.runtime.reranking.topK });
  } finally {
    if (rerank === true) await model.close();
  }
}

function openConfigured({ runtime, onProgress }: MigrationContext): Promise<Reranker> {
  const onNotice = (message: string): void => onProgress({ kind: 'notice', message });
  return openReranker({ ...rerankerSettings(runtime), onNotice });
}

/** What the environment names; undefined where it names nothing. */
export function configuredQueries({ runtime }: Pick<MigrationContext, 'runtime'>): QuerySource | undefined {
  const { queries, knownItem } = runtime.evaluation;
  if (queries !== undefined) return { file: queries };
  return knownItem === undefined ? undefined : { knownItem };
}

function noQueries(): ConfigError {
  return new ConfigError('no_queries', 'No queries are named to evaluate by.', {
    step: 'inspect',
    hint: 'Name a file with --queries (REEMBED_QUERIES), or a column whose text finds its own row with --known-item (REEMBED_KNOWN_ITEM).',
  });
}
