import { DEFAULT_M, hnswMemoryBytes } from './hnsw-memory.ts';
import type { IndexDefinition } from './index-definition.ts';
import { quantizationOf } from './quantization.ts';
import { indexedVectorBytes } from './storage.ts';
import type { VectorTarget } from './target.ts';
import { ivfflatMemoryBytes } from './vector-index.ts';

/** What a server gives to the building of one index; bytes and processes. */
export interface BuildServer {
  /** maintenance_work_mem. */
  readonly maintenanceBytes: number;
  /** effective_cache_size: what the operator takes the machine to have for Postgres. */
  readonly cacheBytes: number;
  /** max_parallel_maintenance_workers. */
  readonly workers: number;
  /** Free shared memory, where the server is on this machine and keeps it in /dev/shm; undefined where that is not known. */
  readonly sharedBytes: number | undefined;
}

/** What the operator allows; undefined where nothing is said. */
export interface BuildLimits {
  readonly memoryBytes: number | undefined;
  readonly workers: number | undefined;
}

export interface BuildResources {
  /** For maintenance_work_mem; undefined leaves the server's own. */
  readonly memoryBytes: number | undefined;
  /** For max_parallel_maintenance_workers; undefined leaves the server's own. */
  readonly workers: number | undefined;
}

/** More is not taken from a server unasked. */
const MOST_BYTES = 2 * 2 ** 30;
/** Of what the machine has for Postgres: the rest keeps serving. */
const SHARE_OF_CACHE = 1 / 4;
/** Beside the graph, for what the workers share. */
const OTHER_SHARED_BYTES = 4 * 2 ** 20;

/**
 * Memory and workers for one build, within limits. IVFFlat gets what it needs, as it does not begin with less (its lists were chosen to
 * fit); HNSW as much of its graph as the limits let in, since what does not fit is built many times slower. Parallel workers share all
 * of it in shared memory: where that is too small there are none, which is slower but ends.
 *
 * @param needBytes what the index takes; undefined where that is not known
 */
export function chooseBuildResources(
  method: string,
  needBytes: number | undefined,
  server: BuildServer,
  limits: BuildLimits,
): BuildResources {
  const most = limits.memoryBytes ?? Math.min(MOST_BYTES, SHARE_OF_CACHE * server.cacheBytes);
  const wanted = needBytes === undefined ? 0 : method === 'hnsw' ? Math.min(1.1 * needBytes, most) : needBytes;
  const memory = Math.max(server.maintenanceBytes, Math.ceil(wanted));
  const workers = limits.workers ?? server.workers;
  const shared = method === 'hnsw' ? memory + OTHER_SHARED_BYTES : 0;
  const fits = server.sharedBytes === undefined || shared <= server.sharedBytes;
  return {
    memoryBytes: memory > server.maintenanceBytes ? memory : undefined,
    workers: fits ? limits.workers : workers > 0 ? 0 : undefined,
  };
}

/** Bytes of maintenance_work_mem that building such an index takes for so many rows; undefined where it is none for neighbours. */
export function buildMemoryBytes(
  definition: Pick<IndexDefinition, 'method' | 'options' | 'keys'>,
  target: Pick<VectorTarget, 'column' | 'vectorType' | 'dimensions'>,
  rows: number,
): number | undefined {
  const { method, options } = definition;
  if (method === 'ivfflat') return ivfflatMemoryBytes(Number(options.lists ?? 100), target.dimensions);
  if (method !== 'hnsw') return undefined;
  const quantization = quantizationOf(definition, target.column) ?? 'none';
  return hnswMemoryBytes(rows, Number(options.m ?? DEFAULT_M), indexedVectorBytes(target, quantization));
}
