import { megabytes, number } from '../amounts.ts';
import type { SignalName } from '../config/types.ts';
import { plural } from '../plural.ts';
import type { SignalReading } from '../state/throttle-look.ts';

/** How a signal is judged and named. */
export interface Signal {
  /** As in `Paused: 132 WAL segments wait for the archive, limit 42`. */
  readonly describe: (value: number, limit: number) => string;
  /** As in `status`. */
  readonly label: string;
  readonly format: (value: number) => string;
  readonly source: string;
  /** The variable with its limit. */
  readonly variable: string;
  /** A signal that pauses slows from half of its limit on; one that only slows does so from the limit. */
  readonly pauses: boolean;
  /** The smallest share of the time to which it slows. */
  readonly floor: number;
}

const seconds = (value: number): string => `${Number(value.toPrecision(2))} s`;
const rate = (value: number): string =>
  value < 2 ** 20 ? `${Math.round(value / 1024)} kB/s` : `${megabytes(value)}/s`;
const times = (value: number): string => `${Number(value.toPrecision(2))} times`;

/** A long transaction, a vacuum and slow statements do not end sooner because we stand still, so they never pause the run. */
export const SIGNALS: Readonly<Record<SignalName, Signal>> = {
  archive: {
    label: 'WAL archive',
    describe: (value) => `${number(value)} WAL ${plural(value, 'segment waits', 'segments wait')} for the archive`,
    format: (value) => `${number(value)} waiting`,
    source: 'pg_stat_archiver',
    variable: 'REEMBED_THROTTLE_ARCHIVE',
    pauses: true,
    floor: 0.1,
  },
  wal: {
    label: 'WAL written',
    describe: (value) => `the server writes ${rate(value)} of WAL`,
    format: rate,
    source: 'pg_current_wal_lsn()',
    variable: 'REEMBED_THROTTLE_WAL',
    pauses: false,
    floor: 0.1,
  },
  replicaLag: {
    label: 'Replica lag',
    describe: (value) => `a replica is ${seconds(value)} behind`,
    format: seconds,
    source: 'pg_stat_replication',
    variable: 'REEMBED_THROTTLE_REPLICA_LAG',
    pauses: true,
    floor: 0.1,
  },
  replicaBytes: {
    label: 'Replica behind by',
    describe: (value) => `a replica is ${megabytes(value)} of WAL behind`,
    format: megabytes,
    source: 'pg_stat_replication',
    variable: 'REEMBED_THROTTLE_REPLICA_BYTES',
    pauses: true,
    floor: 0.1,
  },
  slots: {
    label: 'Kept for slots',
    describe: (value) => `a replication slot keeps ${megabytes(value)} of WAL`,
    format: megabytes,
    source: 'pg_replication_slots',
    variable: 'REEMBED_THROTTLE_SLOTS',
    pauses: true,
    floor: 0.1,
  },
  vacuum: {
    label: 'Vacuum of the table',
    describe: () => 'a vacuum works on the table',
    format: (value) => (value > 0 ? 'at work' : 'none'),
    source: 'pg_stat_progress_vacuum',
    variable: 'REEMBED_THROTTLE_VACUUM',
    pauses: false,
    floor: 0.5,
  },
  transaction: {
    label: 'Longest transaction',
    describe: (value) => `a transaction has been open for ${seconds(value)}`,
    format: seconds,
    source: 'pg_stat_activity',
    variable: 'REEMBED_THROTTLE_TRANSACTION',
    pauses: false,
    floor: 0.25,
  },
  connections: {
    label: 'Busy connections',
    describe: (value) => `${number(value)}% of max_connections are busy`,
    format: (value) => `${number(value)}%`,
    source: 'pg_stat_activity',
    variable: 'REEMBED_THROTTLE_CONNECTIONS',
    pauses: true,
    floor: 0.1,
  },
  latency: {
    label: 'Own writes',
    describe: (value) => `a row takes ${times(value)} as long to write as before`,
    format: (value) => `${times(value)} the usual`,
    source: 'reembed itself',
    variable: 'REEMBED_THROTTLE_LATENCY',
    pauses: false,
    floor: 0.25,
  },
};

/** `132 WAL segments wait for the archive, limit 42`. */
export function describeReading({ name, value, limit }: SignalReading): string {
  const signal = SIGNALS[name];
  const text = signal.describe(value ?? 0, limit);
  return name === 'vacuum' ? text : `${text}, limit ${formatLimit(name, limit)}`;
}

/** A signal's limit in its own words: `42`, `10 s`, `1 GB`. */
export function formatLimit(name: SignalName, limit: number): string {
  if (name === 'archive') return number(limit);
  if (name === 'vacuum') return 'none';
  return name === 'latency' ? times(limit) : SIGNALS[name].format(limit);
}
