import { rmSync } from 'node:fs';
import { join } from 'node:path';
import { loadConfig } from '../../config/load-config.ts';
import { pinEnvironment } from '../../config/pin-environment.ts';
import { startEmbedded } from '../../db/embedded.ts';
import { openLedger } from '../../db/knex-ledger.ts';
import type { EmbeddedServer } from '../../db/types.ts';
import { DatabaseError } from '../../errors.ts';
import { createProvider } from '../../providers/create-provider.ts';
import type { EmbeddingProvider } from '../../providers/types.ts';
import { type MigrationContext, throwIfStopped } from '../../state/context.ts';
import { openMigration } from '../../steps/open-migration.ts';
import { lazyProvider } from '../../steps/provider.ts';
import { type DemoFiles, type Passage, readPassages } from './demo-files.ts';
import { clearDemo, createDemoTable, permuteColumn, shuffledOrder } from './demo-table.ts';
import { type Snapshot, takeSnapshot } from './measure.ts';

const OLD_DIMENSIONS = 1536;
export const DEMO_MODEL = 'sentence-transformers/all-MiniLM-L6-v2';

export interface DemoOptions {
  readonly files: DemoFiles;
  /** Where the demo's own database lives. */
  readonly directory: string;
  /** Headings of the manual to search for, before and after. */
  readonly queries: readonly string[];
  /** Seed with which all vectors are dealt out to other rows, before and after: whatever is measured must collapse. */
  readonly permute: number | undefined;
  /** Only so many passages, from the first; all when undefined. */
  readonly limit: number | undefined;
  readonly signal: AbortSignal;
  readonly onStage: (stage: DemoStage) => void;
  /** knex's own messages. */
  readonly onMessage: (message: string) => void;
}

/** What has just happened, with everything that can be said about it. */
export type DemoStage =
  | { readonly kind: 'loaded'; readonly passages: number; readonly server: string; readonly seconds: number }
  | { readonly kind: 'before'; readonly snapshot: Snapshot }
  | { readonly kind: 'migrating'; readonly name: string; readonly number: number; readonly of: number }
  | { readonly kind: 'migrated'; readonly name: string; readonly seconds: number }
  | { readonly kind: 'after'; readonly snapshot: Snapshot };

export interface DemoMigration {
  readonly name: string;
  readonly seconds: number;
}

export interface DemoResult {
  readonly passages: number;
  readonly before: Snapshot;
  readonly migrations: readonly DemoMigration[];
  readonly after: Snapshot;
  readonly seconds: number;
}

/** The variables with which any command of reembed or knex works on the demo's table. */
export function demoEnvironment(files: DemoFiles, directory: string): Record<string, string> {
  return {
    DATABASE_URL: 'embedded',
    REEMBED_DATA_DIR: join(directory, 'data'),
    REEMBED_BACKUP: join(directory, 'backups'),
    // Ten windows instead of one, so that there is progress to be seen.
    REEMBED_BATCH_ROWS: '100',
    EMBEDDING_MODEL: DEMO_MODEL,
    EMBEDDING_OLD_PROVIDER: 'file',
    EMBEDDING_OLD_MODEL: files.vectors,
    EMBEDDING_OLD_DIMENSIONS: String(OLD_DIMENSIONS),
  };
}

/**
 * Takes a table of real passages with the vectors of an older model through this repository's three knex migrations, and measures it
 * before and after.
 *
 * @throws BusyError `embedded_busy` while another demo runs in the same directory; whatever a migration throws
 */
export async function runDemo(options: DemoOptions): Promise<DemoResult> {
  const { files, directory } = options;
  const started = performance.now();
  pinEnvironment(demoEnvironment(files, directory));
  const server = await startFresh(join(directory, 'data'));
  try {
    const { selected, runtime } = await loadConfig({ cwd: files.project });
    const { ctx, close } = await openMigration({ definition: selected, runtime, signal: options.signal });
    const fresh = lazyProvider(ctx, selected);
    const old = await createProvider({ provider: 'file', model: files.vectors, dimensions: OLD_DIMENSIONS });
    try {
      const providers = { old: async () => old, new: () => fresh.get() };
      const passages = (await readPassages(files.passages)).slice(0, options.limit);
      await loadTable(ctx, options, passages, old);
      throwIfStopped(ctx, 'inspect');
      const before = await takeSnapshot(ctx, options.queries, passages, providers);
      options.onStage({ kind: 'before', snapshot: before });
      const migrations = await migrate(options);
      if (options.permute !== undefined)
        await permuteColumn(ctx.db, shuffledOrder(passages.length, options.permute + 1));
      const after = await takeSnapshot(ctx, options.queries, passages, providers);
      options.onStage({ kind: 'after', snapshot: after });
      return { passages: passages.length, before, migrations, after, seconds: secondsSince(started) };
    } finally {
      await old.close();
      await fresh.close();
      await close();
    }
  } finally {
    await server.stop();
  }
}

/** A demo's database holds nothing that anybody would miss: one that does not start any more is made anew. */
async function startFresh(dataDir: string): Promise<EmbeddedServer> {
  try {
    return await startEmbedded({ dataDir });
  } catch (error) {
    if (!(error instanceof DatabaseError && error.code === 'embedded_start')) throw error;
    rmSync(join(dataDir, 'postgres'), { recursive: true, force: true });
    return startEmbedded({ dataDir });
  }
}

async function loadTable(
  ctx: MigrationContext,
  options: DemoOptions,
  passages: readonly Passage[],
  old: EmbeddingProvider,
): Promise<void> {
  const { db } = ctx;
  await clearDemo(db);
  const started = performance.now();
  const texts = passages.map((passage) => passage.text);
  const { vectors } = await old.embed(texts, { kind: 'document', signal: options.signal });
  const order = options.permute === undefined ? undefined : shuffledOrder(vectors.length, options.permute);
  await createDemoTable(db, passages, order?.map((position) => vectors[position] ?? new Float32Array(0)) ?? vectors);
  const { rows } = await db.query<{ server: string }>(
    `SELECT 'Postgres ' || pg_catalog.current_setting('server_version') || ' with pgvector ' || extversion AS server
     FROM pg_catalog.pg_extension WHERE extname = 'vector'`,
  );
  const server = rows[0]?.server ?? '';
  options.onStage({ kind: 'loaded', passages: passages.length, server, seconds: secondsSince(started) });
}

/** The repository's own knexfile and migrations, one at a time, as `npx knex migrate:up` runs them. */
async function migrate(options: DemoOptions): Promise<DemoMigration[]> {
  const ledger = await openLedger({ cwd: options.files.project, onMessage: options.onMessage });
  try {
    const { pending } = await ledger.list();
    const done: DemoMigration[] = [];
    for (const [i, name] of pending.entries()) {
      throwIfStopped(options, 'inspect');
      options.onStage({ kind: 'migrating', name, number: i + 1, of: pending.length });
      const started = performance.now();
      await ledger.up();
      const migration = { name, seconds: secondsSince(started) };
      done.push(migration);
      options.onStage({ kind: 'migrated', ...migration });
    }
    return done;
  } finally {
    await ledger.close();
  }
}

function secondsSince(started: number): number {
  return (performance.now() - started) / 1000;
}
