import { statfs } from 'node:fs/promises';
import { megabytes } from '../../amounts.ts';
import type { Queryable } from '../../db/types.ts';
import { messageOf } from '../../errors.ts';
import { tableSizeSql } from '../../sql/relation-size.ts';
import { warningFinding } from '../finding.ts';
import { indexBuilds } from './index-builds.ts';
import { whyNotLocal } from './local-server.ts';
import { type Examined, type Look, seen, unseen } from './look.ts';

interface Settings {
  readonly kind: string;
  readonly workers: number;
  readonly memory: number;
  readonly isLarge: boolean;
}

const DIRECTORY = '/dev/shm';
/** Beside the graph, for what the workers share. */
const OTHER_BYTES = 4 * 2 ** 20;

/** Workers that build an HNSW index share maintenance_work_mem, whole, which Linux keeps in /dev/shm: 64 MB in a container unless said. */
export async function lookAtSharedMemory(examined: Examined, tx: Queryable): Promise<Look> {
  if (!indexBuilds(examined).some((build) => build.kind === 'hnsw')) return seen('no HNSW index is to be built');
  if (examined.ctx.db.embedded) return seen('the embedded database builds without workers');
  const { rows } = await tx.query<Settings>(
    `SELECT pg_catalog.current_setting('dynamic_shared_memory_type') AS kind,
       pg_catalog.current_setting('max_parallel_maintenance_workers')::int AS workers,
       pg_catalog.pg_size_bytes(pg_catalog.current_setting('maintenance_work_mem'))::float8 AS memory,
       ${tableSizeSql('pg_relation_size', '$1::oid', 'max')} >= pg_catalog.pg_size_bytes(pg_catalog.current_setting('min_parallel_table_scan_size')) AS "isLarge"`,
    [examined.table.oid],
  );
  const settings = rows[0];
  if (settings === undefined || settings.workers === 0)
    return seen('max_parallel_maintenance_workers is 0: nothing is shared');
  if (!settings.isLarge) return seen('the table is too small for a parallel build');
  if (settings.kind !== 'posix')
    return seen(`dynamic_shared_memory_type is ${settings.kind}, which does not use ${DIRECTORY}`);
  const why = await whyNotLocal(tx);
  const needed = settings.memory + OTHER_BYTES;
  if (why !== undefined) return unseen(`${why}; ${megabytes(needed)} of ${DIRECTORY} will be needed`);
  try {
    const { bavail, bsize } = await statfs(DIRECTORY);
    return judge(needed, bavail * bsize);
  } catch (error) {
    return unseen(`${DIRECTORY} cannot be looked at: ${messageOf(error)}`);
  }
}

function judge(needed: number, free: number): Look {
  const detail = `${megabytes(free)} free in ${DIRECTORY}, ${megabytes(needed)} needed`;
  if (free >= needed) return seen(detail);
  return seen(detail, [
    warningFinding(
      'shared_memory',
      `${DIRECTORY} has ${megabytes(free)} free, building an HNSW index in parallel takes ${megabytes(needed)} of it (maintenance_work_mem).`,
      `Start the container with "--shm-size=${Math.ceil(needed / 2 ** 20)}m", lower maintenance_work_mem, or set max_parallel_maintenance_workers = 0 for the role.`,
    ),
  ]);
}
