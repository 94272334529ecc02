import {
  chooseProjection,
  describeWish,
  type ProjectionChain,
  type ProjectionWish,
  trainCommand,
} from '../../adapters/choose.ts';
import { openRegistry } from '../../adapters/registry.ts';
import type { ProjectionEntry } from '../../adapters/types.ts';

/** What a registry has for two spaces, and the next command. */
export interface ProjectionOffer {
  /** The best that fits: measured, and of these very models as far as both are known. */
  readonly projection: ProjectionEntry | undefined;
  /** Of the right dimensions where nobody has said which model made the stored vectors: may be named, is never chosen. */
  readonly unsure: readonly ProjectionEntry[];
  /** Two behind each other, where there is no single one. */
  readonly chains: readonly ProjectionChain[];
  /** One or two sentences, with the quality that was measured. */
  readonly message: string;
  readonly command: string;
}

/**
 * Looks a projection up and says what it is worth. A chain is offered by the command that composes and measures it.
 *
 * @param migration the id for the commands, where the configuration holds several
 * @throws AdapterError `registry_invalid`, `registry_newer`
 */
export async function offerProjection(dir: string, wish: ProjectionWish): Promise<ProjectionOffer> {
  const { best, unsure, chains } = chooseProjection(await openRegistry(dir).list(), wish);
  const found = { projection: best, unsure, chains };
  if (best !== undefined) {
    return {
      ...found,
      message: `Projection ${best.id} maps ${describeWish(wish)}: ${qualityOf(best)}.`,
      command: `reembed adapter apply --projection ${best.id}`,
    };
  }
  const none = `No pre-trained projection found for ${describeWish(wish)}.`;
  const [chain] = chains;
  if (chain !== undefined) {
    const parts = chain.parts.map(({ id }) => id).join(' and ');
    const message = `${none} ${parts} lead there one behind the other; what both together lose is measured when they are composed.`;
    return { ...found, message, command: chain.command };
  }
  const [named] = unsure;
  if (named !== undefined) {
    const message = `${none} ${named.id} has these dimensions (${qualityOf(named)}), but which model made the stored vectors is not known: say it in "from", or name the projection.`;
    return { ...found, message, command: `reembed adapter apply --projection ${named.id}` };
  }
  return { ...found, message: none, command: trainCommand(wish) };
}

/** E.g. `Recall@10 retention 0.94 (0.91 to 0.97), similarity preservation 0.88, on 500 held-out vectors`. */
export function qualityOf({ metrics }: Pick<ProjectionEntry, 'metrics'>): string {
  if (metrics === undefined) return 'never measured';
  const { recallAt10, similarityPreservation, holdout } = metrics;
  const [kept, low, high] = [recallAt10.retention, recallAt10.low, recallAt10.high].map((value) => value.toFixed(2));
  return `Recall@10 retention ${kept} (${low} to ${high}), similarity preservation ${similarityPreservation.toFixed(2)}, on ${holdout} held-out vectors`;
}
