import type { Retention } from '../adapters/types.ts';
import { number } from '../amounts.ts';
import { plural } from '../plural.ts';
import type { AdaptedRows } from './adapted-rows.ts';

/** E.g. `adapted:x, Recall@10 retention 0.94 (0.91 to 0.97) on held-out text`. */
export function adapterText({
  adapter,
  retention,
  problem,
}: Pick<AdaptedRows, 'adapter' | 'retention' | 'problem'>): string {
  if (problem !== null) return `${adapter}, of unknown quality: ${problem}`;
  return `${adapter}, ${retentionText(retention === null ? undefined : { ...retention, retention: retention.value })}`;
}

/** E.g. `Recall@10 retention 0.94 (0.91 to 0.97) on held-out text`. */
export function retentionText(kept: Pick<Retention, 'retention' | 'low' | 'high'> | undefined): string {
  if (kept === undefined) return 'its retention was never measured';
  const [value, low, high] = [kept.retention, kept.low, kept.high].map((share) => share.toFixed(2));
  return `Recall@10 retention ${value} (${low} to ${high}) on held-out text`;
}

/** E.g. `412 of 500 rows hold adapted vectors (adapted:x, …)`; without a full stop. */
export function adaptedRowsText(adapted: AdaptedRows, of: number): string {
  return `${number(adapted.rows)} of ${number(of)} ${plural(of, 'row holds', 'rows hold')} adapted vectors (${adapterText(adapted)})`;
}
