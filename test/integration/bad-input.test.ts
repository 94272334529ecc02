import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import createKnex from 'knex';
import { afterAll, beforeAll, beforeEach, describe, expect, it } from 'vitest';
import { defineMigration, type MigrationInput } from '../../src/config/define-migration.ts';
import { openDatabase } from '../../src/db/database.ts';
import { addEmbedding } from '../../src/migrations/factories.ts';
import { expand } from '../../src/steps/expand.ts';
import { type Chain, HASH_MIGRATION, openChain } from '../helpers/chain.ts';
import { everythingIn, refusalOf } from '../helpers/refusal.ts';

const ROWS = 60;

let chain: Chain;
let directory: string;

beforeAll(async () => {
  directory = await mkdtemp(join(tmpdir(), 'reembed-bad-input-'));
  chain = await openChain();
});
afterAll(async () => {
  await chain.close();
  await rm(directory, { recursive: true, force: true });
});
beforeEach(async () => {
  await chain.db.query(
    `DROP SCHEMA IF EXISTS reembed CASCADE; DROP SCHEMA public CASCADE; CREATE SCHEMA public; CREATE EXTENSION vector;
     CREATE TABLE segments (id int PRIMARY KEY, text text, embedding vector(8), voice vector(4));
     INSERT INTO segments SELECT i, 'text ' || i, '[1,2,3,4,5,6,7,8]', '[1,2,3,4]' FROM generate_series(1, ${ROWS}) i;
     CREATE INDEX segments_idx ON segments USING hnsw (embedding vector_cosine_ops)`,
  );
});

const contextFor = (input: Partial<MigrationInput> = {}) => chain.context(input, { backupDir: directory });

const everything = () => everythingIn(chain.db);

interface BadCase {
  readonly title: string;
  /** Run before; what it makes of the good table. */
  readonly sql?: string;
  readonly input?: Partial<MigrationInput>;
  readonly code: string;
  readonly message: string;
  readonly hint: string;
}

const TABLE_HINT = 'Correct "table" in reembed.config.ts (or REEMBED_TABLE).';

const BEFORE_005: readonly BadCase[] = [
  {
    title: 'a table that is not there',
    sql: 'CREATE SCHEMA app; CREATE TABLE app.other (id int PRIMARY KEY, v halfvec(3)); CREATE TABLE plain (id int)',
    input: { table: 'segmnts' },
    code: 'table_missing',
    message: 'Table "segmnts" does not exist; tables with a vector column: app.other, public.segments.',
    hint: TABLE_HINT,
  },
  {
    title: 'a table in another schema',
    input: { table: 'app.segments' },
    code: 'table_missing',
    message: 'Table "app.segments" does not exist; tables with a vector column: public.segments.',
    hint: TABLE_HINT,
  },
  {
    title: 'a text column that is not there',
    input: { text: 'txt' },
    code: 'text_missing',
    message: 'Table "public.segments" has no column "txt"; its columns: id, text, embedding, voice.',
    hint: 'Correct "text" in reembed.config.ts (or REEMBED_TEXT_COLUMN).',
  },
  {
    title: 'a vector column that is not there',
    input: { column: 'embeding' },
    code: 'column_missing',
    message: 'Table "public.segments" has no column "embeding"; its columns: id, text, embedding, voice.',
    hint: 'Correct "column" in reembed.config.ts (or REEMBED_COLUMN).',
  },
  {
    title: 'a column that is no vector',
    input: { column: 'id' },
    code: 'not_a_vector',
    message:
      'Column "segments.id" is integer, a vector or halfvec was expected; the table\'s vector columns: embedding, voice.',
    hint: 'Correct "column" in reembed.config.ts (or REEMBED_COLUMN).',
  },
  {
    title: 'a target column that somebody else made',
    sql: 'ALTER TABLE segments ADD COLUMN embedding_384 vector(512)',
    code: 'target_taken',
    message: 'Column "segments.embedding_384" (vector(512)) exists already and was not made by this migration.',
    hint: 'Set another "target" in reembed.config.ts (or REEMBED_TARGET_COLUMN), or drop the column if it is left over from an earlier attempt.',
  },
  {
    title: 'a column of the application where provenance would go',
    sql: 'ALTER TABLE segments ADD COLUMN embedding_model text',
    code: 'name_taken',
    message: 'Column "segments.embedding_model" belongs to the application, and its name is needed beside "embedding".',
    hint: 'Rename the column in the application: after the swap reembed keeps there which model a vector is from.',
  },
  {
    title: 'a table without a primary key',
    sql: 'ALTER TABLE segments DROP CONSTRAINT segments_pkey',
    code: 'no_primary_key',
    message: 'Table "public.segments" has no primary key, by which rows could be found again.',
    hint: 'Add one, e.g. "ALTER TABLE … ADD COLUMN id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY".',
  },
  {
    title: 'a view',
    sql: 'CREATE VIEW seen AS SELECT * FROM segments',
    input: { table: 'seen' },
    code: 'not_a_table',
    message: '"public.seen" is a view, not a table.',
    hint: 'Set "table" in reembed.config.ts (or REEMBED_TABLE) to the table that holds the vectors.',
  },
  {
    title: 'a trigger that every row would fire',
    sql: `CREATE FUNCTION touch() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN RETURN NEW; END $$;
      CREATE TRIGGER set_updated_at BEFORE UPDATE ON segments FOR EACH ROW EXECUTE FUNCTION touch()`,
    code: 'user_triggers',
    message: "Every row of the backfill would fire the table's own UPDATE triggers: set_updated_at.",
    hint: "Set userTriggers: 'fire' if that is harmless; a trigger declared UPDATE OF <columns> is not concerned.",
  },
  {
    title: 'a text that Postgres generates',
    sql: `ALTER TABLE segments ADD COLUMN full_text text GENERATED ALWAYS AS (text || '!') STORED`,
    input: { text: 'full_text' },
    code: 'text_generated',
    message:
      'Column "segments.full_text" is generated: a trigger does not see its new value, so edits would go unnoticed.',
    hint: 'Embed an ordinary column, or keep the text in one that the application writes.',
  },
];

