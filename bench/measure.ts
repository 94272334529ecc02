import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { interleave, type Measured, median } from '../src/bench/statistics.ts';
import type { RuntimeSettings } from '../src/config/types.ts';
import type { connectDatabase } from '../src/db/connect.ts';
import { startEmbedded } from '../src/db/embedded.ts';
import type { Database } from '../src/db/types.ts';

export type { Measured };
export { interleave, median };

/** Median, minimum, maximum and the ratio to the reference, as a Markdown table. */
export function markdownTable(unit: string, reference: string, results: readonly Measured[]): string {
  const base = median(results.find((result) => result.name === reference)?.rates ?? []);
  const lines = results.map(({ name, rates }) => {
    const cells = [median(rates), Math.min(...rates), Math.max(...rates)].map((value) =>
      Math.round(value).toLocaleString('en-US'),
    );
    return `| ${name} | ${cells.join(' | ')} | ${(median(rates) / base).toFixed(2)} |`;
  });
  return [`| path | median ${unit} | min | max | ratio |`, '|---|---|---|---|---|', ...lines].join('\n');
}

/** The database of DATABASE_URL, or an embedded one in a folder that goes with the bench. */
export async function openBenchDatabase(
  runtime: RuntimeSettings,
  connect: typeof connectDatabase,
): Promise<{ readonly db: Database; close(): Promise<void> }> {
  if (runtime.databaseUrl !== undefined && runtime.databaseUrl !== 'embedded') {
    const db = await connect({ connectionString: runtime.databaseUrl });
    return { db, close: () => db.close() };
  }
  const dataDir = mkdtempSync(join(tmpdir(), 'reembed-bench-'));
  const server = await startEmbedded({ dataDir });
  const { embedded: _embedded, ...settings } = server.settings;
  const db = await connect(settings);
  return {
    db,
    async close() {
      await db.close();
      await server.stop();
      rmSync(dataDir, { recursive: true, force: true });
    },
  };
}
