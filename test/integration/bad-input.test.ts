import { cp, mkdtemp, rm, truncate } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import createKnex from 'knex';
import { afterAll, beforeAll, beforeEach, describe, expect, it } from 'vitest';
import { defineMigration, type MigrationInput } from '../../src/config/define-migration.ts';
import { openDatabase } from '../../src/db/database.ts';
import type { ReembedError } from '../../src/errors.ts';
import { readStatus } from '../../src/inspect/status.ts';
import { addEmbedding } from '../../src/migrations/factories.ts';
import { cutOver } from '../../src/steps/cut-over.ts';
import { expand } from '../../src/steps/expand.ts';
import { fill } from '../../src/steps/fill.ts';
import { finalize } from '../../src/steps/finalize.ts';
import { undoCutOver } from '../../src/steps/undo-cut-over.ts';
import { undoExpand } from '../../src/steps/undo-expand.ts';
import { undoFill } from '../../src/steps/undo-fill.ts';
import { type Chain, HASH_MIGRATION, openChain } from '../helpers/chain.ts';
import { SEGMENTS, wrongVectors } from '../helpers/oracle.ts';

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

/** Every object and every row of the application, and whether there is any state. */
async function everything(): Promise<unknown> {
  const { rows: objects } = await chain.db.query(
    `SELECT n.nspname || '.' || c.relname || '.' || coalesce(a.attname, '') AS name, c.relkind::text AS kind,
       format_type(a.atttypid, a.atttypmod) AS type, a.attnotnull AS "notNull"
     FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace
     LEFT JOIN pg_attribute a ON a.attrelid = c.oid AND a.attnum > 0 AND NOT a.attisdropped
     WHERE n.nspname NOT IN ('pg_catalog', 'information_schema', 'pg_toast') AND c.relname NOT LIKE 'pg\\_%' ORDER BY 1`,
  );
  const { rows: others } = await chain.db.query(
    `SELECT nspname::text AS name FROM pg_namespace WHERE nspname NOT LIKE 'pg\\_temp%' AND nspname NOT LIKE 'pg\\_toast%'
     UNION ALL SELECT 'trigger ' || tgname FROM pg_trigger ORDER BY 1`,
  );
  const { rows: has } = await chain.db.query<{ has: boolean }>(`SELECT to_regclass('segments') IS NOT NULL AS has`);
  const { rows } =
    has[0]?.has === true
      ? await chain.db.query(
          `SELECT count(*)::int AS n, md5(string_agg(s::text, '|' ORDER BY s::text)) AS sum FROM segments s`,
        )
      : { rows: [] };
  return { objects, others, rows };
}

async function refusalOf(work: Promise<unknown>): Promise<Pick<ReembedError, 'code' | 'message' | 'hint'>> {
  return work.then(
    () => expect.fail('it was not refused'),
    (error: ReembedError) => ({ code: error.code, message: error.message, hint: error.hint }),
  );
}

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

describe('the steps in a wrong order', () => {
  it('are refused going up, and do nothing going down', async () => {
    const before = await everything();
    const notStarted = {
      code: 'not_expanded',
      message: 'The migration "segments-hash" has not been started in this database.',
      hint: 'Run "npx knex migrate:up" (or "reembed up --to 005") first.',
    };
    for (const step of [fill, cutOver, (ctx: Parameters<typeof fill>[0]) => finalize(ctx, { now: true })]) {
      expect(await refusalOf(step(contextFor()))).toEqual(notStarted);
    }
    for (const step of [undoCutOver, undoFill, undoExpand]) await step(contextFor());
    expect(await everything()).toEqual(before);
  });

  it('005 and 006 are not undone under a swap', async () => {
    for (const step of [expand, fill, cutOver]) await step(contextFor());
    const before = await everything();
    const swapped = {
      code: 'already_swapped',
      message: '"segments-hash" is swapped: embedding holds the new vectors.',
      hint: 'Undo the swap first: "npx knex migrate:down" (or "reembed rollback").',
    };
    expect(await refusalOf(undoFill(contextFor()))).toEqual(swapped);
    expect(await refusalOf(undoExpand(contextFor()))).toEqual(swapped);
    expect(await everything()).toEqual(before);
  });

  it('007 without 006 embeds what 006 would have', async () => {
    await expand(contextFor());
    await cutOver(contextFor());
    expect(await wrongVectors(chain.db, SEGMENTS, 'embedding')).toEqual([]);
  });
});