describe('005 refuses, in a sentence with the next step, and leaves nothing behind', () => {
  it.each(BEFORE_005)('$title', async ({ sql, input, code, message, hint }) => {
    if (sql !== undefined) await chain.db.query(sql);
    const before = await everything();
    expect(await refusalOf(expand(contextFor(input)))).toEqual({ code, message, hint });
    expect(await everything()).toEqual(before);
  });

  it('all of it at once', async () => {
    await chain.db.query('ALTER TABLE segments DROP CONSTRAINT segments_pkey');
    const before = await everything();
    expect(await refusalOf(expand(contextFor({ text: 'body', column: 'vector' })))).toEqual({
      code: 'preflight',
      message: [
        '3 things stand in the way of the migration "segments-hash":',
        `  - ${BEFORE_005[7]?.message} ${BEFORE_005[7]?.hint}`,
        '  - Table "public.segments" has no column "body"; its columns: id, text, embedding, voice. Correct "text" in reembed.config.ts (or REEMBED_TEXT_COLUMN).',
        '  - Table "public.segments" has no column "vector"; its columns: id, text, embedding, voice. Correct "column" in reembed.config.ts (or REEMBED_COLUMN).',
      ].join('\n'),
      hint: 'Correct them and run the same command again; "reembed doctor" shows them at any time.',
    });
    expect(await everything()).toEqual(before);
  });

  it('pgvector that is not installed', async () => {
    await chain.db.query('DROP EXTENSION vector CASCADE');
    const before = await everything();
    const refused = refusalOf(expand(contextFor()));
    expect((await refused).message).toContain(
      'The extension "vector" (pgvector) is not installed in this database. Run "CREATE EXTENSION vector;" as a superuser',
    );
    expect(await everything()).toEqual(before);
  });

  it('transactions that are read-only', async () => {
    const before = await everything();
    // One session on the embedded database; elsewhere each new connection gets it from the database's settings.
    const readOnly = chain.db.embedded
      ? chain.db
      : openDatabase({
          connectionString: `${chain.database.url}?options=-c%20default_transaction_read_only%3Don`,
          embedded: false,
        });
    try {
      if (chain.db.embedded) await chain.db.query('SET default_transaction_read_only = on');
      expect(await refusalOf(expand({ ...contextFor(), db: readOnly }))).toEqual({
        code: 'read_only',
        message: 'Transactions of the role "postgres" are read-only here (default_transaction_read_only is on).',
        hint: 'Run "ALTER ROLE … SET default_transaction_read_only = off", or use a role that may write.',
      });
    } finally {
      if (chain.db.embedded) await chain.db.query('RESET default_transaction_read_only');
      else await readOnly.close();
    }
    expect(await everything()).toEqual(before);
  });

  it('a database that cannot be reached, without a word of the password', async () => {
    const db = openDatabase({ connectionString: 'postgres://someone:s3cret@127.0.0.1:1/app', embedded: false });
    try {
      expect(await refusalOf(expand({ ...contextFor(), db }))).toEqual({
        code: 'connection_failed',
        message: 'Could not connect to Postgres at 127.0.0.1:1/app: connect ECONNREFUSED 127.0.0.1:1.',
        hint: 'Check that Postgres runs and that DATABASE_URL is right, then run the same command again: nothing is lost.',
      });
    } finally {
      await db.close();
    }
  });

  it('a transaction of knex around it', async () => {
    const before = await everything();
    const { connectionString, host, port, user, database } = chain.database.settings;
    const connection = connectionString ?? { host, port, user, database };
    const knex = createKnex({ client: 'pg', connection } as Parameters<typeof createKnex>[0]);
    try {
      const { up } = addEmbedding(defineMigration(HASH_MIGRATION));
      expect(await refusalOf(knex.transaction((trx) => up(trx)))).toEqual({
        code: 'in_transaction',
        message:
          'addEmbedding was asked to run inside a transaction, where its locks would last to the end of the batch.',
        hint: 'Export "config" beside "up" and "down" from the migration file: export const { up, down, config } = …',
      });
    } finally {
      await knex.destroy();
    }
    expect(await everything()).toEqual(before);
  });
});
