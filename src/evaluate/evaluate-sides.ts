import { SQLSTATE, sqlStateOf } from '../db/sqlstate.ts';
import { messageOf, PreflightError } from '../errors.ts';
import { retryAfterSwap } from '../search/active-model.ts';
import { queryVectors, type SideProviders } from '../search/search.ts';
import { type ComparedColumn, commonRowsSql } from '../sql/evaluation.ts';
import type { MigrationContext } from '../state/context.ts';
import { storeEvaluation } from '../state/evaluations.ts';
import { upgradeState } from '../state/state-version.ts';
import { checkOldModel } from './check-old-model.ts';
import { checkAdapted } from './checks/adapted.ts';
import { runChecks } from './checks/run-checks.ts';
import type { CheckOptions } from './checks/types.ts';
import { compareSides, pickExamples } from './compare-sides.ts';
import { countRows, readEvaluationClock } from './count-rows.ts';
import { criterionOf, heedChecks } from './decide.ts';
import { loadQueries, type QuerySource } from './load-queries.ts';
import { type MeasuredSide, measureSides } from './measure-sides.ts';
import { comparedColumns, type EvaluatedSide, type MoreSides, readSides } from './sides.ts';
import { reportOf } from './stored-report.ts';
import type { EvaluationCheck, EvaluationResult, SideComparison } from './types.ts';

/** With a `reranker` the verdict is about the new vectors behind it. */
export interface EvaluateSidesOptions extends MoreSides {
  readonly queries: QuerySource;
  /** Both models, each for its own queries. */
  readonly providers: SideProviders;
  /** Depth of `recallAtK` and of the agreement (10). */
  readonly k?: number | undefined;
  /** Queries at most: all of a file, 500 known items unless said. */
  readonly sample?: number | undefined;
  /** Draws queries and resamples (1): the same seed gives the same numbers. */
  readonly seed?: number | undefined;
  /** Recall@10 that may be lost, absolute; `runtime.evaluation.tolerance` unless given. */
  readonly tolerance?: number | undefined;
  /** Recall@10 that must be gained instead; `runtime.evaluation.minGain` unless given. */
  readonly minGain?: number | undefined;
  /** What the quick checks look at, false for none; a check that fails stands against a GO. */
  readonly checks?: Omit<CheckOptions, 'providers' | 'seed' | 'hits'> | false | undefined;
  /** Keeps a verdict that labelled queries or a failed check gave in the state, for the gate and `status` (true). */
  readonly store?: boolean;
}

const DEFAULT_K = 10;
const DEFAULT_SEED = 1;
/** Hits of a query that thresholds are moved by, however deep the search goes. */
const THRESHOLD_HITS = 10;

/**
 * Answers the same queries by the old vectors and by the new ones, each query embedded by its own model, and says whether the new ones
 * may go into service. Only rows that every side has a vector for take part.
 *
 * @throws PreflightError `not_expanded`, `old_column_gone`, `nothing_to_compare`; ConfigError as `loadQueries`, `no_provider`
 */
export async function evaluateSides(ctx: MigrationContext, options: EvaluateSidesOptions): Promise<EvaluationResult> {
  const result = await retryAfterSwap(() => evaluateInOneState(ctx, options));
  // Agreement alone decides nothing, and must not take the place of what did; nor does a verdict on mapped queries say anything of a swap.
  const isOfNew = options.adapter?.judged !== true;
  const decides = isOfNew && (result.queries.labelled > 0 || result.verdict !== 'inconclusive');
  if (options.store !== false && decides) await storeResult(ctx, result);
  return result;
}

