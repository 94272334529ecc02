import type { BackfillJob } from './job.ts';
import type { Walked } from './types.ts';
import { FEW_ROWS } from './walk.ts';

/** A run that never ends says so again only after a while. */
const SILENT_MS = 60_000;

/**
 * Warns when a walk met no fewer pending rows than the one before it although most of them were embedded: then the application writes
 * rows as fast as the model embeds them, and the backfill cannot end.
 */
export function warnWhenOutpaced(
  job: Pick<BackfillJob, 'ctx' | 'source'>,
  now: () => number = Date.now,
): (walked: Walked, pass: number) => void {
  let before: number | undefined;
  let warnedAt = Number.NEGATIVE_INFINITY;
  return ({ rows, progressed }, pass) => {
    const shrinks = before === undefined || rows < before;
    const [met, last] = [rows, before];
    before = rows;
    if (shrinks || rows <= FEW_ROWS || progressed * 2 < rows || now() - warnedAt < SILENT_MS) return;
    warnedAt = now();
    job.ctx.onProgress({
      kind: 'warning',
      message:
        `Walk ${pass} met ${met} pending rows, the one before it ${last}: the application writes rows as fast as ${job.source.model.name} ` +
        'embeds them. It goes on; it ends when fewer rows are written, or the model gets more threads or a faster device.',
    });
  };
}
