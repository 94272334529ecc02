import { envBytes, envDuration, envNumber, envOneOf, envOrOff, envWhole } from './env-values.ts';
import type { ThrottleSettings } from './types.ts';

/** Variables about the database's health; `docs/configuration.md` lists them, `docs/neighbours.md` explains them. */
export const throttleShape = {
  REEMBED_THROTTLE: envOneOf('auto', 'off'),
  REEMBED_THROTTLE_ARCHIVE: envOrOff(envWhole(1, 1_000_000)),
  REEMBED_THROTTLE_WAL: envOrOff(envBytes(1024, 1024 ** 4)),
  REEMBED_THROTTLE_REPLICA_LAG: envOrOff(envDuration()),
  REEMBED_THROTTLE_REPLICA_BYTES: envOrOff(envBytes(1024, 1024 ** 5)),
  REEMBED_THROTTLE_SLOTS: envOrOff(envBytes(1024, 1024 ** 5)),
  REEMBED_THROTTLE_VACUUM: envOneOf('on', 'off'),
  REEMBED_THROTTLE_TRANSACTION: envOrOff(envDuration()),
  REEMBED_THROTTLE_CONNECTIONS: envOrOff(envNumber(1, 100)),
  REEMBED_THROTTLE_LATENCY: envOrOff(envNumber(1, 1000)),
};

type Values = {
  readonly [K in keyof typeof throttleShape]?: ReturnType<(typeof throttleShape)[K]['parse']>;
};

export function throttleSettings(values: Values): ThrottleSettings {
  return {
    enabled: values.REEMBED_THROTTLE !== 'off',
    limits: {
      // What GitLab puts its own background migrations on hold at.
      archive: limit(values.REEMBED_THROTTLE_ARCHIVE, 42),
      wal: limit(values.REEMBED_THROTTLE_WAL, 128 * 1024 ** 2),
      replicaLag: seconds(limit(values.REEMBED_THROTTLE_REPLICA_LAG, 10_000)),
      replicaBytes: limit(values.REEMBED_THROTTLE_REPLICA_BYTES, 1024 ** 3),
      slots: limit(values.REEMBED_THROTTLE_SLOTS, 10 * 1024 ** 3),
      vacuum: values.REEMBED_THROTTLE_VACUUM === 'off' ? undefined : 0,
      transaction: seconds(limit(values.REEMBED_THROTTLE_TRANSACTION, 600_000)),
      connections: limit(values.REEMBED_THROTTLE_CONNECTIONS, 50),
      latency: limit(values.REEMBED_THROTTLE_LATENCY, 5),
    },
  };
}

function limit(value: number | 'off' | undefined, byDefault: number): number | undefined {
  return value === 'off' ? undefined : (value ?? byDefault);
}

function seconds(milliseconds: number | undefined): number | undefined {
  return milliseconds === undefined ? undefined : milliseconds / 1000;
}
