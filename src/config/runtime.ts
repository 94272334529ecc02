import { resolve } from 'node:path';
import { z } from 'zod';
import { ConfigError } from '../errors.ts';
import { adapterSettings, adapterShape } from './adapter-env.ts';
import { defaultCacheDir } from './default-cache-dir.ts';
import {
  type Environment,
  envBytes,
  envDuration,
  envFlag,
  envNumber,
  envOneOf,
  envPostgresUrl,
  envText,
  envValue,
  envWhole,
} from './env-values.ts';
import { invalidConfig, problemsOf } from './problems.ts';
import { nameProblem } from './qualified-name.ts';
import { buildSettings, evaluationSettings, qualityShape, rerankSettings } from './quality-env.ts';
import { remoteSettings, remoteShape } from './remote-env.ts';
import { throttleSettings, throttleShape } from './throttle-env.ts';
import type { RuntimeSettings } from './types.ts';

/** Every variable that says how a migration runs. `docs/configuration.md` lists them; a test compares the two. */
const runtimeSchema = z.object({
  DATABASE_URL: envPostgresUrl('embedded'),
  REEMBED_DIRECT_URL: envPostgresUrl(),
  REEMBED_DATA_DIR: envText('a directory'),
  REEMBED_STATE_SCHEMA: envValue("a schema's name of at most 63 bytes", (text) =>
    nameProblem(text) === undefined ? text : undefined,
  ),
  EMBEDDING_DEVICE: envOneOf('auto', 'cpu', 'cuda', 'webgpu'),
  EMBEDDING_DEVICE_ID: envWhole(0, 1023),
  EMBEDDING_GPU_MEMORY: envBytes(64 * 1024 ** 2, 1024 ** 4),
  EMBEDDING_DTYPE: envOneOf('fp32', 'fp16', 'int8'),
  EMBEDDING_BATCH_SIZE: envWhole(1, 4096),
  EMBEDDING_THREADS: envWhole(1, 1024),
  REEMBED_MODELS_DIR: envText('a directory'),
  REEMBED_CACHE_DIR: envText('a directory'),
  REEMBED_BATCH_ROWS: envWhole(1, 100_000),
  REEMBED_BATCH_BYTES: envBytes(1024, 256 * 1024 ** 2),
  REEMBED_MAX_RETRIES: envWhole(1, 100),
  REEMBED_CONCURRENCY: envWhole(1, 64),
  REEMBED_WRITERS: envWhole(1, 8),
  REEMBED_WRITE_TARGET: envDuration(),
  REEMBED_STATEMENT_TIMEOUT: envDuration(),
  REEMBED_READ_TIMEOUT: envDuration(),
  REEMBED_PACE: envNumber(0.01, 1),
  ...throttleShape,
  REEMBED_TIME_LIMIT: envDuration(),
  REEMBED_MAX_QUARANTINED: envWhole(0, 1_000_000_000),
  REEMBED_BACKUP: envText("'auto', 'none' or a directory"),
  REEMBED_ROLLBACK: envOneOf('refuse', 'accept-missing'),
  REEMBED_RECREATE_VIEWS: envFlag(),
  REEMBED_LEASE_SECONDS: envWhole(2, 3600),
  ...remoteShape,
  ...qualityShape,
  ...adapterShape,
  REEMBED_LOG: envOneOf('text', 'json'),
});

/** The names of the variables that `loadRuntimeSettings` reads. */
export const runtimeVariables: readonly string[] = Object.keys(runtimeSchema.shape);

/**
 * How a migration runs, out of the environment. Directories come back absolute, relative to `cwd`.
 *
 * @throws ConfigError `config_invalid` that names every variable that is wrong; never with the value of a URL
 */
