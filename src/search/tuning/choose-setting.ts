import type { MeanInterval } from '../../vector/distribution.ts';

/** What a search finds and takes with one setting of its index. */
export interface CurvePoint {
  /** `ivfflat.probes` or `hnsw.ef_search`. */
  readonly setting: number;
  /** Recall@k against exact search, 0..1, with its 95% interval over the queries. */
  readonly recall: MeanInterval;
  /** Milliseconds of one search, as its client sees them. */
  readonly p50Ms: number;
  readonly p95Ms: number;
}

/** hnsw.ef_search ends here. */
const MAX_EF_SEARCH = 1000;
const EF_STEPS = [10, 20, 40, 60, 80, 120, 160, 240, 320, 480, 640, 800, MAX_EF_SEARCH];
/** Two settings that are nearer than this to each other differ by less than what is measured. */
const RESOLUTION = 0.05;

/** 1, 2, 4 … and all lists, with which nothing is missed. */
export function probesGrid(lists: number): number[] {
  const grid: number[] = [];
  for (let probes = 1; probes < lists; probes *= 2) grid.push(probes);
  return [...grid, lists];
}

/** HNSW finds no more rows than ef_search, so what is below the number of hits is not asked. */
export function efSearchGrid(hits: number): number[] {
  const least = Math.min(hits, MAX_EF_SEARCH);
  return [...new Set([least, ...EF_STEPS.filter((step) => step >= least)])];
}

/**
 * True when a setting's recall reaches the target: by the lower end of its interval, not by its mean. A recommendation is a promise
 * about queries that were not measured, and the smallest of many settings is otherwise the one that was lucky.
 */
export function reaches(point: CurvePoint, target: number): boolean {
  return point.recall.low >= target;
}

/** The smallest setting that reaches the target; undefined when none does. */
export function smallestReaching(points: readonly CurvePoint[], target: number): CurvePoint | undefined {
  return bySetting(points).find((point) => reaches(point, target));
}

/**
 * The setting to measure next, halfway between the smallest that reaches the target and the one below it; undefined when they are as
 * near as can be told apart, or none reaches it.
 */
export function settingBetween(points: readonly CurvePoint[], target: number): number | undefined {
  const best = smallestReaching(points, target);
  if (best === undefined) return undefined;
  const below = Math.max(0, ...points.map(({ setting }) => setting).filter((setting) => setting < best.setting));
  if (below === 0 || best.setting - below <= Math.max(1, RESOLUTION * best.setting)) return undefined;
  return Math.floor((below + best.setting) / 2);
}

export function bySetting(points: readonly CurvePoint[]): CurvePoint[] {
  return [...points].sort((a, b) => a.setting - b.setting);
}
