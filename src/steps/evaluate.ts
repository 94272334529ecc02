import { ConfigError } from '../errors.ts';
import { type EvaluateSidesOptions, evaluateSides } from '../evaluate/evaluate-sides.ts';
import type { QuerySource } from '../evaluate/load-queries.ts';
import type { EvaluationResult } from '../evaluate/types.ts';
import { openReranker } from '../providers/open-reranker.ts';
import type { Reranker } from '../providers/reranker.ts';
import { rerankerSettings } from '../providers/reranker-settings.ts';
import type { SideProviders } from '../search/search.ts';
import type { MigrationContext } from '../state/context.ts';
import { withSideProviders } from './side-providers.ts';

export interface EvaluateOptions extends Omit<EvaluateSidesOptions, 'queries' | 'providers' | 'reranker'> {
  /** What `REEMBED_QUERIES` or `REEMBED_KNOWN_ITEM` names unless given. */
  readonly queries?: QuerySource | undefined;
  /** Models that outlive this call; those of the definition are opened and closed unless given. */
  readonly providers?: SideProviders | undefined;
  /** Also the new vectors behind the reranker of the environment (`RERANK_*`), or behind the one that is given; the verdict is then about those. */
  readonly rerank?: boolean | Reranker | undefined;
}

/**
 * Says whether the new vectors may go into service, by queries with known answers: both models answer them, on the rows that both have
 * embedded, and the difference is told with its uncertainty. The verdict is kept for 007's gate and `status`.
 *
 * @throws ConfigError `no_queries`, and as `loadQueries`; PreflightError `not_expanded`, `old_column_gone`, `nothing_to_compare`;
 *   ModelError `old_model_differs`
 */
export async function evaluate(ctx: MigrationContext, options: EvaluateOptions = {}): Promise<EvaluationResult> {
  const queries = options.queries ?? configuredQueries(ctx);
  if (queries === undefined) throw noQueries();
  const { rerank = false, providers: given, ...rest } = options;
  const model = rerank === true ? await openConfigured(ctx) : rerank;
  const reranker = model === false ? undefined : { model, topK: ctx.runtime.reranking.topK };
  try {
    return await withSideProviders(ctx, given, (providers) =>
      evaluateSides(ctx, { ...rest, queries, reranker, providers }),
    );
  } finally {
    if (rerank === true && model !== false) await model.close();
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
