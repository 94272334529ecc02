/** What this role may see and how the server is set up: read once, before `databaseHealthSql`. */
export function healthRightsSql(): string {
  const setting = (name: string): string =>
    `(SELECT s.setting::float8 FROM pg_catalog.pg_settings s WHERE s.name = '${name}')`;
  return [
    `SELECT pg_catalog.pg_has_role('pg_read_all_stats', 'USAGE') AS "seesOthers",`,
    `  pg_catalog.current_setting('archive_mode') <> 'off' AS archives,`,
    `  pg_catalog.has_function_privilege('pg_catalog.pg_ls_archive_statusdir()', 'EXECUTE') AS "seesArchive",`,
    `  NULLIF(${setting('max_slot_wal_keep_size')}, -1) * 1048576 AS "slotBytes",`,
    `  current_user::text AS role`,
  ].join('\n');
}

export interface HealthOptions {
  /** `ready` counts what waits in pg_wal/archive_status; `last` compares with the last segment that was archived. */
  readonly archive: 'none' | 'ready' | 'last';
}

/**
 * One row with what the server says about its own health, each value float8 and NULL where it is not known. Parameter: the table's qualified
 * name, quoted. Views that hide other roles' sessions are read as they are: see `healthRightsSql` for who sees them.
 */
export function databaseHealthSql({ archive }: HealthOptions): string {
  const lsn = 'pg_catalog.pg_current_wal_lsn()';
  const others = `a.backend_type = 'client backend' AND a.application_name <> 'reembed'`;
  const streaming = `r.state IN ('streaming', 'catchup')`;
  return [
    `SELECT pg_catalog.pg_wal_lsn_diff(${lsn}, '0/0')::float8 AS "walPosition",`,
    `  ${archiveSql(archive)} AS archive,`,
    `  (SELECT pg_catalog.count(*)::float8 FROM pg_catalog.pg_stat_replication r) AS replicas,`,
    `  (SELECT pg_catalog.max(EXTRACT(epoch FROM r.replay_lag))::float8 FROM pg_catalog.pg_stat_replication r WHERE ${streaming}) AS "replicaLag",`,
    `  (SELECT pg_catalog.max(pg_catalog.pg_wal_lsn_diff(${lsn}, COALESCE(r.replay_lsn, r.flush_lsn, r.write_lsn, r.sent_lsn)))::float8`,
    `     FROM pg_catalog.pg_stat_replication r WHERE ${streaming}) AS "replicaBytes",`,
    // A lost slot keeps nothing any more.
    `  (SELECT pg_catalog.max(pg_catalog.pg_wal_lsn_diff(${lsn}, s.restart_lsn))::float8 FROM pg_catalog.pg_replication_slots s`,
    `     WHERE s.wal_status IS DISTINCT FROM 'lost') AS slots,`,
    `  (SELECT pg_catalog.count(*)::float8 FROM pg_catalog.pg_stat_progress_vacuum v WHERE v.relid IN (`,
    `     SELECT pg_catalog.unnest(ARRAY[c.oid, c.reltoastrelid]) FROM pg_catalog.pg_class c WHERE c.oid = $1::pg_catalog.regclass`,
    `       OR c.oid IN (SELECT p.relid FROM pg_catalog.pg_partition_tree($1::pg_catalog.regclass) p))) AS vacuum,`,
    `  (SELECT pg_catalog.max(EXTRACT(epoch FROM pg_catalog.clock_timestamp() - a.xact_start))::float8 FROM pg_catalog.pg_stat_activity a`,
    `     WHERE ${others} AND a.datname = pg_catalog.current_database()) AS transaction,`,
    `  (SELECT pg_catalog.count(*)::float8 FROM pg_catalog.pg_stat_activity a WHERE ${others} AND a.state <> 'idle')`,
    `     / pg_catalog.current_setting('max_connections')::float8 * 100 AS connections`,
  ].join('\n');
}

function archiveSql(archive: HealthOptions['archive']): string {
  if (archive === 'none') return '0::float8';
  if (archive === 'ready') {
    return `(SELECT pg_catalog.count(*)::float8 FROM pg_catalog.pg_ls_archive_statusdir() f WHERE f.name LIKE '%.ready')`;
  }
  // The insert position: at the end of a segment that is full, the name of the write position is still that of this segment (before 16).
  // A segment's name is its timeline, and its position in units of 4 GB and of segments, 8 hexadecimal digits each.
  const segment = (name: string): string =>
    `('x' || pg_catalog.substr(${name}, 9, 8))::pg_catalog.bit(32)::int8 * (4294967296 / w.bytes) + ('x' || pg_catalog.substr(${name}, 17, 8))::pg_catalog.bit(32)::int8`;
  return (
    `(SELECT GREATEST(0, ${segment('pg_catalog.pg_walfile_name(pg_catalog.pg_current_wal_insert_lsn())')} - 1 - (${segment('s.last_archived_wal')}))::float8` +
    ` FROM pg_catalog.pg_stat_archiver s, (SELECT s.setting::int8 AS bytes FROM pg_catalog.pg_settings s WHERE s.name = 'wal_segment_size') w` +
    ` WHERE s.last_archived_wal ~ '^[0-9A-F]{24}$')`
  );
}
