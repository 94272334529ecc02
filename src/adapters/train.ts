import { AdapterError } from '../errors.ts';
import { chooseKind } from './choose-kind.ts';
import { fitAll, fitProjection } from './fit.ts';
import { PROJECTION_KINDS } from './kinds.ts';
import { mapMatrix } from './map-matrix.ts';
import { rowNorms, stackRows } from './matrix.ts';
import { measureProjection } from './measure.ts';
import { heldOutBy, type KeptApart, type TrainingData, type TrainingPairs } from './training-data.ts';
import type { InputRange, Projection, ProjectionKind, ProjectionMetrics } from './types.ts';

export interface TrainOptions {
  readonly kind: 'auto' | ProjectionKind;
  readonly seed: number;
  /** Threads of the linear algebra; one a core unless said. */
  readonly threads?: number | undefined;
  readonly signal?: AbortSignal | undefined;
  /** Told before the training begins. */
  readonly onFit?: ((kinds: readonly ProjectionKind[], pairs: number) => void) | undefined;
}

/** A kind that was fitted to be compared with others. */
export interface TriedKind {
  readonly kind: ProjectionKind;
  /** On the part that was kept apart for choosing, not the holdout. */
  readonly metrics: ProjectionMetrics;
  readonly parameters: Readonly<Record<string, number>>;
  /** Of the fitting; what kinds share is counted with the first that needs it. */
  readonly seconds: number;
}

export interface TrainedProjection {
  readonly kind: ProjectionKind;
  readonly projection: Projection;
  readonly parameters: Readonly<Record<string, number>>;
  readonly samples: { readonly training: number; readonly validation: number; readonly holdout: number };
  /** On the holdout, which nothing else has seen. */
  readonly metrics: ProjectionMetrics;
  readonly range: InputRange;
  /** The simplest first; empty where the kind was given. */
  readonly tried: readonly TriedKind[];
  /** Kinds that these vectors do not allow, with the reason. */
  readonly leftOut: readonly { readonly kind: ProjectionKind; readonly reason: string }[];
}

/** Wrong with the pairs themselves, whatever is learned from them; any other refusal is of the kind that it meets. */
const OF_THE_PAIRS: ReadonlySet<string> = new Set(['mixed_models', 'degenerate_samples', 'not_finite']);
/** Whoever stops by validation keeps it apart to the end; the others learn from it, too, once the kind is chosen. */
const STOPS_BY_VALIDATION: ReadonlySet<ProjectionKind> = new Set(['residual-mlp']);
/** As vectors are checked before they are stored. */
const UNIT_TOLERANCE = 0.01;

/**
 * Fits the kind that is named, or all and chooses by what a search finds on the validation part, then measures it on the holdout.
 *
 * @throws AdapterError as `fitProjection` and `measureProjection`
 */
export async function trainProjection(data: TrainingData, options: TrainOptions): Promise<TrainedProjection> {
  const { training, validation, holdout, direction } = data;
  const compared = options.kind === 'auto' && validation !== undefined;
  const { tried, leftOut } = compared ? await tryKinds(data, validation, options) : { tried: [], leftOut: [] };
  const kind = options.kind === 'auto' ? (chooseKind(tried)?.kind ?? 'ridge') : options.kind;
  const stop = STOPS_BY_VALIDATION.has(kind) ? validation?.pairs : undefined;
  const pairs = stop !== undefined || validation === undefined ? training : stackPairs(training, validation.pairs);
  options.onFit?.([kind], pairs.source.rows);
  const { projection, parameters } = await fitProjection(kind, pairs, fitOptions(pairs, stop, options));
  const held = await heldOutBy(direction, holdout, (vectors) => mapMatrix(projection, vectors), options.seed);
  return {
    kind,
    projection,
    parameters,
    samples: { training: pairs.source.rows, validation: stop?.source.rows ?? 0, holdout: holdout.pairs.source.rows },
    metrics: await measureProjection(held),
    range: rangeOf(pairs),
    tried,
    leftOut,
  };
}

async function tryKinds(
  { training, direction }: TrainingData,
  validation: KeptApart,
  options: TrainOptions,
): Promise<Pick<TrainedProjection, 'tried' | 'leftOut'>> {
  options.onFit?.(PROJECTION_KINDS, training.source.rows);
  const outcomes = await fitAll(PROJECTION_KINDS, training, fitOptions(training, validation.pairs, options));
  const tried: TriedKind[] = [];
  const leftOut: { kind: ProjectionKind; reason: string }[] = [];
  for (const [kind, outcome] of outcomes) {
    if (outcome instanceof AdapterError) {
      if (OF_THE_PAIRS.has(outcome.code)) throw outcome;
      leftOut.push({ kind, reason: outcome.message });
      continue;
    }
    const map = (vectors: TrainingPairs['source']) => mapMatrix(outcome.projection, vectors);
    const metrics = await measureProjection(await heldOutBy(direction, validation, map, options.seed));
    const { parameters, seconds } = outcome;
    tried.push({ kind, metrics, parameters, seconds });
  }
  const [refusal] = [...outcomes.values()].filter((outcome) => outcome instanceof AdapterError);
  if (tried.length === 0 && refusal !== undefined) throw refusal;
  return { tried, leftOut };
}

function fitOptions({ target }: TrainingPairs, validation: TrainingPairs | undefined, options: TrainOptions) {
  const { seed, threads, signal } = options;
  const normalize = rowNorms(target).every((norm) => Math.abs(norm - 1) <= UNIT_TOLERANCE);
  return { seed, threads, signal, validation, normalize };
}

function rangeOf({ source }: TrainingPairs): InputRange {
  const norms = rowNorms(source);
  return { minNorm: norms.reduce((a, b) => Math.min(a, b)), maxNorm: norms.reduce((a, b) => Math.max(a, b)) };
}

function stackPairs(a: TrainingPairs, b: TrainingPairs): TrainingPairs {
  return { source: stackRows(a.source, b.source), target: stackRows(a.target, b.target) };
}
