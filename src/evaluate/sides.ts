import { ConfigError } from '../errors.ts';
import type { Reranker } from '../providers/reranker.ts';
import type { EmbeddingProvider } from '../providers/types.ts';
import { adaptedQueries, type VectorAdapter } from '../search/adapted-encoder.ts';
import type { SideProviders } from '../search/search.ts';
import { readSearchSide, type SearchSide } from '../search/search-side.ts';
import { assertEndsAt } from '../search/space-model.ts';
import type { ComparedColumn } from '../sql/evaluation.ts';
import type { MigrationContext } from '../state/context.ts';
import { findRecord } from '../state/resolve.ts';

/** A way to answer queries that takes part in an evaluation: a column, its model, and what stands behind the search. */
export interface EvaluatedSide {
  readonly name: string;
  readonly search: SearchSide;
  readonly open: () => Promise<EmbeddingProvider>;
  /** The id that the state gave the column's model, 0 where any vector in it counts. */
  readonly modelId: number;
  readonly reranker?: SideReranker | undefined;
}

export interface SideReranker {
  readonly model: Reranker;
  /** Hits that it reads. */
  readonly topK: number;
}

/** Queries that are mapped to the space of the other model's vectors. */
export interface SideAdapter {
  readonly adapter: VectorAdapter;
  /** Whether the verdict is to be about them instead of the new vectors. */
  readonly judged: boolean;
}

/** What takes part beside the two columns as they are. */
export interface MoreSides {
  readonly reranker?: SideReranker | undefined;
  readonly adapter?: SideAdapter | undefined;
}

/**
 * The sides in the order of the report: the old vectors, then the new ones, and these once more behind the reranker. The verdict is about
 * the last one, so that a column with mapped queries stands before the new vectors unless it is to be judged itself.
 *
 * @throws PreflightError `not_expanded`, `old_column_gone`; ConfigError `no_provider` without the old model; AdapterError `spaces_differ`
 */
export async function readSides(
  ctx: MigrationContext,
  providers: SideProviders,
  { reranker, adapter }: MoreSides = {},
): Promise<readonly [EvaluatedSide, ...EvaluatedSide[]]> {
  const record = await findRecord(ctx);
  const side = async (name: 'old' | 'new'): Promise<EvaluatedSide> => ({
    name,
    search: await readSearchSide(ctx, name),
    open: providers[name] ?? noProvider(name),
    modelId: name === 'new' ? (record?.modelId ?? 0) : 0,
  });
  const fresh = await side('new');
  const old = await side('old');
  const reranked = reranker === undefined ? [] : [{ ...fresh, name: 'new, reranked', reranker }];
  const mapped = adapter === undefined ? [] : [adaptedSide(old, fresh, adapter.adapter)];
  return adapter?.judged === true ? [old, fresh, ...reranked, ...mapped] : [old, ...mapped, fresh, ...reranked];
}

/** The column at which the projection ends, with the queries of the other side's model. */
function adaptedSide(old: EvaluatedSide, fresh: EvaluatedSide, adapter: VectorAdapter): EvaluatedSide {
  const [searched, asked] = adapter.entry.direction === 'query' ? [old, fresh] : [fresh, old];
  assertEndsAt(adapter.entry, searched.search.target);
  return {
    ...searched,
    name: `${searched.name}, adapted queries`,
    open: async () => adaptedQueries(await asked.open(), adapter),
  };
}

/** Each column once. */
export function comparedColumns(sides: readonly EvaluatedSide[]): ComparedColumn[] {
  const columns = new Map(
    sides.map(({ search, modelId }) => [search.target.column, { target: search.target, modelId }]),
  );
  return [...columns.values()];
}

function noProvider(name: 'old' | 'new'): () => Promise<EmbeddingProvider> {
  return async () => {
    throw new ConfigError(
      'no_provider',
      `The ${name} model is not configured, so queries cannot be asked of its vectors.`,
      {
        step: 'inspect',
        hint:
          name === 'old'
            ? 'Set "from" in reembed.config.ts (or EMBEDDING_OLD_PROVIDER, EMBEDDING_OLD_MODEL, EMBEDDING_OLD_DIMENSIONS).'
            : 'Set "model" in reembed.config.ts (or EMBEDDING_MODEL).',
      },
    );
  };
}
