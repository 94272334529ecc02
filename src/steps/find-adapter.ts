import { chooseProjection, noProjection, type ProjectionWish } from '../adapters/choose.ts';
import { openRegistry } from '../adapters/registry.ts';
import type { ProjectionEntry } from '../adapters/types.ts';
import { wantedModel } from '../adapters/wanted-model.ts';
import { readFacts } from '../inspect/facts.ts';
import { readStoredSpace } from '../inspect/mismatch/stored-space.ts';
import { readRecords } from '../inspect/read-records.ts';
import type { MigrationContext } from '../state/context.ts';

/**
 * The projection of a migration before anything is changed: the one that is named, the one that an earlier call began with, or the best of those that
 * fit. Whether a named one fits is for the backfill to say.
 *
 * @throws AdapterError `no_projection`, `projection_unknown`, `registry_invalid`
 */
export async function findAdapter(ctx: MigrationContext, id: string | undefined): Promise<ProjectionEntry> {
  const { definition, runtime } = ctx;
  const registry = openRegistry(runtime.adapters.dir);
  if (id !== undefined && id !== 'auto') return registry.get(id);
  const stored = await readStoredSpace(ctx, await readFacts(ctx), await readRecords(ctx));
  const wish: ProjectionWish = {
    source: stored.dimensions === undefined ? undefined : { ...stored, dimensions: stored.dimensions },
    target: wantedModel(definition),
    direction: 'document',
  };
  const choice = chooseProjection(await registry.list(), wish);
  if (choice.best === undefined) throw noProjection(wish, choice, runtime.adapters.dir);
  return choice.best;
}
