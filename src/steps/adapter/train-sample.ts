import { trainProjection } from '../../adapters/train.ts';
import type { ProjectionSpace } from '../../adapters/types.ts';
import { count } from '../../amounts.ts';
import type { OnProgress } from '../../progress.ts';
import { registerTrained, warningsOf } from './register.ts';
import { partSizes, wantedSizes } from './sizes.ts';
import { type Models, makeTrainingData } from './training-data.ts';
import type { Sample, TrainChoices, TrainedAdapter } from './types.ts';

/** Texts, and the models that make vectors of them. */
export interface GivenSample {
  readonly sample: Sample;
  /** Where the texts are, as a sentence begins with it. */
  readonly where: string;
  readonly old: ProjectionSpace;
  /** The new model's space is known when it is opened. */
  readonly fresh: () => Promise<ProjectionSpace>;
  readonly models: Models;
}

export interface TrainSampleOptions extends TrainChoices, Omit<GivenSample, 'sample'> {
  readonly dir: string;
  readonly threads: number | undefined;
  readonly onProgress: OnProgress;
  readonly signal: AbortSignal | undefined;
}

/** What becomes of a sample wherever it is from: vectors, a split, a projection, its measures, its place in the registry. */
export async function trainSample(sample: Sample, options: TrainSampleOptions): Promise<TrainedAdapter> {
  const started = performance.now();
  const { kind = 'auto', direction = 'document', seed = 1, where, models, onProgress, signal } = options;
  const wanted = wantedSizes(options);
  const sizes = partSizes(sample.texts.length, wanted, kind, where);
  tellFewer(sample, wanted, options);
  const data = await makeTrainingData(sample, models, { ...sizes, direction, seed, onProgress });
  const onFit = (kinds: readonly string[], pairs: number): void =>
    onProgress({ kind: 'step', step: 'adapter', message: `Fitting ${kinds.join(', ')} to ${count(pairs, 'pair')}` });
  const trained = await trainProjection(data, { kind, seed, threads: options.threads, signal, onFit });
  const fresh = await options.fresh();
  const { dir, old, minRetention } = options;
  const entry = await registerTrained(trained, { dir, direction, old, fresh, seed, minRetention });
  return {
    entry,
    dir,
    tried: trained.tried,
    chosenOn: trained.tried.length === 0 ? 0 : sizes.validation,
    leftOut: trained.leftOut,
    warnings: [...warningsOf(trained.metrics), ...unknownSource(old, entry.id)],
    seconds: (performance.now() - started) / 1000,
  };
}

function unknownSource({ fingerprint }: ProjectionSpace, id: string): string[] {
  if (fingerprint.provider !== undefined) return [];
  return [
    `Nobody has said which model made the old vectors, so that nothing chooses this projection by itself: name ${id} where you use it, or say the model in "from" and train again.`,
  ];
}

function tellFewer(
  { texts }: Sample,
  { samples, holdout }: { readonly samples: number; readonly holdout: number },
  { where, onProgress }: TrainSampleOptions,
): void {
  if (texts.length >= samples + holdout) return;
  const found = `${where} has ${count(texts.length, 'different text')} with a vector to learn from`;
  onProgress({
    kind: 'notice',
    message: `${found}; ${samples} + ${holdout} were wanted, and a fifth of them is held out.`,
  });
}
