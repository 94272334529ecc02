import { type ComposedProjection, composeProjections, type MeasureChain } from '../adapters/compose.ts';
import { mapMatrix } from '../adapters/map-matrix.ts';
import { measureProjection } from '../adapters/measure.ts';
import { type LoadedProjection, openRegistry } from '../adapters/registry.ts';
import { compareSpaces } from '../adapters/same-space.ts';
import { heldOutBy } from '../adapters/training-data.ts';
import type { ProjectionEntry, ProjectionSpace } from '../adapters/types.ts';
import { count } from '../amounts.ts';
import type { ModelReference, RuntimeSettings } from '../config/types.ts';
import { AdapterError } from '../errors.ts';
import type { OnProgress } from '../progress.ts';
import type { MigrationContext } from '../state/context.ts';
import { warningsOf } from './adapter/register.ts';
import type { GivenSample } from './adapter/train-sample.ts';
import { makeTrainingData } from './adapter/training-data.ts';
import type { TrainAdapterOptions } from './adapter/types.ts';
import { withTableSample } from './train-adapter.ts';
import { withTextSample } from './train-adapter-from-texts.ts';

/** The two parts by their ids, A→B first, and how much the chain is measured on. */
export interface ComposeOptions extends Pick<TrainAdapterOptions, 'holdout' | 'seed' | 'queries'> {
  /** The registry's directory. */
  readonly dir: string;
  readonly first: string;
  readonly second: string;
}

/** A chain that is in the registry now. */
export interface ComposedAdapter {
  readonly entry: ProjectionEntry;
  readonly dir: string;
  /** Where the texts were that it was measured on; undefined where it was not measured. */
  readonly where: string | undefined;
  /** What should be looked at before it is used. */
  readonly warnings: readonly string[];
}

const HOLDOUT = 500;
/** With fewer a measure says nothing. */
const LEAST = 50;

/**
 * Composes two projections and measures the chain on the migration's table, whose old vectors are of the first one's source. Writes nothing to the
 * database.
 *
 * @throws AdapterError `spaces_differ`, `directions_differ`, `projection_misfit`, `too_few_rows`, and as `Registry.load`; as `trainAdapter`
 */
export async function composeOnTable(ctx: MigrationContext, options: ComposeOptions): Promise<ComposedAdapter> {
  const { holdout = HOLDOUT, seed, queries } = options;
  return compose(options, (composed) =>
    withTableSample(ctx, { samples: 0, holdout, seed, queries }, (given) => measureOn(given, composed, options, ctx)),
  );
}

export interface ComposeOnTextsOptions extends ComposeOptions {
  /** As `trainAdapterFromTexts` takes it. */
  readonly textFile: string;
  readonly runtime: RuntimeSettings;
  readonly signal?: AbortSignal | undefined;
  readonly onProgress?: OnProgress | undefined;
}

/**
 * The same on texts, without a database: the models of both ends embed them.
 * @throws as `composeOnTable`; AdapterError `model_unknown` where an end does not say how its model is asked
 */
export async function composeOnTexts(options: ComposeOnTextsOptions): Promise<ComposedAdapter> {
  const { holdout = HOLDOUT, onProgress = () => undefined } = options;
  return compose(options, (composed) => {
    const { source, target, direction } = composed.entry;
    const [old, fresh] = direction === 'document' ? [source, target] : [target, source];
    const models = { source: referenceOf(old), target: referenceOf(fresh) };
    return withTextSample({ ...options, ...models, samples: 0, holdout }, (given) =>
      measureOn(given, composed, options, { onProgress }),
    );
  });
}

/** Without a measure: nothing chooses the chain by itself. @throws as `composeOnTable` */
export async function composeUnmeasured(options: Omit<ComposeOptions, 'holdout'>): Promise<ComposedAdapter> {
  return compose(options, undefined);
}

async function compose(
  { dir, first, second }: ComposeOptions,
  measure: ((composed: ComposedProjection) => Promise<Measured>) | undefined,
): Promise<ComposedAdapter> {
  const registry = openRegistry(dir);
  const parts: readonly [LoadedProjection, LoadedProjection] = [
    await registry.load(first),
    await registry.load(second),
  ];
  let where: string | undefined;
  const measureChain: MeasureChain = async (composed) => {
    const measured = await measure?.(composed);
    where = measured?.where;
    return measured?.metrics;
  };
  const { entry, projection } = await composeProjections(...parts, measureChain);
  const warnings = entry.metrics === undefined ? [] : warningsOf(entry.metrics);
  return { entry: await registry.add(entry, projection), dir, where, warnings };
}

interface Measured {
  readonly metrics: Awaited<ReturnType<typeof measureProjection>>;
  readonly where: string;
}

async function measureOn(
  { sample, where, old, fresh, models }: GivenSample,
  { entry, projection }: ComposedProjection,
  { holdout = HOLDOUT, seed = 1 }: ComposeOptions,
  { onProgress }: Pick<MigrationContext, 'onProgress'>,
): Promise<Measured> {
  const { direction } = entry;
  if (sample.texts.length < LEAST) throw tooFew(sample.texts.length, where);
  const ends = direction === 'document' ? [old, await fresh()] : [await fresh(), old];
  refuseOthers(where, [entry.source, entry.target], ends);
  const sizes = { holdout: Math.min(holdout, sample.texts.length), validation: 0 };
  const data = await makeTrainingData(sample, models, { ...sizes, direction, seed, onProgress });
  const heldOut = await heldOutBy(direction, data.holdout, (vectors) => mapMatrix(projection, vectors), seed);
  return { metrics: await measureProjection(heldOut), where };
}

/** Measured on vectors of other models it would be worth nothing, and look as if it were. */
function refuseOthers(where: string, expected: readonly ProjectionSpace[], there: readonly ProjectionSpace[]): void {
  for (const [i, space] of expected.entries()) {
    const present = there[i];
    const { fit, difference } = present === undefined ? { fit: 'same' } : compareSpaces(space, present);
    if (fit !== 'other') continue;
    const end = i === 0 ? 'begins' : 'ends';
    throw new AdapterError(
      'projection_misfit',
      `The chain ${end} in another space than that of ${where}: ${difference}.`,
      {
        step: 'adapter',
        hint: 'Measure it with the migration that it is for (--migration), on texts (--text-file), or register it unmeasured (--no-measure).',
        context: { expected: space.fingerprint, observed: present?.fingerprint },
      },
    );
  }
}

function referenceOf({ reference, fingerprint }: ProjectionSpace): ModelReference {
  if (reference !== undefined) return reference;
  throw new AdapterError('model_unknown', `Nobody has said how the model ${String(fingerprint.name)} is asked.`, {
    step: 'adapter',
    hint: 'Measure the chain on the table of a migration instead, whose old vectors are there, or register it unmeasured (--no-measure).',
  });
}

function tooFew(found: number, where: string): AdapterError {
  const texts = count(found, 'different text');
  return new AdapterError('too_few_rows', `${where} has ${texts} to measure on, at least ${LEAST} are expected.`, {
    step: 'adapter',
    hint: 'Take more texts of the same kind (--text-file), or register the chain unmeasured (--no-measure).',
    context: { found, least: LEAST },
  });
}
