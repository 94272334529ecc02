import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { describe, expect, test } from 'vitest';
import { serverSettings } from '../../../src/config/database-settings.ts';
import { defaultCacheDir } from '../../../src/config/default-cache-dir.ts';
import { referenceVariables } from '../../../src/config/reference-env.ts';
import { loadRuntimeSettings, requireDatabaseUrl, runtimeVariables } from '../../../src/config/runtime.ts';
import { ConfigError } from '../../../src/errors.ts';

function failure(work: () => unknown): ConfigError {
  try {
    work();
  } catch (error) {
    if (error instanceof ConfigError) return error;
    throw error;
  }
  throw new Error('nothing was thrown');
}

describe('loadRuntimeSettings', () => {
  test('has a default for everything but the database', () => {
    expect(loadRuntimeSettings({}, '/project')).toEqual({
      databaseUrl: undefined,
      directUrl: undefined,
      dataDir: '/project/.reembed/data',
      stateSchema: 'reembed',
      device: 'auto',
      deviceId: undefined,
      gpuMemory: undefined,
      dtype: undefined,
      batchSize: undefined,
      threads: undefined,
      modelsDir: undefined,
      modelLock: '/project/reembed.lock.json',
      cacheDir: defaultCacheDir(),
      batchRows: 1000,
      batchBytes: 8_388_608,
      maxRetries: 3,
      concurrency: 2,
      writers: 2,
      writeTargetMs: 500,
      statementTimeoutMs: 60_000,
      readTimeoutMs: 3_600_000,
      pace: 1,
      throttle: {
        enabled: true,
        limits: {
          archive: 42,
          wal: 134_217_728,
          replicaLag: 10,
          replicaBytes: 1_073_741_824,
          slots: 10_737_418_240,
          vacuum: 0,
          transaction: 600,
          connections: 50,
          latency: 5,
        },
      },
      timeLimitMs: undefined,
      maxQuarantined: 0,
      backup: 'auto',
      backupDir: '/project/reembed-backups',
      rollback: 'refuse',
      recreateViews: false,
      leaseSeconds: 10,
      remote: {
        baseUrl: undefined,
        allowHttp: false,
        keys: { any: undefined, openai: undefined, huggingface: undefined, gemini: undefined },
        hubUrl: 'https://huggingface.co',
        sendDimensions: false,
        requestTimeoutMs: 60_000,
        deadlineMs: 600_000,
        maxRequests: 8,
        usdPerMillionTokens: undefined,
        requestsPerMinute: undefined,
        tokensPerMinute: undefined,
        budgetUsd: undefined,
        vectorCache: 'auto',
        canaryBatches: 50,
      },
      gate: 'warn',
      evaluation: { queries: undefined, knownItem: undefined, tolerance: 0.02, minGain: undefined, maxChange: 0.1 },
      build: { memoryBytes: undefined, workers: undefined },
      adapters: { dir: '/project/projections', use: undefined, auto: false },
      reranking: {
        enabled: false,
        provider: 'local',
        model: 'BAAI/bge-reranker-base',
        baseUrl: undefined,
        topK: 200,
        returnTopK: 20,
        batchSize: 64,
      },
      log: 'text',
    });
  });

  test('counts an empty variable as unset', () => {
    const empty = Object.fromEntries(runtimeVariables.map((name) => [name, ' ']));
    expect(loadRuntimeSettings(empty, '/project')).toEqual(loadRuntimeSettings({}, '/project'));
  });

  test.each([
    ['90', 90_000],
    ['90s', 90_000],
    ['1.5h', 5_400_000],
    ['10m', 600_000],
    ['250ms', 250],
  ])('reads the time limit %s', (text, expected) => {
    expect(loadRuntimeSettings({ REEMBED_TIME_LIMIT: text }).timeLimitMs).toBe(expected);
  });

  test('refuses a time that no timer takes: it would be over at once', () => {
    expect(loadRuntimeSettings({ REEMBED_TIME_LIMIT: '596h' }).timeLimitMs).toBe(596 * 3_600_000);
    for (const name of ['REEMBED_TIME_LIMIT', 'EMBEDDING_DEADLINE', 'EMBEDDING_REQUEST_TIMEOUT']) {
      expect(failure(() => loadRuntimeSettings({ [name]: '597h' })).message).toBe(
        `The environment has one problem:\n  ${name} is "597h", expected a time such as 90, 30s, 10m or 2h, of at most 596h`,
      );
    }
  });

  test.each([
    ['auto', 'auto', '/project/reembed-backups'],
    ['none', 'none', '/project/reembed-backups'],
    ['/mnt/backups', 'auto', '/mnt/backups'],
    ['safe', 'auto', '/project/safe'],
  ])('reads REEMBED_BACKUP=%s', (text, backup, backupDir) => {
    expect(loadRuntimeSettings({ REEMBED_BACKUP: text }, '/project')).toMatchObject({ backup, backupDir });
  });

  test('reads sizes with and without a unit', () => {
    expect(loadRuntimeSettings({ REEMBED_BATCH_BYTES: '65536' }).batchBytes).toBe(65_536);
    expect(loadRuntimeSettings({ REEMBED_BATCH_BYTES: '2MB' }).batchBytes).toBe(2_097_152);
  });

  test('reads each limit of the throttle, or off', () => {
    const names = runtimeVariables.filter((name) => /^REEMBED_THROTTLE_/.test(name));
    const off = loadRuntimeSettings(Object.fromEntries(names.map((name) => [name, 'OFF'])));
    expect(Object.keys(off.throttle.limits)).toHaveLength(names.length);
    expect(Object.values(off.throttle.limits)).toEqual(names.map(() => undefined));
    const set = { REEMBED_THROTTLE_REPLICA_LAG: '1500ms', REEMBED_THROTTLE_SLOTS: '2TB', REEMBED_THROTTLE: 'off' };
    expect(loadRuntimeSettings(set).throttle).toMatchObject({
      enabled: false,
      limits: { replicaLag: 1.5, slots: 2 * 1024 ** 4, archive: 42 },
    });
    expect(failure(() => loadRuntimeSettings({ REEMBED_THROTTLE_ARCHIVE: 'none' })).message).toContain(
      `REEMBED_THROTTLE_ARCHIVE is "none", expected a whole number from 1 to 1000000, or 'off'`,
    );
  });

  test('names every wrong variable at once, each with what was expected', () => {
    const wrong = {
      EMBEDDING_DEVICE: 'tpu',
      EMBEDDING_DEVICE_ID: 'first',
      EMBEDDING_GPU_MEMORY: 'half',
      EMBEDDING_DTYPE: 'int4',
      EMBEDDING_BATCH_SIZE: '0',
      EMBEDDING_THREADS: 'all',
      REEMBED_BATCH_ROWS: '1e3',
      REEMBED_BATCH_BYTES: '12',
      REEMBED_MAX_RETRIES: '-1',
      REEMBED_CONCURRENCY: '65',
      REEMBED_TIME_LIMIT: 'soon',
      REEMBED_MAX_QUARANTINED: 'few',
      REEMBED_ROLLBACK: 'yes',
      REEMBED_STATE_SCHEMA: 'x'.repeat(64),
      REEMBED_LEASE_SECONDS: '1',
      REEMBED_GATE: 'strict',
      REEMBED_LOG: 'xml',
    };
    const { message, code } = failure(() => loadRuntimeSettings(wrong));
    expect(code).toBe('config_invalid');
    expect(message).toMatch(/^The environment has 17 problems:\n/);
    for (const name of Object.keys(wrong)) expect(message).toMatch(new RegExp(`^  ${name} is .+, expected `, 'm'));
    expect(message).toContain('REEMBED_BATCH_ROWS is "1e3", expected a whole number from 1 to 100000');
  });

  test('never repeats a URL, which may hold a password', () => {
    const env = { DATABASE_URL: 'mysql://app:s3cret@db/app', REEMBED_DIRECT_URL: 'app:s3cret@db' };
    const error = failure(() => loadRuntimeSettings(env));
    expect(JSON.stringify([error.message, error.hint, error.context])).not.toContain('s3cret');
    expect(error.message).toContain("DATABASE_URL is not understood, expected 'embedded' or a URL such as postgres://");
    expect(error.message).toContain('REEMBED_DIRECT_URL is not understood, expected a URL');
  });
});

