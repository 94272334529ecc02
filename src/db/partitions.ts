import type { Queryable } from './types.ts';

/** A table below a partitioned one, on whatever level. */
export interface Partition {
  readonly oid: number;
  /** The table that it is a partition of. */
  readonly parentOid: number;
  readonly schema: string;
  readonly name: string;
  /** `r` with rows of its own, `p` partitioned again, `f` foreign. */
  readonly kind: string;
  readonly owner: string;
}

/** All partitions of a table, those of an upper level first; none of an ordinary table. */
export async function readPartitions(db: Queryable, tableOid: number): Promise<Partition[]> {
  const { rows } = await db.query<Partition>(
    `SELECT c.oid, s.parentrelid::oid AS "parentOid", n.nspname AS schema, c.relname AS name, c.relkind AS kind,
       pg_catalog.pg_get_userbyid(c.relowner) AS owner
     FROM pg_catalog.pg_partition_tree($1::oid) s JOIN pg_catalog.pg_class c ON c.oid = s.relid
     JOIN pg_catalog.pg_namespace n ON n.oid = c.relnamespace WHERE s.level > 0 ORDER BY s.level, n.nspname, c.relname`,
    [tableOid],
  );
  return rows;
}
