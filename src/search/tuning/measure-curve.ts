import { percentile } from '../../bench/statistics.ts';
import type { Queryable } from '../../db/types.ts';
import { candidatesOf } from '../../sql/quantization.ts';
import { type MigrationContext, throwIfStopped } from '../../state/context.ts';
import { bootstrapMean } from '../../vector/distribution.ts';
import { applySettings, nearest, type SearchHit, searchSettings } from '../nearest.ts';
import type { SearchIndex, SearchSide } from '../search-side.ts';
import {
  bySetting,
  type CurvePoint,
  efSearchGrid,
  probesGrid,
  settingBetween,
  smallestReaching,
} from './choose-setting.ts';
import { type ExactAnswer, exactAnswer, recallAt } from './recall-at.ts';
import type { TuningQuery } from './tuning-queries.ts';

/** A side whose index is measured. */
export type IndexedSide = SearchSide & { readonly index: SearchIndex };

export interface CurveJob {
  readonly side: IndexedSide;
  readonly queries: readonly TuningQuery[];
  /** Hits that count. */
  readonly k: number;
  /** Recall@k that is to be reached. */
  readonly target: number;
}

/** Few queries tell how far the curve has to be followed at all; they also warm what the server keeps in memory. */
const PILOT_QUERIES = 20;
const WORTH_TELLING_MINUTES = 2;
/** pgvector's own settings, which a search has that sets none. */
const PGVECTOR_DEFAULT = { ivfflat: 1, hnsw: 40 } as const;

/** What an exact search finds for every query. */
export async function exactAnswers(
  ctx: MigrationContext,
  job: Omit<CurveJob, 'side'> & { readonly side: SearchSide },
): Promise<ExactAnswer[]> {
  const { side, queries, k } = job;
  const answers: ExactAnswer[] = [];
  for (const query of queries) {
    throwIfStopped(ctx, 'tune');
    const began = performance.now();
    const exact = { ...side, index: undefined };
    const hits = await ctx.db.transaction(async (tx) => {
      await applySettings(tx, searchSettings(exact, 'exact', k));
      return nearest(tx, exact, query.vector, asked(query, k));
    });
    answers.push(exactAnswer(distancesOf(query, hits), k));
    if (answers.length === 1) foretell(ctx, (performance.now() - began) / 1000, queries.length);
    reportShare(ctx, side.target.table, 'exact searches', answers.length, queries.length);
  }
  return answers;
}

/** Each exact search reads the whole column: who waits for hours, and has a busy server meanwhile, is told at once. */
function foretell(ctx: MigrationContext, seconds: number, count: number): void {
  const minutes = (seconds * count) / 60;
  if (minutes < WORTH_TELLING_MINUTES) return;
  ctx.onProgress({
    kind: 'notice',
    message: `An exact search reads the whole column in ${seconds.toFixed(1)} s: ${count} of them take about ${Math.ceil(minutes)} minutes. --query-count asks fewer.`,
  });
}

/**
 * Recall and latency over the settings of the index, smallest first: a grid up to where the target is passed, then halving between its
 * neighbours. The settings of a round are measured in turn, query by query, so that what the machine does meanwhile meets all alike.
 */
export async function measureCurve(
  ctx: MigrationContext,
  job: CurveJob,
  answers: readonly ExactAnswer[],
): Promise<CurvePoint[]> {
  const { index } = job.side;
  const grid = index.kind === 'ivfflat' ? probesGrid(index.lists ?? 1) : efSearchGrid(leastEfSearch(index, job.k));
  const wanted = await pilot(ctx, job, answers, grid);
  const fixed = settingsInUse(index, job.k);
  let points = await measureSettings(ctx, job, answers, [...new Set([...wanted, ...fixed])]);
  for (const setting of grid) {
    if (smallestReaching(points, job.target) !== undefined) break;
    if (points.some((point) => point.setting >= setting)) continue;
    points = [...points, ...(await measureSettings(ctx, job, answers, [setting]))];
  }
  for (;;) {
    const between = settingBetween(points, job.target);
    if (between === undefined) break;
    const round = await measureSettings(ctx, job, answers, [between]);
    points = [...points, ...round];
  }
  return compareAgain(ctx, job, answers, points);
}

/** The chosen setting and those in use now, once more and together. */
async function compareAgain(
  ctx: MigrationContext,
  job: CurveJob,
  answers: readonly ExactAnswer[],
  points: readonly CurvePoint[],
): Promise<CurvePoint[]> {
  const chosen = smallestReaching(points, job.target)?.setting;
  const settings = new Set([...settingsInUse(job.side.index, job.k), ...(chosen === undefined ? [] : [chosen])]);
  const known = points.filter(({ setting }) => settings.has(setting)).map(({ setting }) => setting);
  const again = await measureSettings(ctx, job, answers, known);
  return bySetting([...points.filter(({ setting }) => !known.includes(setting)), ...again]);
}

