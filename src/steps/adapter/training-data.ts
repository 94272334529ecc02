import { matrixOf } from '../../adapters/matrix.ts';
import type { KeptApart, TrainingData, TrainingPairs } from '../../adapters/training-data.ts';
import type { Matrix, ProjectionDirection } from '../../adapters/types.ts';
import { AdapterError, InterruptedError, ReembedError } from '../../errors.ts';
import type { OnProgress } from '../../progress.ts';
import type { ModelFingerprint } from '../../providers/types.ts';
import { vectorFault } from '../../vector/vector-fault.ts';
import type { Embedder } from './embedder.ts';
import { OWN_TEXTS, ownTextsOfPart, type PartQueries, queriesOfPart } from './queries-of-part.ts';
import { type SplitSample, splitSample } from './split.ts';
import type { Sample, SampledText } from './types.ts';

export interface DataOptions {
  readonly direction: ProjectionDirection;
  /** Texts that are measured on; the rest is learned from. */
  readonly holdout: number;
  /** Of those that are learned from, kept apart to choose by. */
  readonly validation: number;
  readonly seed: number;
  readonly onProgress: OnProgress;
}

export interface Models {
  /** Undefined where nobody knows how to ask it; then every text has its old vector. */
  readonly old: Embedder | undefined;
  readonly fresh: Embedder;
}

/** A sample whose texts have all vectors. */
interface Embedded {
  readonly sample: Sample;
  readonly old: Matrix;
  readonly fresh: Matrix;
  /** As the new model embeds a query; the same as `fresh` where it makes no difference. */
  readonly asked: Matrix;
}

/** Embeds what has no vector yet, cuts the sample, and asks the models for the vectors of the queries. */
export async function makeTrainingData(sample: Sample, models: Models, options: DataOptions): Promise<TrainingData> {
  const embedded = await embedTexts(sample, models, options);
  const { texts, asked } = embedded.sample;
  const split = splitSample({ ...options, texts: texts.length }, asked);
  const pairs = pairsOf(embedded, options.direction, split.training);
  const parts = await partsOf(embedded, split, models, options);
  return { direction: options.direction, training: pairs, ...parts };
}

async function embedTexts(sample: Sample, { old, fresh }: Models, { direction }: DataOptions): Promise<Embedded> {
  const model = await fresh.model();
  const oldVectors = await fillGaps(sample.texts, 'old', old);
  const freshVectors = await fillGaps(sample.texts, 'fresh', fresh);
  const separately = direction === 'query' && !isSymmetric(model);
  const texts = sample.texts.map(({ text }) => text);
  const askedVectors = separately ? await fresh.embed(texts, 'query', 'text') : freshVectors;
  // A text of which a model makes nothing is no pair; the others keep their order.
  const kept = sample.texts.flatMap((_, place) =>
    isUsable(oldVectors[place]) && vectorFault(freshVectors[place] ?? NOTHING, model) === undefined ? [place] : [],
  );
  const rows = (vectors: readonly Float32Array[]): Matrix => matrixOf(kept.map((place) => vectors[place] ?? NOTHING));
  return {
    sample: keepTexts(sample, kept),
    old: rows(oldVectors),
    fresh: rows(freshVectors),
    asked: rows(askedVectors),
  };
}

const NOTHING = new Float32Array(0);

/** The vectors that are there, and those of the model where none is. */
async function fillGaps(
  texts: readonly SampledText[],
  side: 'old' | 'fresh',
  model: Embedder | undefined,
): Promise<Float32Array[]> {
  const gaps = texts.filter((text) => text[side] === undefined).map(({ text }) => text);
  const made = model === undefined ? [] : await model.embed(gaps, 'document', 'text');
  let next = 0;
  return texts.map((text) => text[side] ?? made[next++] ?? NOTHING);
}

function isUsable(vector: Float32Array | undefined): boolean {
  return vector?.some((value) => value !== 0) === true && vector.every((value) => Number.isFinite(value));
}

/** Whether a text has one vector, whatever it is embedded as. Of a service that takes the kind as a parameter nobody knows. */
function isSymmetric({ provider, prefixes }: ModelFingerprint): boolean {
  return prefixes.document === prefixes.query && provider !== 'gemini';
}

