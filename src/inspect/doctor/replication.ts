import { megabytes } from '../../amounts.ts';
import type { Queryable } from '../../db/types.ts';
import { plural } from '../../plural.ts';
import { type Finding, warningFinding } from '../finding.ts';
import { type Examined, type Look, seen, unseen } from './look.ts';

interface Slot {
  readonly name: string;
  readonly active: boolean;
  /** `reserved`, `extended`, `unreserved` or `lost`; null for a slot that keeps nothing yet. */
  readonly status: string | null;
  /** Bytes of WAL that are kept for it. */
  readonly kept: number | null;
}

interface Replica {
  readonly name: string | null;
  /** Bytes that it has not replayed yet; null where this role may not see it. */
  readonly behind: number | null;
}

/** A replica that is further behind than this is named. */
const LAG_BYTES = 64 * 2 ** 20;

/** Slots that keep WAL and replicas that lag: the backfill writes every row once, and they have to take it. */
export async function lookAtReplication({ facts }: Examined, tx: Queryable): Promise<Look> {
  if (facts.server.standby) return unseen('this server is a standby: only the primary knows its slots and replicas');
  const { rows: slots } = await tx.query<Slot>(
    `SELECT slot_name AS name, active, wal_status AS status,
       pg_catalog.pg_wal_lsn_diff(pg_catalog.pg_current_wal_lsn(), restart_lsn)::float8 AS kept
     FROM pg_catalog.pg_replication_slots WHERE NOT temporary ORDER BY slot_name`,
  );
  const { rows: replicas } = await tx.query<Replica>(
    `SELECT application_name AS name, pg_catalog.pg_wal_lsn_diff(pg_catalog.pg_current_wal_lsn(),
       COALESCE(replay_lsn, flush_lsn, write_lsn, sent_lsn))::float8 AS behind
     FROM pg_catalog.pg_stat_replication ORDER BY 1`,
  );
  const findings = [...slots.flatMap(slotFindings), ...replicas.flatMap(lagFindings)];
  const hidden = replicas.filter((replica) => replica.behind === null).length;
  if (hidden > 0) {
    return unseen(
      `how far ${hidden} ${plural(hidden, 'replica is', 'replicas are')} behind is hidden from this role: GRANT pg_monitor to see it`,
      findings,
    );
  }
  return seen(
    `${slots.length} ${plural(slots.length, 'slot')}, ${replicas.length} ${plural(replicas.length, 'replica')}`,
    findings,
  );
}

function slotFindings({ name, active, status, kept }: Slot): Finding[] {
  if (status === 'lost' || status === 'unreserved') {
    const what = status === 'lost' ? 'has lost WAL that it needs' : 'is about to lose WAL that it needs';
    return [
      warningFinding(
        'slot_lost',
        `The replication slot "${name}" ${what} (wal_status ${status}).`,
        `Set its consumer up again, or run "SELECT pg_drop_replication_slot('${name}')" if nobody needs it; max_slot_wal_keep_size is the limit.`,
      ),
    ];
  }
  if (active || kept === null) return [];
  return [
    warningFinding(
      'slot_inactive',
      `Nobody reads the replication slot "${name}", which keeps ${megabytes(Math.max(0, kept))} of WAL.`,
      `Start its consumer, or run "SELECT pg_drop_replication_slot('${name}')" if nobody needs it.`,
    ),
  ];
}

function lagFindings({ name, behind }: Replica): Finding[] {
  if (behind === null || behind < LAG_BYTES) return [];
  return [
    warningFinding(
      'replica_lag',
      `The replica "${name ?? ''}" is ${megabytes(behind)} of WAL behind.`,
      'Let it catch up first; REEMBED_CONCURRENCY=1 and REEMBED_WRITERS=1 slow the backfill down.',
    ),
  ];
}