async function evaluateInOneState(ctx: MigrationContext, options: EvaluateSidesOptions): Promise<EvaluationResult> {
  const { k = DEFAULT_K, seed = DEFAULT_SEED, sample } = options;
  const { tolerance = ctx.runtime.evaluation.tolerance, minGain = ctx.runtime.evaluation.minGain } = options;
  const at = await readEvaluationClock(ctx.db);
  const sides = await readSides(ctx, options.providers, options);
  const columns = comparedColumns(sides);
  const rows = await countRows(ctx.db, columns);
  if (rows.common === 0 || !hasColumn(columns)) throw nothingToCompare(ctx, sides, rows.sides);
  const { queries, counts } = await loadQueries(ctx, options.queries, columns, { sample, seed });
  if (queries.length === 0) throw noQueryLeft(counts.source, counts.withoutRow);
  const oldModel = await checkOldModel(ctx, sides[0], seed);
  const texts = queries.map(({ query }) => query);
  const encode = ({ search, open }: EvaluatedSide) => queryVectors(texts, search, { [search.side]: open }, ctx.signal);
  const filter = rows.restricted ? { parts: [commonRowsSql(columns)], params: [] } : undefined;
  const measured = await measureSides(ctx, { sides, queries, k, filter, rows, encode });
  const adapted = await checkAdapted(ctx, newTarget(sides), rows);
  const said = [oldModel, adapted].filter((check) => check !== undefined);
  const checks = [...said, ...(await runAllChecks(ctx, options, measured))];
  const criterion = criterionOf(tolerance, minGain);
  const [first, ...others] = measured;
  const comparisons = others.map((other): SideComparison => {
    if (first === undefined) throw new RangeError('an evaluation has a side to compare with');
    return compareSides(queries, first, other, { k, seed, criterion });
  });
  const last = measured.at(-1);
  return {
    migration: ctx.definition.id,
    table: `${columns[0].target.schema}.${columns[0].target.table}`,
    at,
    seed,
    verdict: heedChecks(comparisons.at(-1)?.verdict ?? 'inconclusive', checks),
    criterion,
    queries: counts,
    rows,
    k,
    sides: measured.map(({ result }) => result),
    comparisons,
    examples: first === undefined || last === undefined ? [] : pickExamples(queries, first, last),
    checks,
  };
}

/** The column that an adapter fills. */
function newTarget(sides: readonly EvaluatedSide[]): Partial<EvaluatedSide['search']['target']> {
  return sides.find(({ search }) => search.side === 'new')?.search.target ?? {};
}

function hasColumn(columns: readonly ComparedColumn[]): columns is readonly [ComparedColumn, ...ComparedColumn[]] {
  return columns.length > 0;
}

/** The quick checks, with what the same queries found on both sides. */
async function runAllChecks(
  ctx: MigrationContext,
  { checks = {}, providers, seed = DEFAULT_SEED }: EvaluateSidesOptions,
  measured: readonly MeasuredSide[],
): Promise<readonly EvaluationCheck[]> {
  if (checks === false) return [];
  const similarities = (name: 'old' | 'new') =>
    measured
      .find((side) => side.name === name && side.distance === 'cosine')
      ?.answers.map(({ scores }) => scores.slice(0, THRESHOLD_HITS));
  const [old, fresh] = [similarities('old'), similarities('new')];
  const hits = old === undefined || fresh === undefined ? undefined : { old, new: fresh };
  return runChecks(ctx, { ...checks, providers, seed, hits });
}

/** A role that may only read gets its verdict all the same. */
async function storeResult(ctx: MigrationContext, result: EvaluationResult): Promise<void> {
  const { stateSchema } = ctx.runtime;
  try {
    await upgradeState(ctx, 'inspect');
    const { at, verdict } = result;
    await storeEvaluation(ctx.db, stateSchema, ctx.definition.id, { at, verdict, report: await reportOf(ctx, result) });
  } catch (error) {
    const isDenied = [SQLSTATE.insufficientPrivilege, SQLSTATE.readOnlyTransaction].some(
      (state) => state === sqlStateOf(error),
    );
    if (!isDenied) throw error;
    const message = `The verdict is not kept for 007 and "reembed status": ${messageOf(error)}.`;
    ctx.onProgress({ kind: 'warning', message });
  }
}

function nothingToCompare(
  ctx: MigrationContext,
  sides: readonly EvaluatedSide[],
  counts: readonly number[],
): PreflightError {
  const found = counts.map((count, i) => `${count} rows have a vector in ${sides[i]?.search.target.column}`).join(', ');
  return new PreflightError(
    'nothing_to_compare',
    `No row of ${ctx.definition.table.name} has both vectors: ${found}.`,
    {
      step: 'inspect',
      hint: 'Run "reembed backfill" first; some hundred rows are enough for a first look.',
    },
  );
}

function noQueryLeft(source: string, dropped: number): PreflightError {
  return new PreflightError(
    'nothing_to_compare',
    `None of the ${dropped} queries of ${source} has a relevant row that every side has a vector for.`,
    {
      step: 'inspect',
      hint: 'Compare the keys in the file with the primary key of the table, or run "reembed backfill" first.',
    },
  );
}
