import type { Distance } from '../config/types.ts';
import type { SqlFragment } from '../sql/filter.ts';
import type { MigrationContext } from '../state/context.ts';
import { fingerprintHash } from '../state/models.ts';
import { ascending, quantile } from '../vector/distribution.ts';
import { type AnsweredSide, scoreAnswers } from './compare-sides.ts';
import { meanMetrics, type RankMetrics } from './metrics.ts';
import type { LabelledQuery } from './queries/types.ts';
import { type Answer, runReranked, runSearches, type SearchRun } from './run-searches.ts';
import type { EvaluatedSide } from './sides.ts';
import type { RowCounts, SearchMeasures, SideResult } from './types.ts';

export interface MeasureOptions {
  readonly sides: readonly EvaluatedSide[];
  readonly queries: readonly LabelledQuery[];
  readonly k: number;
  readonly filter: SqlFragment | undefined;
  readonly rows: RowCounts;
  /** The queries as vectors of the side's model. */
  readonly encode: (side: EvaluatedSide) => Promise<readonly Float32Array[]>;
}

export interface MeasuredSide extends AnsweredSide {
  readonly distance: Distance;
  readonly result: SideResult;
}

const VERDICT_DEPTH = 10;
/** An index is asked for more rows than it may return where some are filtered out of its answer: with few of them that hardly shows. */
const MIN_COMMON_SHARE = 0.9;

/** Every side with every query, exactly and through the index. */
export async function measureSides(ctx: MigrationContext, options: MeasureOptions): Promise<MeasuredSide[]> {
  const encoded = new Map<EvaluatedSide['open'], Promise<readonly Float32Array[]>>();
  const measured: MeasuredSide[] = [];
  for (const side of options.sides) {
    // The same column behind a reranker takes the same vectors, with mapped queries it takes others.
    const vectors = encoded.get(side.open) ?? options.encode(side);
    encoded.set(side.open, vectors);
    measured.push(await measureSide(ctx, side, await vectors, options));
  }
  return measured;
}

async function measureSide(
  ctx: MigrationContext,
  side: EvaluatedSide,
  vectors: readonly Float32Array[],
  options: MeasureOptions,
): Promise<MeasuredSide> {
  const { queries, k, filter } = options;
  const { search, reranker, name } = side;
  const depth = Math.max(k, VERDICT_DEPTH);
  const run: SearchRun = { search, vectors, depth, path: 'exact', filter };
  tell(ctx, `Asking the ${name} vectors ${queries.length} queries, every vector compared`);
  const texts = queries.map(({ query }) => query);
  const exact = reranker === undefined ? await runSearches(ctx, run) : await runReranked(ctx, run, texts, reranker);
  const scores = scoreAnswers(queries, exact, k);
  const { model } = await side.open();
  const { provider, dimensions } = model;
  return {
    name,
    distance: search.distance,
    answers: exact,
    scores,
    result: {
      name,
      column: search.target.column,
      model: { provider, name: model.name, dimensions, fingerprint: fingerprintHash({ ...model }) },
      reranker: reranker && { name: reranker.model.model.name, topK: reranker.topK },
      exact: measuresOf(exact, scores),
      throughIndex: await measureIndex(ctx, side, run, exact, options),
    },
  };
}

async function measureIndex(
  ctx: MigrationContext,
  { name, search, reranker }: EvaluatedSide,
  run: SearchRun,
  exact: readonly Answer[],
  { queries, k, rows }: MeasureOptions,
): Promise<SideResult['throughIndex']> {
  if (search.index === undefined || reranker !== undefined) return undefined;
  if (rows.common < MIN_COMMON_SHARE * Math.max(...rows.sides)) return undefined;
  tell(ctx, `Asking the ${name} vectors through ${search.index.name}`);
  const answers = await runSearches(ctx, { ...run, path: 'index' });
  const shares = exact.map(({ ranking }, i) => {
    const best = ranking.slice(0, VERDICT_DEPTH);
    const found = new Set(answers[i]?.ranking.slice(0, VERDICT_DEPTH));
    return best.length === 0 ? 1 : best.filter((key) => found.has(key)).length / best.length;
  });
  return {
    ...measuresOf(answers, scoreAnswers(queries, answers, k)),
    index: search.index,
    ofExact: shares.reduce((sum, share) => sum + share, 0) / shares.length,
  };
}

function measuresOf(answers: readonly Answer[], scores: readonly (RankMetrics | undefined)[]): SearchMeasures {
  const labelled = scores.filter((each) => each !== undefined);
  const times = ascending(answers.map(({ milliseconds }) => milliseconds));
  return {
    metrics: labelled.length === 0 ? undefined : meanMetrics(labelled),
    latency: { p50: quantile(times, 0.5), p95: quantile(times, 0.95) },
  };
}

function tell(ctx: MigrationContext, message: string): void {
  ctx.onProgress({ kind: 'step', step: 'inspect', message });
}
