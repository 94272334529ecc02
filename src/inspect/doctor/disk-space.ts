import { existsSync } from 'node:fs';
import { statfs } from 'node:fs/promises';
import { megabytes } from '../../amounts.ts';
import { isEmbedded } from '../../config/database-settings.ts';
import type { Queryable } from '../../db/types.ts';
import { messageOf } from '../../errors.ts';
import { tableSizeSql } from '../../sql/relation-size.ts';
import { newColumnBytes } from '../../sql/storage.ts';
import { errorFinding } from '../finding.ts';
import { indexBuilds } from './index-builds.ts';
import { whyNotLocal } from './local-server.ts';
import { type Examined, type Look, seen, unseen } from './look.ts';

interface Place {
  /** Directory of the table's tablespace on the server. */
  readonly directory: string;
  /** Bytes of the table's rows without TOAST. */
  readonly heapBytes: number;
}

/** Free space where the table lies, against what the rest of the migration writes there. */
export async function lookAtDiskSpace(examined: Examined, tx: Queryable): Promise<Look> {
  const needed = (place: Place): number => neededBytes(examined, place.heapBytes);
  const place = await readPlace(tx, examined.table.oid);
  const why = examined.ctx.db.embedded ? whyNotEmbedded(examined) : await whyNotLocal(tx);
  if (why !== undefined) return unseen(`${why}; about ${megabytes(needed(place))} will be needed`);
  const directory = examined.ctx.db.embedded ? examined.ctx.runtime.dataDir : place.directory;
  try {
    const { bavail, bsize } = await statfs(directory);
    return judge(directory, needed(place), bavail * bsize);
  } catch (error) {
    return unseen(`${directory} cannot be looked at: ${messageOf(error)}`);
  }
}

function judge(directory: string, needed: number, free: number): Look {
  const detail = `${megabytes(free)} free in ${directory}, about ${megabytes(needed)} needed`;
  if (free >= needed) return seen(detail);
  return seen(detail, [
    errorFinding(
      'disk_space',
      `${directory} has ${megabytes(free)} free, the migration needs about ${megabytes(needed)} there, WAL not counted.`,
      "Free space or enlarge the disk; oldIndex: 'drop' frees the old indexes first.",
    ),
  ]);
}

/** The embedded database of another process, or one in memory, lies nobody knows where. */
function whyNotEmbedded({ ctx }: Examined): string | undefined {
  const { databaseUrl, dataDir } = ctx.runtime;
  if (databaseUrl !== undefined && isEmbedded(ctx.runtime) && existsSync(dataDir)) return undefined;
  return 'the embedded database was started by another process';
}

async function readPlace(tx: Queryable, oid: number): Promise<Place> {
  const { rows } = await tx.query<{ location: string; heapBytes: number }>(
    `SELECT pg_catalog.pg_tablespace_location(CASE WHEN c.reltablespace = 0 THEN d.dattablespace ELSE c.reltablespace END) AS location,
       ${tableSizeSql('pg_relation_size', 'c.oid')}::float8 AS "heapBytes"
     FROM pg_catalog.pg_class c, pg_catalog.pg_database d WHERE c.oid = $1 AND d.datname = pg_catalog.current_database()`,
    [oid],
  );
  const { location = '', heapBytes = 0 } = rows[0] ?? {};
  return { directory: location === '' ? await readDataDirectory(tx) : location, heapBytes };
}

async function readDataDirectory(tx: Queryable): Promise<string> {
  const { rows } = await tx.query<{ directory: string }>(
    `SELECT pg_catalog.current_setting('data_directory') AS directory`,
  );
  return rows[0]?.directory ?? '';
}

/** New vectors, another version of every row that still has to be written, and the indexes. */
function neededBytes(examined: Examined, heapBytes: number): number {
  const { ctx, facts, record } = examined;
  if (record?.active === 'new') return 0;
  const indexes = indexBuilds(examined).reduce((sum, build) => sum + build.diskBytes, 0);
  if (record?.phase === 'backfilled') return indexes;
  const written = record?.rowsTotal ? Math.min(1, record.rowsWritten / record.rowsTotal) : 0;
  return (1 - written) * (newColumnBytes(facts.rowsEstimate, ctx.definition) + heapBytes) + indexes;
}
