import { expect } from 'vitest';
import type { Database } from '../../src/db/types.ts';
import type { ReembedError } from '../../src/errors.ts';

/** Every object of the database and every row of `segments`, and whether there is any state. */
export async function everythingIn(db: Database): Promise<unknown> {
  const { rows: objects } = await db.query(
    `SELECT n.nspname || '.' || c.relname || '.' || coalesce(a.attname, '') AS name, c.relkind::text AS kind,
       format_type(a.atttypid, a.atttypmod) AS type, a.attnotnull AS "notNull"
     FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace
     LEFT JOIN pg_attribute a ON a.attrelid = c.oid AND a.attnum > 0 AND NOT a.attisdropped
     WHERE n.nspname NOT IN ('pg_catalog', 'information_schema', 'pg_toast') AND c.relname NOT LIKE 'pg\\_%' ORDER BY 1`,
  );
  const { rows: others } = await db.query(
    `SELECT nspname::text AS name FROM pg_namespace WHERE nspname NOT LIKE 'pg\\_temp%' AND nspname NOT LIKE 'pg\\_toast%'
     UNION ALL SELECT 'trigger ' || tgname FROM pg_trigger ORDER BY 1`,
  );
  const { rows: has } = await db.query<{ has: boolean }>(`SELECT to_regclass('segments') IS NOT NULL AS has`);
  const { rows } =
    has[0]?.has === true
      ? await db.query(
          `SELECT count(*)::int AS n, md5(string_agg(s::text, '|' ORDER BY s::text)) AS sum FROM segments s`,
        )
      : { rows: [] };
  return { objects, others, rows };
}

/** What a refusal tells a person; fails when nothing is refused. */
export async function refusalOf(work: Promise<unknown>): Promise<Pick<ReembedError, 'code' | 'message' | 'hint'>> {
  return work.then(
    () => expect.fail('it was not refused'),
    (error: ReembedError) => ({ code: error.code, message: error.message, hint: error.hint }),
  );
}
