import type { SignalName, ThrottleSettings } from '../config/types.ts';
import type { Queryable } from '../db/types.ts';
import { databaseHealthSql, type HealthOptions, healthRightsSql } from '../sql/database-health.ts';
import { tableSql, type VectorTarget } from '../sql/target.ts';
import type { SignalReading } from '../state/throttle-look.ts';
import type { Latency } from './latency.ts';
import { SIGNALS } from './signals.ts';

interface Rights {
  /** Whether other roles' sessions are shown to this one. */
  readonly seesOthers: boolean;
  readonly archives: boolean;
  readonly seesArchive: boolean;
  /** `max_slot_wal_keep_size` in bytes; null without a limit. */
  readonly slotBytes: number | null;
  readonly role: string;
}

type Values = Readonly<Record<Exclude<SignalName, 'wal' | 'latency'>, number | null>> & {
  readonly walPosition: number;
  readonly replicas: number;
};

export interface HealthReader {
  /** One look; about a millisecond of the server's time. */
  read(): Promise<readonly SignalReading[]>;
  readonly role: string;
}

const NEEDS_MONITOR = 'this role does not see it without pg_monitor';

/**
 * Reads what the server says about its health, as far as this role sees it: a value that it does not see is null and says why, and is never
 * taken for a good one.
 */
export async function openHealthReader(
  db: Queryable,
  target: Pick<VectorTarget, 'schema' | 'table'>,
  settings: ThrottleSettings,
  latency: Latency,
  now: () => number = () => performance.now(),
): Promise<HealthReader> {
  const { rows } = await db.query<Rights>(healthRightsSql());
  const [rights] = rows;
  if (rights === undefined) throw new Error('the server said nothing about this role');
  let archive = archiveOption(rights, settings);
  let before: { readonly position: number; readonly at: number } | undefined;

  async function ask(): Promise<Values | undefined> {
    return (await db.query<Values>(databaseHealthSql({ archive }), [tableSql(target)])).rows[0];
  }

  return {
    role: rights.role,
    async read() {
      const values = await ask().catch((error: unknown) => {
        if (archive !== 'ready') throw error;
        // Of all signals this one reads files: some services do not let, and where very many wait it takes too long.
        archive = 'last';
        return ask();
      });
      if (values === undefined) throw new Error('the server said nothing about its health');
      const at = now();
      const wal = before === undefined ? null : ((values.walPosition - before.position) / (at - before.at)) * 1000;
      before = { position: values.walPosition, at };
      const readings = judge(values, rights, archive, wal, latency.ratio());
      return readings.flatMap(({ name, ...reading }) => {
        const limit = limitOf(name, settings, rights);
        return limit === undefined ? [] : [{ name, limit, source: sourceOf(name, archive), ...reading }];
      });
    },
  };
}

function archiveOption(rights: Rights, settings: ThrottleSettings): HealthOptions['archive'] {
  if (!rights.archives || settings.limits.archive === undefined) return 'none';
  return rights.seesArchive ? 'ready' : 'last';
}

type Judged = Pick<SignalReading, 'name' | 'value'> & { readonly unknown?: string };

function judge(
  values: Values,
  { seesOthers }: Rights,
  archive: HealthOptions['archive'],
  wal: number | null,
  latency: number | undefined,
): Judged[] {
  const ofOthers = (name: Exclude<SignalName, 'wal' | 'latency'>): Judged =>
    seesOthers ? { name, value: values[name] ?? 0 } : { name, value: null, unknown: NEEDS_MONITOR };
  const ofReplicas = (name: 'replicaLag' | 'replicaBytes'): Judged =>
    // That there is none is seen by every role.
    values.replicas === 0 ? { name, value: 0 } : ofOthers(name);
  return [
    values.archive === null
      ? {
          name: 'archive',
          value: null,
          unknown: 'pg_stat_archiver names no segment, and this role may not look at pg_wal',
        }
      : { name: 'archive', value: archive === 'none' ? 0 : values.archive },
    wal === null ? { name: 'wal', value: null, unknown: 'it takes two looks' } : { name: 'wal', value: wal },
    ofReplicas('replicaLag'),
    ofReplicas('replicaBytes'),
    { name: 'slots', value: Math.max(0, values.slots ?? 0) },
    ofOthers('vacuum'),
    ofOthers('transaction'),
    ofOthers('connections'),
    latency === undefined
      ? { name: 'latency', value: null, unknown: 'too few writes so far' }
      : { name: 'latency', value: latency },
  ];
}

/** Where the server itself gives slots up, the run stops at half of the way there. */
function limitOf(name: SignalName, settings: ThrottleSettings, rights: Rights): number | undefined {
  const limit = settings.limits[name];
  if (name !== 'slots' || limit === undefined || rights.slotBytes === null) return limit;
  return Math.min(limit, rights.slotBytes / 2);
}

function sourceOf(name: SignalName, archive: HealthOptions['archive']): string {
  return name === 'archive' && archive === 'ready' ? 'pg_ls_archive_statusdir()' : SIGNALS[name].source;
}
