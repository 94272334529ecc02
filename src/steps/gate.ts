import type { MigrationContext } from '../state/context.ts';

/** Where an evaluation's verdict will stop a swap. No evaluation is stored by this version, so there is nothing to refuse with. */
export async function consultGate(ctx: MigrationContext): Promise<void> {
  if (ctx.runtime.gate === 'off') return;
  ctx.onProgress({
    kind: 'notice',
    message:
      'The new vectors were checked for form, not yet for quality: no evaluation is on record (REEMBED_GATE=off silences this).',
  });
}
