import { PROVIDERS } from '../config/provider-names.ts';
import type { AdapterSettings, ModelReference, ProviderName } from '../config/types.ts';
import { AdapterError } from '../errors.ts';
import { chooseProjection, noProjection, type ProjectionWish } from './choose.ts';
import { openRegistry } from './registry.ts';
import { compareSpaces, type WantedSpace } from './same-space.ts';
import type { ProjectionEntry } from './types.ts';

/** Where projections are looked for, and which one. */
export type AdapterChoice = Pick<AdapterSettings, 'dir' | 'use'>;

/** What a reference with the provider `adapted` stands for. */
export interface AdaptedTarget {
  readonly entry: ProjectionEntry;
  /** The real model, into whose space is mapped: what embeds queries, and texts without an old vector. */
  readonly reference: ModelReference;
}

/**
 * The real model of a reference; anything but `adapted` is one already.
 * @throws as `adaptedTarget`
 */
export async function realReference(reference: ModelReference, choice: AdapterChoice): Promise<ModelReference> {
  return reference.provider === 'adapted' ? (await adaptedTarget(reference, choice)).reference : reference;
}

/**
 * The best projection into the space of the model that `reference` names with the provider `adapted`, and that model.
 * @throws AdapterError `no_projection`, `projection_misfit`, `target_unknown`, and as `Registry.get`
 */
export async function adaptedTarget(
  { model, dimensions }: Pick<ModelReference, 'model' | 'dimensions'>,
  { dir, use = 'auto' }: AdapterChoice,
): Promise<AdaptedTarget> {
  const registry = openRegistry(dir);
  const target: WantedSpace = { dimensions, fingerprint: { name: model } };
  if (use !== 'auto') {
    const entry = await registry.get(use);
    const { fit, difference } = compareSpaces(entry.target, target);
    if (fit === 'other') throw misfit(entry, model, difference);
    return { entry, reference: referenceOf(entry) };
  }
  const wish: ProjectionWish = { source: undefined, target, direction: 'document' };
  const choice = chooseProjection(await registry.list(), wish);
  if (choice.best === undefined) throw noProjection(wish, choice, dir);
  return { entry: choice.best, reference: referenceOf(choice.best) };
}

/** As it was configured when the projection was trained, else as its fingerprint says. */
function referenceOf({ id, target }: ProjectionEntry): ModelReference {
  if (target.reference !== undefined) return target.reference;
  const { provider, configuredAs, name } = target.fingerprint;
  const model = configuredAs ?? name;
  if (isProvider(provider) && typeof model === 'string') return { provider, model, dimensions: target.dimensions };
  throw new AdapterError('target_unknown', `The projection ${id} does not say which model its target's is.`, {
    step: 'adapter',
    hint: 'Configure the real provider and model, and name the projection with REEMBED_ADAPTER; or train one anew.',
    context: { projection: id, fingerprint: target.fingerprint },
  });
}

function isProvider(name: unknown): name is ProviderName {
  return name !== 'adapted' && PROVIDERS.some((provider) => provider === name);
}

function misfit(entry: ProjectionEntry, model: string, difference = ''): AdapterError {
  return new AdapterError(
    'projection_misfit',
    `The projection ${entry.id} does not map into the space of ${model}: ${difference}.`,
    {
      step: 'adapter',
      hint: 'Name another projection ("reembed adapter list"), or the model that this one was trained for.',
      context: { projection: entry.id, target: entry.target.fingerprint },
    },
  );
}
