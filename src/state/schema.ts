import { SQLSTATE, sqlStateOf } from '../db/sqlstate.ts';
import type { Database, Queryable } from '../db/types.ts';
import { PreflightError } from '../errors.ts';
import { quoteIdentifier, quoteLiteral } from '../sql/identifiers.ts';
import { adaptedColumn } from './adapted-column.ts';
import { QUALITY_COLUMNS, qualityTables } from './quality-tables.ts';
import { spendingTables } from './spending-tables.ts';
import { refuseNewerState, STATE_VERSION } from './state-version.ts';

/** In an order in which they can be dropped together. */
const TABLES = [
  ...['evaluations', 'shadow_searches', 'keyword_corpora', 'keyword_terms'],
  ...['quarantine', 'events', 'leases', 'usage', 'canaries', 'migrations', 'models', 'meta'],
] as const;

/** Every table has a primary key, so that publications FOR ALL TABLES go on working. A change here is a version of its own: `state-version.ts`. */
function createStatements(schema: string): string[] {
  const s = quoteIdentifier(schema);
  return [
    `CREATE TABLE IF NOT EXISTS ${s}.meta (key text PRIMARY KEY, value text NOT NULL)`,
    `CREATE TABLE IF NOT EXISTS ${s}.models (
       id integer GENERATED ALWAYS AS IDENTITY PRIMARY KEY, fingerprint jsonb NOT NULL, fingerprint_hash text NOT NULL UNIQUE,
       created_at timestamptz NOT NULL DEFAULT now())`,
    `CREATE TABLE IF NOT EXISTS ${s}.migrations (
       id text PRIMARY KEY, table_oid regclass NOT NULL, table_schema text NOT NULL, table_name text NOT NULL,
       text_column text NOT NULL, source_column text NOT NULL, target_column text NOT NULL, kept_column text,
       dimensions integer NOT NULL, vector_type text NOT NULL,
       phase text NOT NULL CHECK (phase IN ('expanded', 'backfilling', 'backfilled', 'swapped', 'finalized')),
       active text NOT NULL DEFAULT 'old' CHECK (active IN ('old', 'new')),
       model_id integer REFERENCES ${s}.models, old_model jsonb, definition jsonb NOT NULL,
       cursor jsonb, rows_total bigint, rows_written bigint NOT NULL DEFAULT 0, tokens bigint NOT NULL DEFAULT 0, truncated bigint NOT NULL DEFAULT 0,
       old_indexes jsonb NOT NULL DEFAULT '[]', new_indexes jsonb NOT NULL DEFAULT '[]', backups jsonb NOT NULL DEFAULT '[]',
       swapped_at timestamptz, finalized_at timestamptz, text_expression text,
       paused_at timestamptz, paused_by text, throttle jsonb, ${QUALITY_COLUMNS}, ${adaptedColumn(s)},
       created_at timestamptz NOT NULL DEFAULT now(), updated_at timestamptz NOT NULL DEFAULT now())`,
    // Apart from the migrations, because a lease is taken before 005 has made its record.
    `CREATE TABLE IF NOT EXISTS ${s}.leases (
       migration_id text PRIMARY KEY, token bigint NOT NULL DEFAULT 0, holder text, step text, expires timestamptz, knex_lock text)`,
    `CREATE TABLE IF NOT EXISTS ${s}.quarantine (
       migration_id text NOT NULL REFERENCES ${s}.migrations ON DELETE CASCADE, key jsonb NOT NULL, text_hash bytea NOT NULL,
       reason text NOT NULL, at timestamptz NOT NULL DEFAULT now(), PRIMARY KEY (migration_id, key))`,
    `CREATE TABLE IF NOT EXISTS ${s}.events (
       id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY, migration_id text NOT NULL, at timestamptz NOT NULL DEFAULT now(),
       kind text NOT NULL, detail jsonb NOT NULL DEFAULT '{}')`,
    ...spendingTables(s),
    ...qualityTables(s),
    `INSERT INTO ${s}.meta (key, value) VALUES ('version', ${quoteLiteral(String(STATE_VERSION))}) ON CONFLICT DO NOTHING`,
  ];
}

