import { defineMigration } from '../src/config/define-migration.ts';
import { loadRuntimeSettings } from '../src/config/runtime.ts';
import type { MigrationDefinition, RuntimeSettings } from '../src/config/types.ts';
import { connectDatabase } from '../src/db/connect.ts';
import type { Database } from '../src/db/types.ts';
import type { OnProgress } from '../src/progress.ts';
import { readLines } from '../src/providers/read-lines.ts';
import type { EmbeddingProvider } from '../src/providers/types.ts';
import type { MigrationContext } from '../src/state/context.ts';
import { type ResolvedMigration, resolveMigration } from '../src/state/resolve.ts';
import { embedPending } from '../src/steps/embed-pending.ts';
import { expand } from '../src/steps/expand.ts';
import { withLease } from '../src/steps/with-lease.ts';
import { openBenchDatabase } from './measure.ts';

const TABLE = 'reembed_bench_segments';
const STATE = 'reembed_bench_state';
const CORPUS = 'examples/postgres-docs/passages.jsonl';
const INSERTED_TOGETHER = 5_000;

/** A database in which whole migrations are measured: one table, its state in a schema of its own. */
export interface MigrationBed {
  readonly db: Database;
  /** A table with these texts, made anew, expanded and analysed: what 006 finds. */
  prepare(definition: MigrationDefinition, texts: Iterable<string>, oldDimensions?: number): Promise<ResolvedMigration>;
  context(definition: MigrationDefinition, options?: ContextOptions): MigrationContext;
  close(): Promise<void>;
}

export interface ContextOptions {
  readonly onProgress?: OnProgress;
  readonly signal?: AbortSignal;
  readonly runtime?: Partial<RuntimeSettings>;
}

export function benchMigration(model: string, dimensions: number): MigrationDefinition {
  return defineMigration({ id: 'bench', table: TABLE, text: 'text', column: 'embedding', model, dimensions });
}

export async function openMigrationBed(): Promise<MigrationBed> {
  const settings = loadRuntimeSettings();
  const { db, close } = await openBenchDatabase(settings, connectDatabase);
  await db.query('CREATE EXTENSION IF NOT EXISTS vector');
  const context = (definition: MigrationDefinition, options: ContextOptions = {}): MigrationContext => ({
    db,
    definition,
    runtime: { ...settings, stateSchema: STATE, gate: 'off', ...options.runtime },
    signal: options.signal,
    onProgress: options.onProgress ?? (() => undefined),
  });
  const clear = (): Promise<unknown> =>
    db.query(`DROP TABLE IF EXISTS ${TABLE}; DROP SCHEMA IF EXISTS ${STATE} CASCADE`);
  return {
    db,
    context,
    async prepare(definition, texts, oldDimensions = 4) {
      await clear();
      await db.query(
        `CREATE TABLE ${TABLE} (id bigint PRIMARY KEY, text text NOT NULL, embedding vector(${oldDimensions}))`,
      );
      await insertTexts(db, texts);
      const ctx = context(definition);
      await expand(ctx);
      await db.query(`VACUUM ANALYZE ${TABLE}`);
      await db.query('CHECKPOINT');
      return resolveMigration(ctx);
    },
    async close() {
      await clear();
      await close();
    },
  };
}

/** What 006 does with a provider that is open already: everything from the first look for pending rows to the proof that none is left. */
export async function runFill(ctx: MigrationContext, provider: EmbeddingProvider): Promise<void> {
  await withLease(ctx, 'fill', async ({ ctx: leased, lease }) => {
    await embedPending(leased, lease, { get: async () => provider, close: async () => undefined });
  });
}

/** The sample corpus, each text once. */
export async function readCorpus(): Promise<readonly string[]> {
  const texts: string[] = [];
  for await (const { text: line } of readLines(CORPUS)) {
    const { text }: { text?: unknown } = JSON.parse(line);
    if (typeof text === 'string') texts.push(text);
  }
  return texts;
}

/** `count` texts: the corpus over and over, each with a number before it, so that no two are equal; cut to `bytes` where given. */
export function* repeatCorpus(corpus: readonly string[], count: number, bytes?: number): Generator<string> {
  for (let i = 0; i < count; i++) yield `${i} ${corpus[i % corpus.length] ?? ''}`.slice(0, bytes);
}

async function insertTexts(db: Database, texts: Iterable<string>): Promise<void> {
  let waiting: string[] = [];
  let next = 1;
  const insert = async (): Promise<void> => {
    await db.query(
      `INSERT INTO ${TABLE} (id, text) SELECT $1::bigint + i - 1, t FROM unnest($2::text[]) WITH ORDINALITY AS u(t, i)`,
      [next, waiting],
    );
    next += waiting.length;
    waiting = [];
  };
  for (const text of texts) {
    if (waiting.push(text) === INSERTED_TOGETHER) await insert();
  }
  if (waiting.length > 0) await insert();
}