/** The settings up to the first with which the pilot's queries pass the target. */
async function pilot(
  ctx: MigrationContext,
  job: CurveJob,
  answers: readonly ExactAnswer[],
  grid: readonly number[],
): Promise<number[]> {
  const few = { ...job, queries: job.queries.slice(0, PILOT_QUERIES) };
  const wanted: number[] = [];
  for (const setting of grid) {
    wanted.push(setting);
    const [point] = await measureSettings(ctx, few, answers, [setting], true);
    if ((point?.recall.mean ?? 0) >= (1 + job.target) / 2) break;
  }
  return wanted;
}

interface Tally {
  readonly setting: number;
  readonly recalls: number[];
  readonly milliseconds: number[];
}

/** Recall and latency with given settings, in turn. */
export async function measureSettings(
  ctx: MigrationContext,
  job: CurveJob,
  answers: readonly ExactAnswer[],
  settings: readonly number[],
  quiet = false,
): Promise<CurvePoint[]> {
  const tallies = settings.map((setting): Tally => ({ setting, recalls: [], milliseconds: [] }));
  for (const [i, query] of job.queries.entries()) {
    throwIfStopped(ctx, 'tune');
    const exact = answers[i];
    if (exact === undefined) continue;
    // Another one begins each time: the first search for a vector finds less of its way in memory.
    const turned = [...tallies.slice(i % tallies.length), ...tallies.slice(0, i % tallies.length)];
    await ctx.db.transaction(async (tx) => {
      for (const tally of turned) await searchOnce(tx, job, query, exact, tally);
    });
    if (!quiet)
      reportShare(ctx, job.side.index.name, `searches with ${settings.join(', ')}`, i + 1, job.queries.length);
  }
  return tallies.map(({ setting, recalls, milliseconds }) => ({
    setting,
    recall: bootstrapMean(recalls, 1),
    p50Ms: percentile(milliseconds, 0.5),
    p95Ms: percentile(milliseconds, 0.95),
  }));
}

async function searchOnce(
  tx: Queryable,
  { side, k }: CurveJob,
  query: TuningQuery,
  exact: ExactAnswer,
  tally: Tally,
): Promise<void> {
  const set = { ...side, index: withSetting(side.index, tally.setting) };
  const limit = asked(query, k);
  await applySettings(tx, searchSettings(set, 'index', limit));
  const started = performance.now();
  const hits = await nearest(tx, set, query.vector, limit);
  tally.milliseconds.push(performance.now() - started);
  tally.recalls.push(recallAt(distancesOf(query, hits), exact, k));
}

/** The same index, searched otherwise. */
export function withSetting(index: SearchIndex, setting: number): SearchIndex {
  return index.kind === 'ivfflat' ? { ...index, probes: setting } : { ...index, efSearch: setting };
}

/** As a search for k hits has it now. */
export function presentSetting(index: SearchIndex, k: number): number {
  return atLeastHits(index, (index.kind === 'ivfflat' ? index.probes : index.efSearch) ?? 1, k);
}

/** What reembed's searches have now, and what a search has that sets nothing. */
function settingsInUse(index: SearchIndex, k: number): number[] {
  return [presentSetting(index, k), atLeastHits(index, PGVECTOR_DEFAULT[index.kind], k)];
}

function atLeastHits(index: SearchIndex, setting: number, k: number): number {
  return index.kind === 'hnsw' ? Math.max(setting, leastEfSearch(index, k)) : setting;
}

/** HNSW finds no more rows than ef_search, and a search raises it to the hits, or candidates for them, that it asks for. */
function leastEfSearch(index: SearchIndex, k: number): number {
  return Math.min(1000, candidatesOf({ ...index, efSearch: 0 }, k + 1) ?? k + 1);
}

/** One more where a row of its own is among the hits. */
function asked(query: TuningQuery, k: number): number {
  return query.own === undefined ? k : k + 1;
}

function distancesOf({ own }: TuningQuery, hits: readonly SearchHit[]): number[] {
  const key = own === undefined ? undefined : JSON.stringify(own);
  return hits.filter((hit) => JSON.stringify(hit.key) !== key).map((hit) => hit.distance);
}

function reportShare(ctx: MigrationContext, index: string, phase: string, done: number, total: number): void {
  ctx.onProgress({ kind: 'index', index, phase, fraction: done / total });
}
