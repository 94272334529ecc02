import { megabytes } from '../../amounts.ts';
import type { Queryable } from '../../db/types.ts';
import { shownIdentifier } from '../../sql/identifiers.ts';
import { warningFinding } from '../finding.ts';
import { indexBuilds } from './index-builds.ts';
import { type Examined, type Look, seen } from './look.ts';

/** maintenance_work_mem against the index that takes most of it. */
export async function lookAtBuildMemory(examined: Examined, tx: Queryable): Promise<Look> {
  const { rows } = await tx.query<{ bytes: number }>(
    `SELECT pg_catalog.pg_size_bytes(pg_catalog.current_setting('maintenance_work_mem'))::float8 AS bytes`,
  );
  const setting = rows[0]?.bytes ?? 0;
  const [largest] = indexBuilds(examined).sort((a, b) => b.memoryBytes - a.memoryBytes);
  if (largest === undefined) return seen('no vector index is to be built');
  const { kind, lists, memoryBytes } = largest;
  const what = kind === 'hnsw' ? 'an HNSW index' : `an IVFFlat index of ${lists} lists`;
  const detail = `${what} takes about ${megabytes(memoryBytes)}, maintenance_work_mem is ${megabytes(setting)}`;
  if (memoryBytes <= setting) return seen(detail);
  const value = `${Math.ceil((memoryBytes * 1.1) / 2 ** 20)}MB`;
  const role = shownIdentifier(examined.facts.server.role);
  const hint =
    kind === 'hnsw'
      ? `If the server has the memory, run "ALTER ROLE ${role} SET maintenance_work_mem = '${value}';" before the swap.`
      : `The swap raises it to that for its own build; for a REINDEX or a restored dump set maintenance_work_mem = '${value}'.`;
  return seen(detail, [
    warningFinding(
      'build_memory',
      `Building ${what} takes about ${megabytes(memoryBytes)}, maintenance_work_mem is ${megabytes(setting)}.`,
      hint,
    ),
  ]);
}
