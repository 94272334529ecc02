import { compareSpaces } from '../adapters/same-space.ts';
import { wantedModel } from '../adapters/wanted-model.ts';
import { loadConfig } from '../config/load-config.ts';
import { BusyError } from '../errors.ts';
import { type Detection, detectMismatch } from '../inspect/mismatch/detect-mismatch.ts';
import type { OnProgress } from '../progress.ts';
import type { EmbeddingProvider } from '../providers/types.ts';
import type { MigrationContext } from '../state/context.ts';
import { findRecord } from '../state/resolve.ts';
import { type MigratedWithAdapter, migrateWithAdapter } from '../steps/migrate-with-adapter.ts';
import { openMigration } from '../steps/open-migration.ts';

export interface DetectOptions {
  /** The migration as `openMigration` gives it; read from `reembed.config.*` and the environment, opened and closed again, unless given. */
  readonly ctx?: MigrationContext | undefined;
  /** Where `reembed.config.*` is; the working directory unless given. */
  readonly cwd?: string | undefined;
  /** Which migration, where the file holds several. */
  readonly migrationId?: string | undefined;
  readonly onProgress?: OnProgress | undefined;
  readonly signal?: AbortSignal | undefined;
}

export interface DetectResult extends Detection {
  /** What was done about it: only with REEMBED_AUTO_ADAPT=1. */
  readonly applied: MigratedWithAdapter | undefined;
}

type Environment = Readonly<Record<string, string | undefined>>;

/**
 * Sets `provider` against the column of a migration, and with `runtime.adapters.auto` moves the table by the projection that fits: after a backup,
 * and taken back where verification fails.
 *
 * @throws as `detectMismatch` and, only then, `migrateWithAdapter`
 */
export async function detect(
  provider: EmbeddingProvider,
  env: Environment | undefined,
  options: DetectOptions,
): Promise<DetectResult> {
  if (options.ctx !== undefined) return detectIn(options.ctx, provider);
  const { cwd, migrationId, signal, onProgress = () => undefined } = options;
  const config = await loadConfig({
    migrationId,
    ...(cwd !== undefined && { cwd }),
    ...(env !== undefined && { env }),
  });
  const opened = await openMigration({ definition: config.selected, runtime: config.runtime, signal, onProgress });
  try {
    return await detectIn(opened.ctx, provider);
  } finally {
    await opened.close();
  }
}

async function detectIn(ctx: MigrationContext, provider: EmbeddingProvider): Promise<DetectResult> {
  const detection = await detectMismatch(ctx, provider);
  const { mismatch, projection } = detection;
  if (mismatch === undefined || projection === undefined || !ctx.runtime.adapters.auto) {
    return { ...detection, applied: undefined };
  }
  const obstacle = await obstacleTo(ctx, provider);
  if (obstacle !== undefined) return notApplied(detection, obstacle);
  try {
    const { use = 'auto' } = ctx.runtime.adapters;
    const applied = await migrateWithAdapter(ctx, { projection: use === 'auto' ? projection.id : use });
    return { ...detection, message: `${detection.message} ${appliedText(applied)}`, applied };
  } catch (error) {
    // Several instances of an application start at once; one of them does it.
    if (error instanceof BusyError) return notApplied(detection, error.message);
    throw error;
  }
}

function notApplied(detection: Detection, why: string): DetectResult {
  return { ...detection, message: `${detection.message} Not applied: ${why}`, applied: undefined };
}

/** Nothing is moved to another model than the one that the migration pins, and nothing that is swapped. */
async function obstacleTo(ctx: MigrationContext, { model }: EmbeddingProvider): Promise<string | undefined> {
  const { definition } = ctx;
  const { dimensions } = definition;
  const present = { dimensions: model.dimensions, fingerprint: { ...model } };
  const { fit } = compareSpaces(wantedModel(definition), present);
  if (fit !== 'same') {
    return `the migration "${definition.id}" leads to ${definition.model} (${dimensions} dimensions), the application is configured with ${model.name} (${model.dimensions}).`;
  }
  const record = await findRecord(ctx);
  if (record?.active === 'new') return `"${definition.id}" is swapped already; "reembed doctor" says what is wrong.`;
  return undefined;
}

function appliedText({ projection, backupPath, similarityPreservation }: MigratedWithAdapter): string {
  const kept =
    similarityPreservation === undefined ? '' : `, similarity preservation ${similarityPreservation.toFixed(2)}`;
  const saved = backupPath === undefined ? '' : `; the old vectors are in ${backupPath}`;
  return `Applied ${projection}${kept}${saved}. "reembed backfill --replace-adapted" puts real vectors in their place.`;
}
