import { createProvider } from '../../providers/create-provider.ts';
import { providerOptions } from '../../providers/provider-options.ts';
import type { EmbeddingProvider, ProviderHealth } from '../../providers/types.ts';
import { type MigrationContext, throwIfStopped } from '../../state/context.ts';
import { readModel } from '../../state/models.ts';
import type { MigrationRecord } from '../../state/records.ts';
import { errorFinding, errorOf, type Finding } from '../finding.ts';
import { modelDifferences } from '../model-differences.ts';
import { type Look, seen, unseen } from './look.ts';

const WHY = 'Without the model no row can be embedded.';
const HINT =
  'Check the provider, the model and the key in reembed.config.ts and the environment; docs/models.md has what each needs.';

/** A backfill waits longer for a busy service; a person who looks does not. */
const DEADLINE_MS = 60_000;

export interface ProviderLook {
  readonly look: Look;
  /** Tokens of a text at most, as the provider says. */
  readonly maxTokens: number | undefined;
}

/**
 * Opens the provider as a backfill would, but with less patience, and embeds one short text.
 *
 * @throws InterruptedError when the signal aborts
 */
export async function lookAtProvider(
  ctx: MigrationContext,
  record: MigrationRecord | undefined,
): Promise<ProviderLook> {
  const { definition, runtime } = ctx;
  const notices: string[] = [];
  let provider: EmbeddingProvider | undefined;
  // Closing ends what is under way.
  const stop = (): void => void provider?.close().catch(() => undefined);
  ctx.signal?.addEventListener('abort', stop, { once: true });
  try {
    const deadlineMs = Math.min(DEADLINE_MS, runtime.remote.deadlineMs);
    provider = await createProvider(definition, {
      ...providerOptions(runtime),
      remote: { ...runtime.remote, deadlineMs },
      onNotice: (notice) => void notices.push(notice),
    });
    throwIfStopped(ctx, 'inspect');
    const health = await provider.probe();
    throwIfStopped(ctx, 'inspect');
    const findings = [...healthFindings(health, provider), ...(await modelFindings(ctx, record, provider))];
    const told = notices.length === 0 ? '' : ` (${notices.join('; ')})`;
    return { look: seen(`${health.message}${told}`, findings), maxTokens: provider.maxTokens };
  } catch (error) {
    throwIfStopped(ctx, 'inspect');
    return {
      look: seen(`${definition.provider}: ${definition.model}`, [errorOf(error, WHY, HINT)]),
      maxTokens: undefined,
    };
  } finally {
    ctx.signal?.removeEventListener('abort', stop);
    await provider?.close();
  }
}

export function providerNotAsked(reason: string): ProviderLook {
  return { look: unseen(`it was not asked: ${reason}`), maxTokens: undefined };
}

function healthFindings(health: ProviderHealth, { model }: EmbeddingProvider): Finding[] {
  if (!health.ok) {
    return [
      errorFinding('probe_failed', `${model.name} did not embed a text on ${health.device}: ${health.message}`, HINT),
    ];
  }
  return [];
}

/** Before the swap a changed model would mix with the vectors that are there. */
async function modelFindings(
  { db, runtime }: MigrationContext,
  record: MigrationRecord | undefined,
  { model }: EmbeddingProvider,
): Promise<Finding[]> {
  if (record === undefined || record.modelId === null) return [];
  const stored = await readModel(db, runtime.stateSchema, record.modelId);
  if (stored === undefined) return [];
  const differences = modelDifferences(stored, { ...model });
  if (differences.length === 0) return [];
  return [
    errorFinding(
      'model_changed',
      `The vectors of "${record.id}" are from another model than the one at hand: ${differences.join('; ')}.`,
      record.active === 'new'
        ? 'Put the model back that made them, or start a migration with another id for the new one.'
        : 'Put the model back that made them; with the new one "reembed backfill" embeds every row again.',
    ),
  ];
}
