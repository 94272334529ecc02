import { randomBytes } from 'node:crypto';
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { openDatabase } from '../../src/db/database.ts';
import type { Database, Queryable } from '../../src/db/types.ts';
import { readStatus } from '../../src/inspect/status.ts';
import type { MigrationContext } from '../../src/state/context.ts';
import { cutOver } from '../../src/steps/cut-over.ts';
import { expand } from '../../src/steps/expand.ts';
import { fill } from '../../src/steps/fill.ts';
import { finalize } from '../../src/steps/finalize.ts';
import { restore } from '../../src/steps/restore.ts';
import { undoCutOver } from '../../src/steps/undo-cut-over.ts';
import { type Chain, openChain } from '../helpers/chain.ts';
import { checksumOf, type Watched, wrongVectors } from '../helpers/oracle.ts';
import { walkChain } from '../helpers/walk-chain.ts';

const ROWS = 150;
/** Roles belong to the whole server, which other test files use too. */
const SUFFIX = randomBytes(4).toString('hex');
const OWNER = `owner_${SUFFIX}`;
const APP = `App "${SUFFIX}"`;
const APP_SQL = `"App ""${SUFFIX}"""`;

let chain: Chain;
let backups: string;

beforeAll(async () => {
  backups = await mkdtemp(join(tmpdir(), 'reembed-roles-'));
  chain = await openChain();
  await chain.db.query(
    `CREATE ROLE ${OWNER} LOGIN PASSWORD '${SUFFIX}'; CREATE ROLE ${APP_SQL} LOGIN PASSWORD '${SUFFIX}'`,
  );
});
afterAll(async () => {
  await chain.db.query(
    `RESET ROLE; DROP OWNED BY ${APP_SQL}; DROP OWNED BY ${OWNER} CASCADE; DROP ROLE ${APP_SQL}; DROP ROLE ${OWNER}`,
  );
  await chain.close();
  await rm(backups, { recursive: true, force: true });
});

/** Connections of `role`: on a server real ones, on the embedded database, which knows one session only, by SET ROLE around each call. */
function databaseOf(role: string, quoted: string): Database {
  if (chain.db.embedded) return embeddedAs(quoted);
  const url = new URL(chain.database.url);
  url.username = encodeURIComponent(role);
  url.password = SUFFIX;
  return openDatabase({ connectionString: url.href, embedded: false });
}

function embeddedAs(role: string): Database {
  const { db } = chain;
  const inRole = (work: (tx: Queryable) => Promise<unknown>) =>
    db.transaction(async (tx) => {
      await tx.query(`SET LOCAL ROLE ${role}`);
      return work(tx);
    });
  return {
    ...db,
    query: (text, params) => inRole((tx) => tx.query(text, params)) as never,
    transaction: (work) => inRole(work) as never,
    close: async () => undefined,
  };
}

const denied = { code: '42501' };

