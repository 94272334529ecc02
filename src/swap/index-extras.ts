import type { Queryable } from '../db/types.ts';
import { quoteLiteral, quoteQualified } from '../sql/identifiers.ts';

/** What belongs to an index beside its definition as Postgres prints it. */
export interface IndexExtras {
  readonly comment: string | null;
  /** Undefined is the database's own, also where this role may put nothing into another one. */
  readonly tablespace: string | undefined;
}

/** Those of an index by its OID; none where there is no such index. */
export async function readIndexExtras(db: Queryable, oid: number | undefined): Promise<IndexExtras> {
  const { rows } = await db.query<{ comment: string | null; tablespace: string | null }>(
    `SELECT pg_catalog.obj_description(c.oid, 'pg_class') AS comment, 
       CASE WHEN pg_catalog.has_tablespace_privilege(s.oid, 'CREATE') THEN s.spcname END AS tablespace
     FROM pg_catalog.pg_class c LEFT JOIN pg_catalog.pg_tablespace s ON s.oid = c.reltablespace WHERE c.oid = $1::oid`,
    [oid ?? null],
  );
  return { comment: rows[0]?.comment ?? null, tablespace: rows[0]?.tablespace ?? undefined };
}

/** None where there is no comment. */
export function commentIndexSql(schema: string, name: string, comment: string | null): readonly string[] {
  return comment === null ? [] : [`COMMENT ON INDEX ${quoteQualified(schema, name)} IS ${quoteLiteral(comment)}`];
}
