import { AdapterError } from '../errors.ts';
import { ascending, meanOf, quantile } from '../vector/distribution.ts';
import { at, columnMeans, type Dense, inner, plus, plusDiagonal, plusRow, shuffled, takeRows, trace } from './dense.ts';
import type { Pairs } from './fit-types.ts';
import { type Algebra, leadingEigen, solveSymmetric } from './linear-algebra.ts';

/** With fewer, two maps are no more certain than one. */
const LEAST_SAMPLES = 100;
/** More than these tell nothing new. */
const MOST_SAMPLES = 1200;
const MOST_DIRECTIONS = 64;
const PENALTY = 0.1;
/** A second model among fewer than these cannot be told from outliers. */
const LEAST_SHARE = 0.03;
/**
 * By how much the map of the group that a vector is of must be better than the other's, as a share of the other's error, in the median. Real
 * passages with vectors of one model came to 0.12 at most, also with noise as strong as the signal; with a second model for 10 to 50% of them to
 * 0.46 at the least.
 */
const LEAST_MARGIN = 0.4;
/** The same of the twentieth least decided: halves of one cloud meet in the middle (0.01), two models leave a gap (0.14 at the least). */
const LEAST_GAP = 0.1;

/** Target directions and source vectors, about their means. */
interface Reverse {
  readonly directions: Dense;
  readonly source: Dense;
}

/**
 * Refuses pairs whose source vectors come from two models. A map forward may fit both, each in its part of the space; the map back, from few
 * target directions, cannot: so two maps back are learned, each from the vectors that it fits better (regression by clusters, Späth 1979), and
 * vectors that were not learned from tell whether these are two worlds or two shades of one.
 * @throws AdapterError `mixed_models`
 */
export async function assertOneModel(algebra: Algebra, { source, target }: Pairs, seed: number): Promise<void> {
  if (source.rows < LEAST_SAMPLES) return;
  const rows = shuffled(source.rows, seed).subarray(0, MOST_SAMPLES);
  const cut = Math.floor((rows.length * 2) / 3);
  const training = rows.subarray(0, cut);
  const sourceMean = columnMeans(takeRows(source, training, []));
  const targetMean = columnMeans(takeRows(target, training, []));
  const answers = takeRows(target, training, targetMean);
  const count = Math.min(MOST_DIRECTIONS, Math.floor(cut / 10), target.columns);
  const { vectors } = await leadingEigen(algebra, await algebra.multiply(answers, answers, 'first'), count);
  const sampleOf = async (part: Uint32Array): Promise<Reverse> => ({
    directions: await algebra.multiply(takeRows(target, part, targetMean), vectors),
    source: takeRows(source, part, sourceMean),
  });
  const maps = await twoMaps(algebra, await sampleOf(training));
  if (maps === undefined) return;
  const { margin, gap, share } = await separation(algebra, await sampleOf(rows.subarray(cut)), maps);
  if (margin >= LEAST_MARGIN && gap >= LEAST_GAP && share >= LEAST_SHARE) throw mixed(share, margin);
}

/** `x ≈ sourceMean + (z − directionsMean)·weight` of one group. */
interface ReverseMap {
  readonly weight: Dense;
  readonly directionsMean: Float64Array;
  readonly sourceMean: Float64Array;
}

/** Undefined where one group vanishes. */
async function twoMaps(algebra: Algebra, sample: Reverse): Promise<readonly ReverseMap[] | undefined> {
  let groups = await firstGroups(algebra, sample);
  for (let step = 0; step < 15; step++) {
    const sizes = [0, 1].map((group) => groups.filter((each) => each === group).length);
    if (Math.min(...sizes) < LEAST_SHARE * groups.length) return undefined;
    const maps = [await mapOf(algebra, sample, groups, 0), await mapOf(algebra, sample, groups, 1)];
    const next = nearest(await errorsOf(algebra, sample, maps));
    if (next.every((group, i) => group === groups[i])) return maps;
    groups = next;
  }
  return [await mapOf(algebra, sample, groups, 0), await mapOf(algebra, sample, groups, 1)];
}

/** Two means along the strongest direction of what one map leaves: two models differ in their means above all. */
async function firstGroups(algebra: Algebra, sample: Reverse): Promise<number[]> {
  const one = await mapOf(algebra, sample, [], undefined);
  const left = plus(sample.source, await predict(algebra, one, sample.directions), -1);
  const { vectors } = await leadingEigen(algebra, await algebra.multiply(left, left, 'second'), 1);
  const places = vectors.data;
  let limit = quantile(ascending(places), 0.5);
  for (let step = 0; step < 30; step++) {
    limit = (meanOf(places.filter((value) => value <= limit)) + meanOf(places.filter((value) => value > limit))) / 2;
  }
  return Array.from(places, (value) => (value > limit ? 1 : 0));
}

