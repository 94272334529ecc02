import type { MigrationContext } from '../state/context.ts';
import { quarantineRows } from '../state/quarantine.ts';
import { refuseCollapse, vectorFault } from './check-vectors.ts';
import { withRetries } from './retry.ts';
import { textHash } from './text-hash.ts';
import type { SourceRow, VectorSource } from './types.ts';
import { type EmbeddedRow, type WriteTarget, writeBatch } from './write-batch.ts';

export interface WindowResult {
  readonly written: number;
  readonly quarantined: number;
  readonly tokens: number;
  readonly truncated: number;
}

/** Embeds, checks and writes one window, each of the two with its own retries. No lock is held during inference. */
export async function processWindow(
  ctx: MigrationContext,
  source: VectorSource,
  to: WriteTarget,
  rows: readonly SourceRow[],
  signal: AbortSignal | undefined,
): Promise<WindowResult> {
  const retry = {
    attempts: ctx.runtime.maxRetries,
    signal,
    onRetry: (message: string) => ctx.onProgress({ kind: 'warning', message }),
  };
  const batch = await withRetries(() => source.produce(rows, signal), retry);
  refuseCollapse(rows, batch.rows, source.model);
  const good: EmbeddedRow[] = [];
  const bad: { key: readonly string[]; hash: Uint8Array; reason: string }[] = [];
  for (const [i, row] of rows.entries()) {
    const produced = batch.rows[i];
    if (produced === undefined) continue;
    const hash = textHash(row.text);
    const reason = produced.kind === 'failed' ? produced.reason : vectorFault(produced.vector, source.model);
    if (reason !== undefined) bad.push({ key: row.key, hash, reason });
    else if (produced.kind === 'vector') good.push({ key: row.key, hash, vector: produced.vector });
  }
  const written = await withRetries(() => writeBatch(ctx.db, to, good), retry);
  if (bad.length > 0) {
    await withRetries(() => quarantineRows(ctx.db, ctx.runtime.stateSchema, ctx.definition.id, bad), retry);
  }
  return { written, quarantined: bad.length, tokens: batch.tokens, truncated: batch.truncated };
}
