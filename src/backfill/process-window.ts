import type { MigrationContext } from '../state/context.ts';
import { quarantineMapped, quarantineRows } from '../state/quarantine.ts';
import { vectorFault } from '../vector/vector-fault.ts';
import { refuseCollapse } from './check-vectors.ts';
import { mapWindow } from './map-window.ts';
import type { BadRow, ProducedWindow } from './produced-window.ts';
import type { Window } from './read-windows.ts';
import { withRetries } from './retry.ts';
import { textHash } from './text-hash.ts';
import type { SourceRow, TextVectorSource, VectorSource } from './types.ts';
import type { EmbeddedRow, WriteTarget } from './write-batch.ts';
import { type Writer, writeRows } from './write-rows.ts';

export interface WindowResult {
  readonly written: number;
  readonly quarantined: number;
  readonly tokens: number;
  readonly truncated: number;
}

/** Embeds, or maps, and checks one window, with retries. No lock is held meanwhile. */
export async function produceWindow(
  ctx: MigrationContext,
  source: VectorSource,
  { rows, old }: Pick<Window, 'rows' | 'old'>,
  signal: AbortSignal | undefined,
): Promise<ProducedWindow> {
  if (source.needs === 'text') return embedWindow(ctx, source, rows, signal);
  if (old === undefined) throw new Error('a window to be mapped was read without its vectors');
  return mapWindow(source, rows, old, signal);
}

async function embedWindow(
  ctx: MigrationContext,
  source: TextVectorSource,
  rows: readonly SourceRow[],
  signal: AbortSignal | undefined,
): Promise<ProducedWindow> {
  const batch = await withRetries(() => source.produce(rows, signal), retryOptions(ctx, signal));
  refuseCollapse(rows, batch.rows, source.model);
  const good: EmbeddedRow[] = [];
  const bad: BadRow[] = [];
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
  if (bad.length > 0) await tried(() => quarantine(ctx, to, bad));
  return { written, quarantined: bad.length, tokens, truncated };
}

async function quarantine(
  { db, runtime, definition }: MigrationContext,
  { target }: WriteTarget,
  bad: readonly BadRow[],
) {
  if (target.mappedFrom !== undefined) return quarantineMapped(db, target, definition.id, bad);
  const hashed = bad.map(({ key, hash, reason }) => ({ key, hash: hash ?? new Uint8Array(0), reason }));
  return quarantineRows(db, runtime.stateSchema, definition.id, hashed);
}

function retryOptions(ctx: MigrationContext, signal: AbortSignal | undefined) {
  const onRetry = (message: string): void => ctx.onProgress({ kind: 'warning', message });
  return { attempts: ctx.runtime.maxRetries, signal, onRetry };
}
