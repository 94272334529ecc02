import { openReranker } from '../../providers/open-reranker.ts';
import type { Reranker } from '../../providers/reranker.ts';
import { rerankerSettings } from '../../providers/reranker-settings.ts';
import { type MigrationContext, throwIfStopped } from '../../state/context.ts';
import { errorOf, warningFinding } from '../finding.ts';
import { type Look, seen, unseen } from './look.ts';

const QUERY = 'how large is a harbour';
const TEXTS = ['The harbour is two miles wide.', 'Bread is made of flour.'];

/**
 * Opens the reranker that searches ask for, where one is enabled, and has it read two texts. No migration needs it, so that it is never an error.
 *
 * @throws InterruptedError when the signal aborts
 */
export async function lookAtReranker(ctx: Pick<MigrationContext, 'runtime' | 'signal'>, probe: boolean): Promise<Look> {
  const { reranking } = ctx.runtime;
  if (!reranking.enabled) return seen('none is enabled (ENABLE_RERANKER)');
  if (!probe) return unseen('it was not asked: --no-probe');
  const notices: string[] = [];
  let reranker: Reranker | undefined;
  try {
    const onNotice = (notice: string): void => void notices.push(notice);
    reranker = await openReranker({ ...rerankerSettings(ctx.runtime), onNotice });
    throwIfStopped(ctx, 'inspect');
    await reranker.score(QUERY, TEXTS, { signal: ctx.signal });
    return seen(notices.join('; '));
  } catch (error) {
    throwIfStopped(ctx, 'inspect');
    const { message, hint } = errorOf(error, '', 'Check RERANK_MODEL; docs/reranking.md has what it needs.');
    return seen(reranking.model, [warningFinding('reranker_failed', message, hint)]);
  } finally {
    await reranker?.close();
  }
}