function keepTexts({ texts, asked, source }: Sample, kept: readonly number[]): Sample {
  const places = new Map(kept.map((place, row) => [place, row]));
  return {
    texts: kept.flatMap((place) => texts[place] ?? []),
    asked: asked?.map(({ query, answers }) => ({
      query,
      answers: answers.flatMap((place) => places.get(place) ?? []),
    })),
    source,
  };
}

function pairsOf(
  { old, fresh, asked }: Embedded,
  direction: ProjectionDirection,
  places: readonly number[],
): TrainingPairs {
  return direction === 'document'
    ? { source: rowsOf(old, places), target: rowsOf(fresh, places) }
    : { source: rowsOf(asked, places), target: rowsOf(old, places) };
}

async function partsOf(
  embedded: Embedded,
  { validation, holdout }: SplitSample,
  models: Models,
  { direction, seed, onProgress }: DataOptions,
): Promise<Pick<TrainingData, 'validation' | 'holdout'>> {
  const { sample } = embedded;
  const inHoldout = queriesOfPart(sample, holdout, seed);
  if (inHoldout.queries.length === 0) throw nothingAsked(sample, holdout.length);
  const known = queriesOfPart(sample, validation, seed);
  const isFew = validation.length > 0 && known.queries.length < LEAST_TO_CHOOSE;
  if (isFew) tellFew(sample, known.queries.length, onProgress);
  const inValidation = isFew ? ownTextsOfPart(sample, validation) : known;
  const queries = [...inHoldout.queries, ...inValidation.queries];
  const fresh = await models.fresh.embed(queries, 'query', 'query');
  const old = await oldQueries(models.old, queries, onProgress);
  const part = (places: readonly number[], { answers }: PartQueries, from: number, source: string): KeptApart => ({
    pairs: pairsOf(embedded, direction, places),
    documents: { old: rowsOf(embedded.old, places), fresh: rowsOf(embedded.fresh, places) },
    queries: {
      source,
      answers,
      fresh: matrixOf(fresh.slice(from, from + answers.length)),
      old: old && matrixOf(old.slice(from, from + answers.length)),
    },
  });
  return {
    holdout: part(holdout, inHoldout, 0, sample.source),
    validation:
      validation.length === 0
        ? undefined
        : part(validation, inValidation, inHoldout.queries.length, isFew ? OWN_TEXTS : sample.source),
  };
}

/** Of fewer queries every kind finds as many, and the simplest would be taken for the best. */
const LEAST_TO_CHOOSE = 10;

function tellFew({ source }: Sample, found: number, onProgress: OnProgress): void {
  const few = found === 0 ? 'none' : `${found}`;
  onProgress({
    kind: 'notice',
    message: `The queries (${source}) leave ${few} to choose the kind by, at least ${LEAST_TO_CHOOSE} are expected: it is chosen by ${OWN_TEXTS}.`,
  });
}

function nothingAsked({ source, asked }: Sample, holdout: number): AdapterError {
  const found = asked === undefined ? 'no text' : `${asked.length} queries, none with an answer`;
  return new AdapterError(
    'no_queries',
    `The queries (${source}) ask for ${found} among the ${holdout} held-out rows.`,
    {
      step: 'adapter',
      hint: 'Name another column with --known-item, or queries whose answers have a text and an old vector with --queries.',
    },
  );
}

/** What the old model alone finds stands beside the rest of a report; whoever cannot ask it any more learns that and goes on. */
async function oldQueries(
  old: Embedder | undefined,
  queries: readonly string[],
  onProgress: OnProgress,
): Promise<Float32Array[] | undefined> {
  if (old === undefined) return undefined;
  try {
    return await old.embed(queries, 'query', 'query');
  } catch (error) {
    if (!(error instanceof ReembedError) || error instanceof InterruptedError) throw error;
    onProgress({ kind: 'notice', message: `The old model is left out of the comparison: ${error.message}` });
    return undefined;
  }
}

function rowsOf({ columns, data }: Matrix, places: readonly number[]): Matrix {
  const rows = places.map((place) => data.subarray(place * columns, (place + 1) * columns));
  return matrixOf(rows, columns);
}
