import type { ProjectionChain } from '../../adapters/choose.ts';
import type { ProjectionEntry } from '../../adapters/types.ts';
import type { EmbeddingProvider } from '../../providers/types.ts';
import type { MigrationContext } from '../../state/context.ts';
import { readTextOnce } from '../../state/read-text.ts';
import { targetOf } from '../doctor/sample.ts';
import { readFacts } from '../facts.ts';
import { readRecords } from '../read-records.ts';
import { findMismatch, type ModelMismatch } from './find-mismatch.ts';
import { offerProjection } from './offer-projection.ts';
import { readStoredSpace } from './stored-space.ts';

export interface Detection {
  /** Undefined where the configured model is the one of the stored vectors, or nothing speaks against it. */
  readonly mismatch: ModelMismatch | undefined;
  /** The best measured projection from the stored vectors to the configured model. */
  readonly projection: ProjectionEntry | undefined;
  /** Offered where there is no single projection. */
  readonly chains: readonly ProjectionChain[];
  /** What was compared, what was found and what there is, for a person. */
  readonly message: string;
  /** What applies, composes or trains the projection; undefined without a mismatch. */
  readonly command: string | undefined;
}

/**
 * Whether the column that the application uses holds vectors of the configured model; where it does not, what the registry has to move them. Reads
 * only, and embeds the texts of eight rows where nobody has recorded the model.
 *
 * @throws PreflightError `table_missing`, `extension_missing`; AdapterError `registry_invalid`, `registry_newer`; what the provider throws
 */
export async function detectMismatch(ctx: MigrationContext, provider: EmbeddingProvider): Promise<Detection> {
  const facts = await readFacts(ctx);
  const records = await readRecords(ctx);
  const stored = await readStoredSpace(ctx, facts, records);
  const { table, extension } = facts;
  const record = records.find(({ id }) => id === ctx.definition.id);
  const text = await readTextOnce(ctx, table, record);
  const column = table.columns.find(({ name }) => name === ctx.definition.column);
  if (column === undefined || stored.dimensions === undefined) {
    return { ...NOTHING, message: `${stored.where} holds no vector yet.` };
  }
  const target = targetOf({ ctx, table, extension, text }, { ...column, dimensions: stored.dimensions });
  const { mismatch, message } = await findMismatch(ctx, stored, target, provider);
  if (mismatch === undefined) return { ...NOTHING, message };
  const offer = await offerProjection(ctx.runtime.adapters.dir, {
    source: { ...stored, dimensions: stored.dimensions },
    target: { dimensions: provider.model.dimensions, fingerprint: { ...provider.model } },
    direction: 'document',
  });
  const { projection, chains, command } = offer;
  return { mismatch, projection, chains, message: `${message} ${offer.message}`, command };
}

const NOTHING = { mismatch: undefined, projection: undefined, chains: [], command: undefined } as const;
