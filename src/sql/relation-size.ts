export type SizeFunction = 'pg_relation_size' | 'pg_table_size' | 'pg_indexes_size';

/** Bytes of a table; of a partitioned one, which has none itself, those of all its partitions together (`max`: of the largest). `oid` is SQL. */
export function tableSizeSql(size: SizeFunction, oid: string, aggregate: 'sum' | 'max' = 'sum'): string {
  return (
    `COALESCE((SELECT pg_catalog.${aggregate}(pg_catalog.${size}(s.relid)) FROM pg_catalog.pg_partition_tree(${oid}) s), ` +
    `pg_catalog.${size}(${oid}))`
  );
}

/** Pages of a table by its quoted name in `$1`; of a partitioned one those of all its partitions. */
export function countPagesSql(): string {
  const bytes = tableSizeSql('pg_relation_size', 'pg_catalog.to_regclass($1)');
  return `SELECT (${bytes} / pg_catalog.current_setting('block_size')::int)::float8 AS pages`;
}

/** The OIDs of a table and all its partitions, as a subquery for `IN`; `oid` is SQL. */
export function tableTreeSql(oid: string): string {
  return `(SELECT ${oid} UNION SELECT s.relid::oid FROM pg_catalog.pg_partition_tree(${oid}) s)`;
}
