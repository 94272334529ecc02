import type { Database, Session } from '../db/types.ts';
import { quoteIdentifier } from '../sql/identifiers.ts';
import { markOwnerSession } from './owner-session.ts';

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
  /** False while the session of an earlier owner is still connected. */
  isMarked(): boolean;
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
  const { migrationId, token, leaseSeconds } = options;
  // Behind a dead connection a beat would wait for minutes; by then the lease is over, and a new connection may be had.
  const answer = { answerWithinMs: leaseSeconds * 1000 };
  const leases = `${quoteIdentifier(options.stateSchema)}.leases`;
  // All connections of the embedded database are one session, which a mark would outlive.
  const mark = async (session: Session): Promise<boolean> =>
    options.db.embedded || markOwnerSession(session, options.stateSchema, migrationId);
  const own = createOwnSession(options.db, mark);
  let label = step;
  let beating: Promise<void> | undefined;

  async function beat(): Promise<void> {
    const renewed = await own.use((session) =>
      session.query(
        `UPDATE ${leases} SET step = $4, expires = pg_catalog.clock_timestamp() + pg_catalog.make_interval(secs => $3)
         WHERE migration_id = $1 AND token = $2`,
        [migrationId, token, leaseSeconds, label],
        answer,
      ),
    );
    own.keepProcess(false);
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
  await own.use(async (session) => session.keepProcess(false));

  return {
    isMarked: own.isMarked,
    async relabel(to) {
      label = to;
      own.keepProcess(true);
      await beating;
      own.keepProcess(true);
      await beat();
    },
    async stop() {
      clearInterval(timer);
      own.keepProcess(true);
      await beating;
      await own.use((session) => {
        session.keepProcess(true);
        return session.query(
          `UPDATE ${leases} SET holder = NULL, step = NULL, expires = NULL WHERE migration_id = $1 AND token = $2`,
          [migrationId, token],
          answer,
        );
      });
      await own.close();
    },
  };
}

interface OwnSession {
  /** Undefined when the connection failed: it is made anew at the next use. */
  use<T>(work: (session: Session) => Promise<T>): Promise<T | undefined>;
  isMarked(): boolean;
  /** Does nothing while there is no connection. */
  keepProcess(keep: boolean): void;
  close(): Promise<void>;
}

function createOwnSession(db: Database, mark: (session: Session) => Promise<boolean>): OwnSession {
  let session: Session | undefined;
  let marked = false;
  return {
    async use(work) {
      try {
        session ??= await db.openSession();
        marked ||= await mark(session);
        return await work(session);
      } catch {
        // Until the next beat has a connection again, the fencing token protects the data.
        await session?.close().catch(() => undefined);
        session = undefined;
        marked = false;
        return undefined;
      }
    },
    isMarked: () => marked,
    keepProcess: (keep) => session?.keepProcess(keep),
    async close() {
      await session?.close().catch(() => undefined);
    },
  };
}
