import type { MigrationContext } from '../state/context.ts';
import { quarantineRows } from '../state/quarantine.ts';
import { vectorFault } from '../vector/vector-fault.ts';
import { refuseCollapse } from './check-vectors.ts';
import { withRetries } from './retry.ts';
import { textHash } from './text-hash.ts';
import type { SourceRow, VectorSource } from './types.ts';
import type { EmbeddedRow, WriteTarget } from './write-batch.ts';
import { type Writer, writeRows } from './write-rows.ts';

/** A window that is embedded and checked, but not written yet. */
export interface ProducedWindow {
  readonly good: readonly EmbeddedRow[];
  readonly bad: readonly { readonly key: readonly string[]; readonly hash: Uint8Array; readonly reason: string }[];
  readonly tokens: number;
  readonly truncated: number;
}

export interface WindowResult {
  readonly written: number;
  readonly quarantined: number;
  readonly tokens: number;
  readonly truncated: number;
}

/** Embeds and checks one window, with retries. No lock is held meanwhile. */
export async function produceWindow(
  ctx: MigrationContext,
  source: VectorSource,
  rows: readonly SourceRow[],
  signal: AbortSignal | undefined,
): Promise<ProducedWindow> {
  const batch = await withRetries(() => source.produce(rows, signal), retryOptions(ctx, signal));
  refuseCollapse(rows, batch.rows, source.model);
  const good: EmbeddedRow[] = [];
  const bad: { key: readonly string[]; hash: Uint8Array; reason: string }[] = [];
  for (const [i, row] of rows.entries()) {
    const produced = batch.rows[i];
    if (produced === undefined) continue;
    const hash = textHash(row.text);
    const reason = produced.kind === 'failed' ? produced.reason : vectorFault(produced.vector, source.model);
    if (reason !== undefined) bad.push({ key: row.key, hash, reason });
    else if (produced.kind === 'vector') {
      good.push({ key: row.key, hash, vector: produced.vector, version: row.version, part: row.part });
    }
  }
  return { good, bad, tokens: batch.tokens, truncated: batch.truncated };
}

/** Writes one window, with retries. What was embedded is written also when the run is asked to stop meanwhile: it was paid for. */
export async function writeWindow(
  ctx: MigrationContext,
  to: WriteTarget,
  window: ProducedWindow,
  writer: Writer,
  signal: AbortSignal | undefined,
): Promise<WindowResult> {
  const { good, bad, tokens, truncated } = window;
  const tried = <T>(work: () => Promise<T>): Promise<T> =>
    signal?.aborted === true ? work() : withRetries(work, retryOptions(ctx, signal));
  const written = await writeRows(ctx, to, good, writer, signal);
  if (bad.length > 0) await tried(() => quarantineRows(ctx.db, ctx.runtime.stateSchema, ctx.definition.id, bad));
  return { written, quarantined: bad.length, tokens, truncated };
}

function retryOptions(ctx: MigrationContext, signal: AbortSignal | undefined) {
  const onRetry = (message: string): void => ctx.onProgress({ kind: 'warning', message });
  return { attempts: ctx.runtime.maxRetries, signal, onRetry };
}
