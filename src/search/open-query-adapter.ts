import { type Adapter, openAdapter } from '../adapters/apply.ts';
import { chooseProjection, noProjection, type ProjectionWish } from '../adapters/choose.ts';
import { openRegistry, type Registry } from '../adapters/registry.ts';
import { compareSpaces, type WantedSpace } from '../adapters/same-space.ts';
import type { ProjectionEntry } from '../adapters/types.ts';
import { wantedModel } from '../adapters/wanted-model.ts';
import type { MigrationDefinition } from '../config/types.ts';
import { AdapterError } from '../errors.ts';
import { describeSpace, spacesDiffer } from './space-model.ts';

export interface QueryAdapterOptions {
  /** Of the registry; `auto` for the best that fits, also when not given. */
  readonly id?: string | undefined;
  /** The registry's directory (`projections`). */
  readonly dir?: string | undefined;
  /** The migration as `reembed.config.ts` pins it: between its two models the projection maps. */
  readonly migration: Pick<MigrationDefinition, 'provider' | 'model' | 'dimensions' | 'from'>;
  /** Whose vectors are searched: the old ones by queries of the new model, or the other way round. A named projection says it; `old` else. */
  readonly side?: 'old' | 'new' | undefined;
}

/**
 * A projection for queries, for `adaptedEncoder`. Close it when done.
 *
 * @throws AdapterError `spaces_differ` when a named one is of another direction or other models, `no_projection`, `old_model_unknown`,
 *   `projection_unknown`, `projection_changed`, `registry_invalid`
 */
export async function openQueryAdapter(options: QueryAdapterOptions): Promise<Adapter> {
  const { id = 'auto', dir = 'projections', migration, side } = options;
  const registry = openRegistry(dir);
  const entry = id === 'auto' ? await chooseOne(registry, migration, side ?? 'old') : await registry.get(id);
  assertFits(entry, wishOf(migration, side ?? sideOf(entry)));
  return openAdapter(await registry.load(entry.id));
}

/** The side whose vectors a projection lets be searched. */
export function sideOf({ direction }: Pick<ProjectionEntry, 'direction'>): 'old' | 'new' {
  return direction === 'query' ? 'old' : 'new';
}

async function chooseOne(
  registry: Registry,
  migration: QueryAdapterOptions['migration'],
  side: 'old' | 'new',
): Promise<ProjectionEntry> {
  const wish = wishOf(migration, side);
  const choice = chooseProjection(await registry.list(), wish);
  if (choice.best === undefined) throw noProjection(wish, choice, registry.dir);
  // What leads to vectors of just any model would find something in these, too.
  if (wish.source === undefined || wish.target === undefined) throw oldModelUnknown(choice.fitting);
  return choice.best;
}

/** Old vectors take queries of the new model, and new ones those of the old model. */
function wishOf(migration: QueryAdapterOptions['migration'], side: 'old' | 'new'): ProjectionWish {
  const fresh = wantedModel(migration);
  const old = migration.from && wantedModel(migration.from);
  return side === 'old'
    ? { source: fresh, target: old, direction: 'query' }
    : { source: old, target: fresh, direction: 'document' };
}

function oldModelUnknown(fitting: readonly ProjectionEntry[]): AdapterError {
  const ids = fitting.map(({ id }) => id);
  return new AdapterError(
    'old_model_unknown',
    `Which model made the old vectors is not configured, so that no projection can be chosen for them; of the right model on the other side ${ids.length === 1 ? 'is' : 'are'} ${ids.join(', ')}.`,
    {
      step: 'adapter',
      hint: `Say it in "from" (or EMBEDDING_OLD_PROVIDER, EMBEDDING_OLD_MODEL, EMBEDDING_OLD_DIMENSIONS), or name the projection, e.g. "${ids[0]}".`,
      context: { fitting: ids },
    },
  );
}

function assertFits(entry: ProjectionEntry, wish: ProjectionWish): void {
  const ends = [
    [entry.source, wish.source],
    [entry.target, wish.target],
  ] as const;
  const differences = ends.flatMap(([has, wanted]) => {
    const { fit, difference } = wanted === undefined ? FITS : compareSpaces(has, wanted);
    return fit === 'other' && difference !== undefined ? [difference] : [];
  });
  const isTurned = entry.direction !== wish.direction;
  if (!isTurned && differences.length === 0) return;
  const why = differences.length === 0 || isTurned ? '' : `: ${differences.join('; ')}`;
  throw spacesDiffer(
    entry,
    `queries of ${nameOf(wish.source)} are to search vectors of ${nameOf(wish.target)}${why}`,
    isTurned,
  );
}

const FITS = { fit: 'same', difference: undefined } as const;

function nameOf(space: WantedSpace | undefined): string {
  return space === undefined ? 'a model that "from" does not name' : describeSpace(space);
}