describe('a table owner who is no superuser, and an application that is neither', () => {
  const watched: Watched = { table: 'app.segments', key: 'id', text: 'text' };
  let owner: Database;
  let app: Database;
  let ctx: MigrationContext;

  beforeAll(async () => {
    await chain.db.query(
      `CREATE SCHEMA app AUTHORIZATION ${OWNER};
       GRANT CREATE ON DATABASE ${await currentDatabase(chain.db)} TO ${OWNER}`,
    );
    await chain.db.query(
      `SET ROLE ${OWNER};
       CREATE TABLE app.segments (id int GENERATED ALWAYS AS IDENTITY PRIMARY KEY, text text NOT NULL, embedding vector(8), secret text DEFAULT 's', voice vector(4));
       INSERT INTO app.segments (text, embedding, voice)
         SELECT 'text ' || md5(i::text), (SELECT array_agg(i + n + random()) FROM generate_series(1, 8) n)::vector, ARRAY[i, 1, 1, 1]::vector FROM generate_series(1, ${ROWS}) i;
       CREATE INDEX app_idx ON app.segments USING hnsw (embedding vector_cosine_ops);
       GRANT USAGE ON SCHEMA app TO ${APP_SQL};
       GRANT SELECT (id, text, embedding), INSERT (text, embedding), UPDATE (text, embedding) ON app.segments TO ${APP_SQL};
       RESET ROLE`,
    );
    app = databaseOf(APP, APP_SQL);
    // On the embedded database steps need sessions and locks of their own, which SET ROLE around each call cannot give.
    owner = chain.db.embedded ? chain.db : databaseOf(OWNER, OWNER);
    ctx = { ...chain.context({ id: 'roles', table: 'app.segments' }, { backupDir: backups }), db: owner };
  });
  afterAll(async () => {
    await app.close();
    if (owner !== chain.db) await owner.close();
  });

  /** What the application does all day; `dimensions` is what it believes the column to have. */
  async function use(id: number, dimensions: number): Promise<void> {
    const vector = `array_fill(0.${id}::real, ARRAY[${dimensions}])::vector`;
    await app.query(`INSERT INTO app.segments (text, embedding) VALUES ('by the application', ${vector})`);
    await app.query(`UPDATE app.segments SET text = text || ' edited ${id}' WHERE id = ${id}`);
    const { rows } = await app.query(`SELECT id FROM app.segments ORDER BY embedding <=> ${vector} LIMIT 3`);
    expect(rows).toHaveLength(3);
    await expect(app.query('SELECT secret FROM app.segments')).rejects.toMatchObject(denied);
    await expect(app.query('DELETE FROM app.segments')).rejects.toMatchObject(denied);
  }

  async function hasVector(column: string, id: number): Promise<boolean> {
    const { rows } = await chain.db.query<{ has: boolean }>(
      `SELECT ${column} IS NOT NULL AS has FROM app.segments WHERE id = ${id}`,
    );
    return rows[0]?.has === true;
  }

  it('the application works before, during and after, and never sees a vector of another text', async () => {
    await use(1, 8);
    await expand(ctx);
    await use(2, 8);
    await fill(ctx);
    expect(await hasVector('embedding_384', 3)).toBe(true);
    await use(3, 8);
    expect(await hasVector('embedding_384', 3)).toBe(false);
    await cutOver(ctx);
    expect(await wrongVectors(chain.db, watched, 'embedding')).toEqual([]);
    await use(4, 384);
    expect(await hasVector('embedding_old', 4)).toBe(false);
    // The served vector of row 4 stays in sight, and is known to be of the text before.
    expect(await hasVector('embedding', 4)).toBe(true);
    expect(await readStatus(ctx)).toMatchObject({ phase: 'swapped', rows: { pending: 1 }, stale: 1, missingOld: 2 });
    // The application's rights are for the column's name; the kept column is not its business.
    await expect(app.query('SELECT embedding_old FROM app.segments')).rejects.toMatchObject(denied);
    await expect(app.query('SELECT * FROM reembed.migrations')).rejects.toMatchObject(denied);
  });

  it('and after going back, finalizing and restoring too', async () => {
    await undoCutOver({ ...ctx, runtime: { ...ctx.runtime, rollback: 'accept-missing' } });
    await use(5, 8);
    await cutOver(ctx);
    expect(await wrongVectors(chain.db, watched, 'embedding')).toEqual([]);
    const { backup } = await finalize(ctx, { now: true });
    await use(6, 384);
    const served = await checksumOf(chain.db, watched, 'embedding, text');
    // Row 6 has another text now, and the row that was inserted is not in the backup.
    expect(await restore(ctx, { path: backup?.path ?? '' })).toMatchObject({ edited: 1, new: 1, gone: 0 });
    expect(await hasVector('embedding_old', 6)).toBe(false);
    expect(await hasVector('embedding_old', 7)).toBe(true);
    expect(await checksumOf(chain.db, watched, 'embedding, text')).toBe(served);
  });

  it('needs no superuser: the state belongs to the owner of the table', async ({ skip }) => {
    skip(chain.db.embedded, 'one session for all roles on the embedded database');
    const { rows } = await chain.db.query(
      `SELECT pg_get_userbyid(nspowner) AS owner FROM pg_namespace WHERE nspname = 'reembed'`,
    );
    expect(rows).toEqual([{ owner: OWNER }]);
    await expect(owner.query('SELECT pg_read_file($1)', ['/etc/passwd'])).rejects.toMatchObject(denied);
  });

  it('the application role is told what it lacks when it tries to migrate', async ({ skip }) => {
    skip(chain.db.embedded, 'one session for all roles on the embedded database');
    const tried = {
      ...chain.context({ id: 'by-app', table: 'app.segments' }, { stateSchema: 'other_state' }),
      db: app,
    };
    await expect(expand(tried)).rejects.toMatchObject({
      name: 'PreflightError',
      context: {
        findings: expect.arrayContaining([
          expect.objectContaining({
            code: 'not_owner',
            message: `The role "${APP}" may not alter "app.segments", which belongs to "${OWNER}".`,
          }),
          expect.objectContaining({
            code: 'schema_create_denied',
            message: `The role "${APP}" may not create indexes in the schema "app".`,
          }),
          expect.objectContaining({
            code: 'state_schema_denied',
            message: `The role "${APP}" may not create the schema "other_state" for reembed's state.`,
          }),
        ]),
      },
    });
    const { rows } = await chain.db.query(`SELECT 1 FROM pg_namespace WHERE nspname = 'other_state'`);
    expect(rows).toEqual([]);
  });
});

describe('a role with an odd search_path', () => {
  it('finds table, types and operators wherever they are', async ({ skip }) => {
    skip(chain.db.embedded, 'one session for all roles on the embedded database');
    // Objects that would be taken for the real ones by anything that is not qualified.
    await chain.db.query(
      `CREATE SCHEMA trap AUTHORIZATION ${OWNER}; CREATE SCHEMA data AUTHORIZATION ${OWNER}; SET ROLE ${OWNER};
       CREATE TABLE trap.migrations (id int); CREATE TABLE trap.leases (id int); CREATE TABLE trap.models (id int); CREATE TABLE trap.segments (id int);
       CREATE FUNCTION trap.now() RETURNS timestamptz LANGUAGE sql AS $$ SELECT '1999-01-01'::timestamptz $$;
       CREATE FUNCTION trap.sha256(bytea) RETURNS bytea LANGUAGE sql AS $$ SELECT 'trap'::bytea $$;
       CREATE TABLE data.segments (id int PRIMARY KEY, text text, embedding public.vector(8));
       INSERT INTO data.segments SELECT i, 'text ' || i, '[1,2,3,4,5,6,7,8]' FROM generate_series(1, 50) i; RESET ROLE;
       ALTER ROLE ${OWNER} SET search_path = trap, pg_catalog`,
    );
    const owner = databaseOf(OWNER, OWNER);
    try {
      const ctx = { ...chain.context({ id: 'odd-path', table: 'data.segments' }, { backupDir: backups }), db: owner };
      await walkChain(ctx, { table: 'data.segments', key: 'id', text: 'text' }, 'text, embedding');
      await finalize(ctx, { now: true });
      expect(await readStatus(ctx)).toMatchObject({ phase: 'finalized' });
    } finally {
      await owner.close();
      await chain.db.query(`ALTER ROLE ${OWNER} RESET search_path`);
    }
  });
});

async function currentDatabase(db: Database): Promise<string> {
  const { rows } = await db.query<{ name: string }>('SELECT quote_ident(current_database()) AS name');
  return rows[0]?.name ?? '';
}