describe('a migration that was changed on its way', () => {
  it.each<[string, Partial<MigrationInput>, string]>([
    ['the text', { text: 'other' }, 'text other (was text)'],
    [
      'the dimensions',
      { model: 'hash/256', dimensions: 256 },
      'target embedding_256 (was embedding_384), dimensions 256 (was 384)',
    ],
    ['the table', { table: 'public.elsewhere' }, 'table public.elsewhere (was public.segments)'],
    ['the type', { vectorType: 'halfvec' }, 'vectorType halfvec (was vector)'],
  ])('%s: every step refuses before anything is written', async (_, input, change) => {
    await chain.db.query(
      'CREATE TABLE elsewhere AS SELECT * FROM segments; ALTER TABLE segments ADD COLUMN other text',
    );
    await expand(contextFor());
    const before = await everything();
    const refused = {
      code: 'definition_changed',
      message: `The migration "segments-hash" was started with another configuration, which now says ${change}.`,
      hint: 'Give the new migration an id of its own, or undo this one first: "reembed down --migration segments-hash".',
    };
    expect(await refusalOf(expand(contextFor(input)))).toEqual(refused);
    expect(await refusalOf(fill(contextFor(input)))).toEqual(refused);
    expect(await refusalOf(cutOver(contextFor(input)))).toEqual(refused);
    expect(await everything()).toEqual(before);
    await cutOver(contextFor());
    expect(await wrongVectors(chain.db, SEGMENTS, 'embedding')).toEqual([]);
  });

  it('the new column, by hand to another size', async () => {
    await expand(contextFor());
    await chain.db.query('ALTER TABLE segments DISABLE TRIGGER USER');
    await chain.db.query('DROP TRIGGER "zzz_reembed_segments-hash" ON segments');
    await chain.db.query('ALTER TABLE segments ALTER COLUMN embedding_384 TYPE vector(512)');
    expect(await refusalOf(expand(contextFor()))).toEqual({
      code: 'target_dimensions',
      message: 'segments.embedding_384 is vector(512), the model makes 384 dimensions.',
      hint: 'Run "reembed doctor" or set REEMBED_TARGET_COLUMN.',
    });
  });
});

describe('a state of another release', () => {
  it('that is newer is refused, not guessed at', async () => {
    await expand(contextFor());
    await chain.db.query(`UPDATE reembed.meta SET value = '99' WHERE key = 'version'`);
    expect(await refusalOf(expand(contextFor()))).toEqual({
      code: 'state_newer',
      message: 'The state in schema "reembed" has version 99, this reembed knows 1.',
      hint: 'Update the package "reembed" to the version that the other deployment uses.',
    });
  });
});

