import type { BackfillJob } from '../backfill/job.ts';
import type { BackfillResult } from '../backfill/types.ts';
import type { MigrationContext } from '../state/context.ts';
import type { Lease } from '../state/lease.ts';
import { adaptPending } from './adapt-pending.ts';
import { embedPending } from './embed-pending.ts';
import type { LazyProvider } from './provider.ts';

/**
 * Fills what is pending in the column of the new vectors: by an adapter where one is asked for, then, of the rows that it could not map, by embedding
 * their texts. undefined when there was nothing to do.
 *
 * @throws as `adaptPending` and `embedPending`
 */
export async function fillPending(
  ctx: MigrationContext,
  lease: Lease,
  provider: LazyProvider,
  options: Pick<BackfillJob, 'isOver' | 'afterWalk'> = {},
): Promise<BackfillResult | undefined> {
  const mapped = await adaptPending(ctx, lease, options);
  if (mapped !== undefined && options.isOver?.() === true) return mapped;
  const embedded = await embedPending(ctx, lease, provider, options);
  if (mapped === undefined || embedded === undefined) return mapped ?? embedded;
  return {
    written: mapped.written + embedded.written,
    quarantined: mapped.quarantined + embedded.quarantined,
    tokens: embedded.tokens,
    truncated: embedded.truncated,
    passes: Math.max(mapped.passes, embedded.passes),
    seconds: mapped.seconds + embedded.seconds,
  };
}
