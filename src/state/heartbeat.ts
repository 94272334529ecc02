import type { Database, Session } from '../db/types.ts';
import { quoteIdentifier } from '../sql/identifiers.ts';

export interface HeartbeatOptions {
  readonly db: Database;
  readonly stateSchema: string;
  readonly migrationId: string;
  readonly token: string;
  readonly leaseSeconds: number;
  /** Called once when the token is no longer the newest. */
  readonly onLost: () => void;
}

export interface Heartbeat {
  /** Changes what the lease says its holder does, at once. */
  relabel(step: string): Promise<void>;
  /** Ends the lease and its connection. */
  stop(): Promise<void>;
}

const BEATS_PER_LEASE = 4;

/**
 * Renews a lease from a connection of its own: one that shares the work's connections is late when they are busy. It does not keep
 * the process running, except while somebody waits for it.
 */
export async function startHeartbeat(options: HeartbeatOptions, step: string): Promise<Heartbeat> {
  const { db, migrationId, token, leaseSeconds } = options;
  const leases = `${quoteIdentifier(options.stateSchema)}.leases`;
  let label = step;
  let session: Session | undefined;
  let beating: Promise<void> | undefined;

  async function withSession<T>(work: (session: Session) => Promise<T>): Promise<T | undefined> {
    try {
      session ??= await db.openSession();
      return await work(session);
    } catch {
      // A broken connection is made anew at the next beat; until then the fencing token protects the data.
      await session?.close().catch(() => undefined);
      session = undefined;
      return undefined;
    }
  }

  async function beat(): Promise<void> {
    const renewed = await withSession((opened) =>
      opened.query(
        `UPDATE ${leases} SET step = $4, expires = pg_catalog.clock_timestamp() + pg_catalog.make_interval(secs => $3)
         WHERE migration_id = $1 AND token = $2`,
        [migrationId, token, leaseSeconds, label],
      ),
    );
    session?.keepProcess(false);
    if (renewed === undefined || renewed.rowCount > 0) return;
    clearInterval(timer);
    options.onLost();
  }

  const timer = setInterval(
    () => {
      beating ??= beat().finally(() => {
        beating = undefined;
      });
    },
    (leaseSeconds * 1000) / BEATS_PER_LEASE,
  );
  timer.unref();
  await withSession(async (opened) => opened.keepProcess(false));

  return {
    async relabel(to) {
      label = to;
      session?.keepProcess(true);
      await beating;
      session?.keepProcess(true);
      await beat();
    },
    async stop() {
      clearInterval(timer);
      session?.keepProcess(true);
      await beating;
      await withSession((opened) => {
        opened.keepProcess(true);
        return opened.query(
          `UPDATE ${leases} SET holder = NULL, step = NULL, expires = NULL WHERE migration_id = $1 AND token = $2`,
          [migrationId, token],
        );
      });
      await session?.close().catch(() => undefined);
    },
  };
}