describe('a model that cannot be used: nothing is written, and the right one goes on', () => {
  const bundled = fileURLToPath(new URL('../../models/all-MiniLM-L6-v2', import.meta.url));

  async function refusalOfModel(
    input: Partial<MigrationInput>,
  ): Promise<Pick<ReembedError, 'code' | 'message' | 'hint'>> {
    await expand(contextFor(input));
    const refusal = await refusalOf(fill(contextFor(input)));
    expect(await refusalOf(cutOver(contextFor(input)))).toEqual(refusal);
    expect(await readStatus(contextFor(input))).toMatchObject({ active: 'old', rows: { done: 0, pending: ROWS } });
    return refusal;
  }

  it('its file was cut short', async () => {
    const model = join(directory, 'cut-short');
    await cp(bundled, model, { recursive: true });
    await truncate(join(model, 'onnx', 'model_int8.onnx'), 10_000_000);
    expect(await refusalOfModel({ model, provider: 'local' })).toEqual({
      code: 'model_file_altered',
      message: `${join(model, 'onnx', 'model_int8.onnx')} has 10000000 bytes, its manifest says 22792788: the model sentence-transformers/all-MiniLM-L6-v2 was not loaded.`,
      hint: 'Copy the model again, or for the bundled one install reembed again ("npm ci"; in a clone "git checkout -- models").',
    });
    await cutOver(contextFor());
    expect(await wrongVectors(chain.db, SEGMENTS, 'embedding')).toEqual([]);
  });

  it('it is not there', async () => {
    const model = join(directory, 'no-such-model');
    expect(await refusalOfModel({ model, provider: 'local' })).toMatchObject({
      code: 'model_missing',
      message: expect.stringMatching(/^The model .*no-such-model is neither a directory nor under .*\.$/),
      hint: expect.stringContaining('or to hash/384 (a test model without meaning).'),
    });
  });

  it('it makes other dimensions than the configuration says', async () => {
    const model = 'sentence-transformers/all-MiniLM-L6-v2';
    expect(await refusalOfModel({ model, provider: 'local', dimensions: 768 })).toEqual({
      code: 'dimensions_differ',
      message: `${model} makes 384 dimensions, the configuration asks for 768.`,
      hint: 'Set the dimensions (EMBEDDING_DIMENSIONS) to 384, or choose another model.',
    });
  });

  it('it is another revision', async () => {
    const model = 'sentence-transformers/all-MiniLM-L6-v2';
    expect(await refusalOfModel({ model, provider: 'local', revision: 'abc' })).toMatchObject({
      code: 'revision_differs',
      message: expect.stringMatching(
        /^sentence-transformers\/all-MiniLM-L6-v2 is revision \S+, the configuration asks for abc\.$/,
      ),
    });
  });

  it('the file of vectors is not there', async () => {
    const model = join(directory, 'nothing.jsonl');
    expect(await refusalOfModel({ model, provider: 'file' })).toEqual({
      code: 'vectors_invalid',
      message: `The vectors' file ${model} does not exist.`,
      hint: 'Check EMBEDDING_MODEL; docs/models.md shows the forms.',
    });
  });
});

describe('007 refuses what is bound to the old column', () => {
  it('a view and a generated column are named, nothing is exchanged', async () => {
    await chain.db.query('CREATE VIEW nearest AS SELECT id, embedding FROM segments');
    await expand(contextFor());
    await fill(contextFor());
    const before = await everything();
    expect(await refusalOf(cutOver(contextFor()))).toEqual({
      code: 'column_has_dependents',
      message:
        'public.segments.embedding is read by view public.nearest: bound to the column itself, they would go on reading the vectors that leave.',
      hint: 'Drop them before the swap and create them again after it.',
    });
    expect(await everything()).toEqual(before);
    await chain.db.query('DROP VIEW nearest');
    await cutOver(contextFor());
    expect(await wrongVectors(chain.db, SEGMENTS, 'embedding')).toEqual([]);
  });
});

describe("userTriggers: 'fire'", () => {
  it('lets the trigger run for every row, and the chain through', async () => {
    await chain.db.query(
      `ALTER TABLE segments ADD COLUMN updated int NOT NULL DEFAULT 0;
       CREATE FUNCTION touch() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN NEW.updated := OLD.updated + 1; RETURN NEW; END $$;
       CREATE TRIGGER set_updated BEFORE UPDATE ON segments FOR EACH ROW EXECUTE FUNCTION touch()`,
    );
    const ctx = () => contextFor({ userTriggers: 'fire' });
    for (const step of [expand, fill, cutOver]) await step(ctx());
    expect(await wrongVectors(chain.db, SEGMENTS, 'embedding')).toEqual([]);
    const { rows } = await chain.db.query('SELECT DISTINCT updated FROM segments');
    expect(rows).toEqual([{ updated: 1 }]);
  });
});