async function mapOf(
  algebra: Algebra,
  { directions, source }: Reverse,
  groups: readonly number[],
  group: number | undefined,
): Promise<ReverseMap> {
  const all = Array.from({ length: source.rows }, (_, i) => i);
  const rows = group === undefined ? all : all.filter((i) => groups[i] === group);
  const directionsMean = columnMeans(takeRows(directions, rows, []));
  const sourceMean = columnMeans(takeRows(source, rows, []));
  const z = takeRows(directions, rows, directionsMean);
  const gram = await algebra.multiply(z, z, 'first');
  const cross = await algebra.multiply(z, takeRows(source, rows, sourceMean), 'first');
  const penalised = plusDiagonal(gram, (PENALTY * trace(gram)) / gram.rows);
  return { weight: await solveSymmetric(algebra, penalised, cross), directionsMean, sourceMean };
}

async function predict(algebra: Algebra, map: ReverseMap, directions: Dense): Promise<Dense> {
  const centred = plusRow(
    directions,
    map.directionsMean.map((value) => -value),
  );
  return plusRow(await algebra.multiply(centred, map.weight), map.sourceMean);
}

/** Squared errors, row by row, one list a map. */
async function errorsOf(algebra: Algebra, sample: Reverse, maps: readonly ReverseMap[]): Promise<Float64Array[]> {
  const errors: Float64Array[] = [];
  for (const map of maps) errors.push(squares(plus(sample.source, await predict(algebra, map, sample.directions), -1)));
  return errors;
}

function squares(rows: Dense): Float64Array {
  return Float64Array.from({ length: rows.rows }, (_, i) => {
    let sum = 0;
    for (let j = 0; j < rows.columns; j++) sum += at(rows, i, j) ** 2;
    return sum;
  });
}

function nearest([first, second]: readonly Float64Array[]): number[] {
  return Array.from(first ?? [], (error, i) => (error > (second?.[i] ?? 0) ? 1 : 0));
}

async function separation(
  algebra: Algebra,
  sample: Reverse,
  maps: readonly ReverseMap[],
): Promise<{ readonly margin: number; readonly gap: number; readonly share: number }> {
  const [first, second] = await errorsOf(algebra, sample, maps);
  // Where both maps are all but exact their errors are rounding.
  const least = (0.05 * inner(sample.source, sample.source)) / sample.source.rows;
  const margins = ascending(
    Array.from(first ?? [], (error, i) => {
      const other = second?.[i] ?? 0;
      return Math.abs(error - other) / Math.max(error, other, least);
    }),
  );
  const share = meanOf(nearest([first ?? new Float64Array(), second ?? new Float64Array()]));
  return { margin: quantile(margins, 0.5), gap: quantile(margins, 0.05), share: Math.min(share, 1 - share) };
}

/** What the scores of pairs must show to be of two kinds: means so far apart, in values and in spreads. */
const LEAST_DISTANCE = 0.3;
const LEAST_SPREADS = 4;

/**
 * Refuses pairs of which a part fits no map while the others fit well, by the cosines of pairs that were left out: vectors of another model that
 * are too few to be learned, or of other texts.
 * @throws AdapterError `mixed_models`
 */
export function assertOneFit(cosines: Float64Array): void {
  const values = ascending(cosines);
  let limit = meanOf(values);
  let parts = { low: values, high: values };
  for (let step = 0; step < 30; step++) {
    const current = limit;
    parts = { low: values.filter((value) => value <= current), high: values.filter((value) => value > current) };
    if (parts.low.length === 0 || parts.high.length === 0) return;
    limit = (meanOf(parts.low) + meanOf(parts.high)) / 2;
  }
  const gap = meanOf(parts.high) - meanOf(parts.low);
  const spread = Math.sqrt((varianceOf(parts.low) + varianceOf(parts.high)) / 2);
  const share = parts.low.length / values.length;
  if (gap < LEAST_DISTANCE || gap < LEAST_SPREADS * spread || Math.min(share, 1 - share) < LEAST_SHARE) return;
  throw new AdapterError(
    'mixed_models',
    `${percent(share)} of the ${values.length} pairs fit no map (cosine ${meanOf(parts.low).toFixed(2)}), while the others fit well (${meanOf(parts.high).toFixed(2)}).`,
    {
      step: 'adapter',
      hint: 'Their old vectors are of another model or of other texts: leave these rows out, or embed them again with the old model.',
      context: { share, low: meanOf(parts.low), high: meanOf(parts.high) },
    },
  );
}

function varianceOf(values: Float64Array): number {
  const mean = meanOf(values);
  return meanOf(values.map((value) => (value - mean) ** 2));
}

function mixed(share: number, margin: number): AdapterError {
  return new AdapterError(
    'mixed_models',
    `The source vectors are of two models: about ${percent(share)} of them follow another map than the others (separation ${margin.toFixed(2)}, of one model at most ${LEAST_MARGIN}).`,
    {
      step: 'adapter',
      hint: 'Train on the rows of one model, or embed the others again with the old model first.',
      context: { share, observed: margin, expected: LEAST_MARGIN },
    },
  );
}

function percent(share: number): string {
  return `${Math.round(100 * share)}%`;
}
