import { openRegistry } from '../../adapters/registry.ts';
import { wantedModel } from '../../adapters/wanted-model.ts';
import { AdapterError } from '../../errors.ts';
import { errorFinding, errorOf, type Finding, noteFinding } from '../finding.ts';
import { offerProjection, type ProjectionOffer, qualityOf } from '../mismatch/offer-projection.ts';
import { nameOfSpace, readStoredSpace } from '../mismatch/stored-space.ts';
import { type Examined, type Look, seen } from './look.ts';

const WHY = 'The backfill would stop at it.';
const HINT = 'Look at the registry with "reembed adapter list"; REEMBED_PROJECTIONS_DIR says where it is.';

/** Whether a projection leads from the stored vectors to the configured model. Only told: `adapter apply` and `EmbeddingsService.detect` apply one. */
export async function lookAtProjections(examined: Examined): Promise<Look> {
  const { ctx, record, facts, records } = examined;
  const { definition, runtime } = ctx;
  if (record?.active === 'new') return seen('the new vectors are in service');
  const stored = await readStoredSpace(ctx, facts, records);
  if (stored.dimensions === undefined) return seen('there is no old vector to map');
  const { model, dimensions } = definition;
  const what = `${nameOfSpace(stored) ?? 'a model that nobody named'} (${stored.dimensions}) to ${model} (${dimensions})`;
  try {
    const named = runtime.adapters.use;
    if (named !== undefined && named !== 'auto') {
      const entry = await openRegistry(runtime.adapters.dir).get(named);
      return seen(`${what} by ${entry.id}, as REEMBED_ADAPTER says: ${qualityOf(entry)}`);
    }
    const offer = await offerProjection(runtime.adapters.dir, {
      source: { ...stored, dimensions: stored.dimensions },
      target: wantedModel(definition),
      direction: 'document',
    });
    const isDone = record !== undefined && record.modelId !== null;
    return seen(`${what}: ${offer.message}`, isDone && named === undefined ? [] : [findingOf(examined, offer)]);
  } catch (error) {
    if (!(error instanceof AdapterError)) throw error;
    return seen(what, [errorOf(error, WHY, HINT)]);
  }
}

function findingOf({ ctx }: Examined, { projection, chains, message, command }: ProjectionOffer): Finding {
  const { use, auto } = ctx.runtime.adapters;
  const run = `Run "${command}"`;
  if (projection !== undefined) {
    const automatic = auto
      ? ' REEMBED_AUTO_ADAPT=1 lets EmbeddingsService.detect() apply it, after a backup, and take it back where verification fails.'
      : '';
    return noteFinding(
      'projection_fits',
      `${message}${automatic}`,
      `${run}; or only fill by it: "reembed backfill --adapter ${projection.id}".`,
    );
  }
  if (use !== undefined) return errorFinding('projection_missing', `REEMBED_ADAPTER=${use}: ${message}`, `${run}.`);
  if (chains.length > 0) return noteFinding('projection_chain', message, `${run}.`);
  return noteFinding(
    'projection_missing',
    message,
    `${run} where embedding the texts is too slow or too dear; "reembed backfill" embeds them.`,
  );
}