export function loadRuntimeSettings(env: Environment = process.env, cwd = process.cwd()): RuntimeSettings {
  const parsed = runtimeSchema.safeParse(env);
  if (!parsed.success) {
    throw invalidConfig(
      'The environment',
      problemsOf(parsed.error),
      'Correct the variables; docs/configuration.md describes each with its default.',
    );
  }
  const values = parsed.data;
  return {
    databaseUrl: values.DATABASE_URL,
    directUrl: values.REEMBED_DIRECT_URL,
    dataDir: resolve(cwd, values.REEMBED_DATA_DIR ?? '.reembed/data'),
    stateSchema: values.REEMBED_STATE_SCHEMA ?? 'reembed',
    device: values.EMBEDDING_DEVICE ?? 'auto',
    deviceId: values.EMBEDDING_DEVICE_ID,
    gpuMemory: values.EMBEDDING_GPU_MEMORY,
    dtype: values.EMBEDDING_DTYPE,
    batchSize: values.EMBEDDING_BATCH_SIZE,
    threads: values.EMBEDDING_THREADS,
    modelsDir: values.REEMBED_MODELS_DIR === undefined ? undefined : resolve(cwd, values.REEMBED_MODELS_DIR),
    modelLock: resolve(cwd, 'reembed.lock.json'),
    cacheDir: resolve(cwd, values.REEMBED_CACHE_DIR ?? defaultCacheDir()),
    batchRows: values.REEMBED_BATCH_ROWS ?? 1000,
    batchBytes: values.REEMBED_BATCH_BYTES ?? 8 * 1024 ** 2,
    maxRetries: values.REEMBED_MAX_RETRIES ?? 3,
    concurrency: values.REEMBED_CONCURRENCY ?? 2,
    writers: values.REEMBED_WRITERS ?? 2,
    writeTargetMs: values.REEMBED_WRITE_TARGET ?? 500,
    statementTimeoutMs: values.REEMBED_STATEMENT_TIMEOUT ?? 60_000,
    readTimeoutMs: values.REEMBED_READ_TIMEOUT ?? 3_600_000,
    pace: values.REEMBED_PACE ?? 1,
    throttle: throttleSettings(values),
    timeLimitMs: values.REEMBED_TIME_LIMIT,
    maxQuarantined: values.REEMBED_MAX_QUARANTINED ?? 0,
    ...backupSettings(values.REEMBED_BACKUP, cwd),
    rollback: values.REEMBED_ROLLBACK ?? 'refuse',
    recreateViews: values.REEMBED_RECREATE_VIEWS ?? false,
    leaseSeconds: values.REEMBED_LEASE_SECONDS ?? 10,
    remote: remoteSettings(values),
    gate: values.REEMBED_GATE ?? 'warn',
    evaluation: evaluationSettings(values),
    reranking: rerankSettings(values),
    build: buildSettings(values),
    adapters: adapterSettings(values, cwd),
    log: values.REEMBED_LOG ?? 'text',
  };
}

/**
 * The database that was asked for. None is never guessed: a deploy must not succeed on a database that nobody looks at.
 *
 * @throws ConfigError `database_url_missing`
 */
export function requireDatabaseUrl(runtime: Pick<RuntimeSettings, 'databaseUrl'>): string {
  if (runtime.databaseUrl !== undefined) return runtime.databaseUrl;
  // Both ways are in the message itself: knex prints nothing else of an error.
  const message =
    'DATABASE_URL is not set, expected a Postgres URL or "embedded" (DATABASE_URL=embedded); none is guessed.';
  throw new ConfigError('database_url_missing', message, {
    step: 'configuration',
    hint:
      'Set DATABASE_URL=postgres://user:password@host:5432/database for your Postgres, or ' +
      'DATABASE_URL=embedded for the Postgres that comes with reembed (demos, tests, small tables).',
  });
}

/** The log's form, for what has to be printed before the settings are read, or because they are wrong. */
export function readLogFormat(env: Environment = process.env): RuntimeSettings['log'] {
  return env.REEMBED_LOG?.trim().toLowerCase() === 'json' ? 'json' : 'text';
}

/** Which environment of a knexfile knex itself would take. */
export function knexEnvironment(env: Environment = process.env): string {
  return env.NODE_ENV || 'development';
}

function backupSettings(value: string | undefined, cwd: string): Pick<RuntimeSettings, 'backup' | 'backupDir'> {
  const named = value !== undefined && value !== 'auto' && value !== 'none';
  return { backup: value === 'none' ? 'none' : 'auto', backupDir: resolve(cwd, named ? value : 'reembed-backups') };
}
