import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import type { RuntimeSettings } from '../src/config/types.ts';
import type { connectDatabase } from '../src/db/connect.ts';
import { startEmbedded } from '../src/db/embedded.ts';
import type { Database } from '../src/db/types.ts';

export interface Contender {
  readonly name: string;
  /** Runs once and returns its rate, per second. */
  readonly run: () => Promise<number>;
}

export interface Measured {
  readonly name: string;
  readonly rates: readonly number[];
}

/** Runs all contenders in turn, round after round, so that what the machine does meanwhile meets all of them alike. */
export async function interleave(rounds: number, contenders: readonly Contender[]): Promise<Measured[]> {
  const rates = new Map<string, number[]>(contenders.map((contender) => [contender.name, []]));
  for (let round = 0; round < rounds; round++) {
    for (const contender of contenders) rates.get(contender.name)?.push(await contender.run());
  }
  return contenders.map(({ name }) => ({ name, rates: rates.get(name) ?? [] }));
}

export function median(values: readonly number[]): number {
  const sorted = [...values].sort((a, b) => a - b);
  const middle = Math.floor(sorted.length / 2);
  const upper = sorted[middle] ?? Number.NaN;
  return sorted.length % 2 === 1 ? upper : ((sorted[middle - 1] ?? Number.NaN) + upper) / 2;
}

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
