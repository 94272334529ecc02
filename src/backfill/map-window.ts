import type { ProducedWindow } from './produced-window.ts';
import type { MappingVectorSource, OldWindow, SourceRow } from './types.ts';

/** Maps the old vectors of one window. A row whose vector cannot be mapped is told, and gets none. */
export async function mapWindow(
  source: MappingVectorSource,
  rows: readonly SourceRow[],
  old: OldWindow,
  signal: AbortSignal | undefined,
): Promise<ProducedWindow> {
  const { matrix, faults } = await source.map(old, signal);
  const good: {
    key: readonly string[];
    vector: Float32Array;
    version: string | undefined;
    part: string | undefined;
  }[] = [];
  const bad: { key: readonly string[]; hash: undefined; reason: string }[] = [];
  for (const [i, row] of rows.entries()) {
    const vector = matrix.data.subarray(i * matrix.columns, (i + 1) * matrix.columns);
    const reason = faults.get(i);
    if (reason !== undefined) bad.push({ key: row.key, hash: undefined, reason });
    else good.push({ key: row.key, vector, version: row.version, part: row.part });
  }
  return { good, bad, tokens: 0, truncated: 0 };
}