/** True when the state's tables are there. */
export async function stateExists(db: Queryable, schema: string): Promise<boolean> {
  const { rows } = await db.query<{ found: boolean }>('SELECT pg_catalog.to_regclass($1) IS NOT NULL AS found', [
    `${quoteIdentifier(schema)}.migrations`,
  ]);
  return rows[0]?.found === true;
}

/**
 * Makes the schema and its tables where they are missing.
 *
 * @returns whether this call made them
 * @throws PreflightError `state_schema_denied` without the right to create it, `state_newer` when a newer reembed made it
 */
export async function ensureStateSchema(db: Database, schema: string): Promise<{ created: boolean }> {
  let created = false;
  try {
    // Two processes that both find nothing collide in the catalog whatever IF NOT EXISTS says; one lock orders them.
    await db.transaction(async (tx) => {
      await tx.query(`SELECT pg_catalog.pg_advisory_xact_lock(pg_catalog.hashtext($1))`, [`reembed state ${schema}`]);
      if (await stateExists(tx, schema)) return;
      const own = await createSchema(tx, schema);
      for (const statement of createStatements(schema)) await tx.query(statement);
      if (own) await tx.query(`INSERT INTO ${quoteIdentifier(schema)}.meta (key, value) VALUES ('schema', 'created')`);
      created = true;
    });
  } catch (cause) {
    if (sqlStateOf(cause) !== SQLSTATE.insufficientPrivilege) throw cause;
    throw new PreflightError(
      'state_schema_denied',
      `This role may not create the schema "${schema}" for reembed's state.`,
      {
        step: 'expand',
        hint: `Run "CREATE SCHEMA ${quoteIdentifier(schema)} AUTHORIZATION <role>;" once, or set REEMBED_STATE_SCHEMA to a schema that the role owns.`,
        cause,
      },
    );
  }
  await refuseNewerState(db, schema);
  return { created };
}

/** False where the schema was there before: then it is somebody else's, and may hold more than ours. */
async function createSchema(tx: Queryable, schema: string): Promise<boolean> {
  const { rows } = await tx.query('SELECT 1 FROM pg_catalog.pg_namespace WHERE nspname = $1', [schema]);
  if (rows.length > 0) return false;
  await tx.query(`CREATE SCHEMA ${quoteIdentifier(schema)}`);
  return true;
}

/**
 * Removes the state when no migration is recorded in it: what a refused first start leaves behind is nothing. Our own tables go by name, and
 * the schema only when reembed made it and nothing else is in it.
 */
export async function dropUnusedState(db: Database, schema: string): Promise<void> {
  const s = quoteIdentifier(schema);
  const dropSchema = await db.transaction(async (tx) => {
    await tx.query(`SELECT pg_catalog.pg_advisory_xact_lock(pg_catalog.hashtext($1))`, [`reembed state ${schema}`]);
    if (!(await stateExists(tx, schema))) return false;
    await tx.query(`LOCK TABLE ${s}.migrations IN ACCESS EXCLUSIVE MODE`);
    const { rows } = await tx.query(`SELECT 1 FROM ${s}.migrations LIMIT 1`);
    if (rows.length > 0) return false;
    const own = await tx.query(`SELECT 1 FROM ${s}.meta WHERE key = 'schema' AND value = 'created'`);
    await tx.query(`DROP TABLE IF EXISTS ${TABLES.map((table) => `${s}.${table}`).join(', ')}`);
    return own.rows.length > 0 && (await isEmptySchema(tx, schema));
  });
  // Never CASCADE: what came in since the look above stays, and the schema with it.
  if (dropSchema) await db.query(`DROP SCHEMA IF EXISTS ${s} RESTRICT`).catch(() => undefined);
}

async function isEmptySchema(tx: Queryable, schema: string): Promise<boolean> {
  const { rows } = await tx.query(
    `SELECT 1 FROM pg_catalog.pg_namespace n WHERE n.nspname = $1 AND (
       EXISTS (SELECT 1 FROM pg_catalog.pg_class c WHERE c.relnamespace = n.oid)
       OR EXISTS (SELECT 1 FROM pg_catalog.pg_proc p WHERE p.pronamespace = n.oid))`,
    [schema],
  );
  return rows.length === 0;
}