describe('the database', () => {
  test('is never guessed: unset names both ways', () => {
    const error = failure(() => requireDatabaseUrl(loadRuntimeSettings({})));
    expect(error.code).toBe('database_url_missing');
    expect(error.hint).toContain('DATABASE_URL=embedded');
    expect(error.hint).toContain('DATABASE_URL=postgres://');
  });

  test('is reached past a pooler where REEMBED_DIRECT_URL says so', () => {
    const pooled = { DATABASE_URL: 'postgres://pooler/app' };
    expect(serverSettings(loadRuntimeSettings(pooled)).connectionString).toBe('postgres://pooler/app');
    const direct = { ...pooled, REEMBED_DIRECT_URL: 'postgresql:///app?host=/run/postgresql' };
    expect(serverSettings(loadRuntimeSettings(direct)).connectionString).toBe('postgresql:///app?host=/run/postgresql');
  });
});

test('every variable is documented, in docs/configuration.md and in .env.example', () => {
  const root = join(import.meta.dirname, '../../..');
  for (const file of ['docs/configuration.md', '.env.example']) {
    const text = readFileSync(join(root, file), 'utf8');
    const missing = [...runtimeVariables, ...referenceVariables].filter(
      (name) => !new RegExp(`\\b${name}\\b`).test(text),
    );
    expect(missing, file).toEqual([]);
  }
});
