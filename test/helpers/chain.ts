import { defineMigration, type MigrationInput } from '../../src/config/define-migration.ts';
import { loadRuntimeSettings } from '../../src/config/runtime.ts';
import type { MigrationDefinition, RuntimeSettings } from '../../src/config/types.ts';
import { openDatabase } from '../../src/db/database.ts';
import type { Database } from '../../src/db/types.ts';
import type { ProgressEvent } from '../../src/progress.ts';
import { hashProvider } from '../../src/providers/hash.ts';
import type { MigrationContext } from '../../src/state/context.ts';
import { decodeVector } from '../../src/vector/binary.ts';
import { cosine } from '../../src/vector/math.ts';
import { createTestDatabase, type TestDatabase } from './test-database.ts';

export interface Chain {
  readonly db: Database;
  readonly database: TestDatabase;
  /** A context for a migration; progress is collected in `events`. */
  context(
    input?: Partial<MigrationInput>,
    runtime?: Partial<RuntimeSettings>,
  ): MigrationContext & { readonly events: ProgressEvent[] };
  close(): Promise<void>;
}

/** What most chains migrate: `segments.embedding`, by the hash provider, which needs no model and is exact. */
export const HASH_MIGRATION: MigrationInput = {
  id: 'segments-hash',
  table: 'segments',
  text: 'text',
  column: 'embedding',
  model: 'hash/384',
  dimensions: 384,
};

export async function openChain(): Promise<Chain> {
  const database = await createTestDatabase();
  const db = openDatabase(database.settings);
  return {
    db,
    database,
    context: (input = {}, runtime = {}) => makeContext(db, defineMigration({ ...HASH_MIGRATION, ...input }), runtime),
    async close() {
      await db.close();
      await database.drop();
    },
  };
}

function makeContext(db: Database, definition: MigrationDefinition, runtime: Partial<RuntimeSettings>) {
  const events: ProgressEvent[] = [];
  return {
    db,
    definition,
    runtime: { ...loadRuntimeSettings({ REEMBED_GATE: 'off', REEMBED_LEASE_SECONDS: '2' }), ...runtime },
    signal: undefined,
    onProgress: (event: ProgressEvent) => void events.push(event),
    events,
  };
}

export interface SegmentsOptions {
  readonly rows: number;
  readonly dimensions?: number;
  /** Lists of the IVFFlat index on the old column; none without. */
  readonly lists?: number;
}

/** `segments(id, text, embedding, voice)` with text of some words, random old vectors and another vector column that nobody may touch. */
export async function makeSegments(db: Database, options: SegmentsOptions): Promise<void> {
  const { rows, dimensions = 16, lists = 5 } = options;
  await db.query(
    `CREATE TABLE segments (id bigserial PRIMARY KEY, text text, embedding vector(${dimensions}), voice vector(4))`,
  );
  await insertSegments(db, rows, dimensions);
  await db.query(
    `CREATE INDEX idx_segments_text_embedding_ivfflat ON segments USING ivfflat (embedding vector_cosine_ops) WITH (lists = ${lists})`,
  );
}

export async function insertSegments(db: Database, rows: number, dimensions: number): Promise<void> {
  await db.query(
    `INSERT INTO segments (text, embedding, voice)
     SELECT 'passage ' || md5(i::text) || ' about topic ' || (i % 37) || ' and item ' || i,
       (SELECT array_agg(0.05 + random()) FROM generate_series(1, ${dimensions}) WHERE i > 0)::vector, ARRAY[i, 1, 2, 3]::vector
     FROM generate_series(1, $1::int) i`,
    [rows],
  );
}

/** The keys of rows whose stored vector is not what the hash provider makes of the row's text now; NULL vectors under text included. */
export async function staleKeys(
  db: Database,
  column: string,
  table = 'segments',
  model = 'hash/384',
): Promise<string[]> {
  const provider = hashProvider(model);
  const { rows } = await db.query<{ id: string; text: string | null; bytes: Buffer | null }>(
    `SELECT id::text AS id, text, vector_send(${column}) AS bytes FROM ${table} ORDER BY id`,
  );
  const withText = rows.filter((row) => row.text !== null && row.text.trim() !== '');
  const { vectors } = await provider.embed(
    withText.map((row) => row.text ?? ''),
    { kind: 'document' },
  );
  const stale = withText.filter((row, i) => {
    const expected = vectors[i];
    return row.bytes === null || expected === undefined || !(cosine(decodeVector(row.bytes), expected) > 0.999999);
  });
  return stale.map((row) => row.id);
}
