import { randomBytes } from 'node:crypto';
import { hostname } from 'node:os';
import { setTimeout as sleep } from 'node:timers/promises';
import type { Queryable } from '../db/types.ts';
import { BusyError, type Step } from '../errors.ts';
import { quoteIdentifier } from '../sql/identifiers.ts';
import { type MigrationContext, throwIfStopped } from './context.ts';
import { startHeartbeat } from './heartbeat.ts';
import { heldKnexLock } from './knex-lock.ts';
import { readOwnerSession } from './owner-session.ts';

/** A lease as the state has it. */
export interface LeaseRow {
  readonly token: string;
  readonly holder: string | null;
  readonly step: string | null;
  readonly expires: string | null;
  readonly expired: boolean;
}

/** The right to change one migration, until it is released or lost. */
export interface Lease {
  /** The fencing token: grows with every owner; each write checks it. */
  readonly token: string;
  /** Aborts when another process has taken over. */
  readonly lost: AbortSignal;
  /** Ends the work but keeps the row alive with the process, so that a knex lock left by its death can be told from a living run's. */
  park(): Promise<void>;
  release(): Promise<void>;
}

/** Marks a step that is over: the lease may be taken at once, and still names the process that holds knex's lock. */
export const PARKED = 'after ';
/** Ends the name of a holder that works under knex, and so has knex's lock; others never have it. */
export const UNDER_KNEX = ':knex';
const POLL_MS = 250;
/** A sync worker gives the lease back after every pass, of about two seconds each: it is waited for, not given way to. */
const SYNC_WAIT_MS = 60_000;

/** The lease of a migration, or undefined when nobody ever held one. */
export async function readLease(db: Queryable, stateSchema: string, id: string): Promise<LeaseRow | undefined> {
  const { rows } = await db.query<LeaseRow>(
    `SELECT token, holder, step, expires, COALESCE(expires < pg_catalog.clock_timestamp(), true) AS expired
     FROM ${quoteIdentifier(stateSchema)}.leases WHERE migration_id = $1`,
    [id],
  );
  return rows[0];
}

/**
 * For the inside of a transaction that changes more than rows: nobody can take the lease over before it ends.
 *
 * @throws BusyError `lease_lost` when the token is no longer the newest
 */
export async function assertLease(tx: Queryable, stateSchema: string, id: string, token: string): Promise<void> {
  const { rows } = await tx.query<{ token: string }>(
    `SELECT token FROM ${quoteIdentifier(stateSchema)}.leases WHERE migration_id = $1 FOR SHARE`,
    [id],
  );
  if (rows[0]?.token === token) return;
  throw new BusyError('lease_lost', `Another process took over the migration "${id}".`, {
    hint: 'Look at it with "reembed status".',
  });
}

/** Who works, in words: `expand by host:123`. */
export function describeLease(lease: Pick<LeaseRow, 'holder' | 'step'>): string {
  return `${lease.step ?? 'a step'} by ${lease.holder ?? 'an unknown process'}`;
}

/**
 * Takes the migration's lease and keeps it alive from a connection of its own. A holder that died is waited for until its lease
 * ends (`leaseSeconds` at most); one that is seen to renew it is alive, and then this process gives way, except to a sync worker: its
 * pass is waited for. A sync worker itself takes no parked lease, which names the process that holds knex's lock.
 *
 * @throws BusyError `migration_busy` naming the holder
 */
export async function acquireLease(ctx: MigrationContext, step: Step): Promise<Lease> {
  const mark = ctx.knexLock === undefined ? '' : UNDER_KNEX;
  const holder = `${hostname()}:${process.pid}:${randomBytes(3).toString('hex')}${mark}`;
  const started = performance.now();
  let announced = false;
  let firstExpires: string | null | undefined;
  for (;;) {
    const before = await readLease(ctx.db, ctx.runtime.stateSchema, ctx.definition.id);
    const token = await tryTake(ctx, step, holder);
    if (token !== undefined) {
      return keepAlive(ctx, step, holder, token, { isLeft: before !== undefined && wasLeft(before) });
    }
    const current = await readLease(ctx.db, ctx.runtime.stateSchema, ctx.definition.id);
    if (current === undefined || current.expired) continue;
    firstExpires ??= current.expires;
    const passing = current.step === 'sync' && performance.now() - started < SYNC_WAIT_MS;
    const parked = step === 'sync' && current.step?.startsWith(PARKED) === true;
    if (parked || (current.expires !== firstExpires && !passing)) throw busy(ctx, current);
    if (!announced)
      ctx.onProgress({
        kind: 'notice',
        message: `Waiting for ${describeLease(current)} to end or to be declared dead.`,
      });
    announced = true;
    await sleep(POLL_MS);
    throwIfStopped(ctx, step);
  }
}

function busy(ctx: MigrationContext, lease: LeaseRow): BusyError {
  return new BusyError(
    'migration_busy',
    `The migration "${ctx.definition.id}" is being worked on: ${describeLease(lease)}.`,
    {
      hint: 'Wait for it to end, or look at it with "reembed status".',
      context: { holder: lease.holder, step: lease.step, expires: lease.expires },
    },
  );
}

/** On the embedded database the lock file of the data directory has already shut out every other process. */
async function tryTake(ctx: MigrationContext, step: Step, holder: string): Promise<string | undefined> {
  const mine = `${hostname()}:${process.pid}:%`;
  const knexLock = await heldKnexLock(ctx.db, ctx.knexLock);
  const { rows } = await ctx.db.query<{ token: string }>(
    `INSERT INTO ${quoteIdentifier(ctx.runtime.stateSchema)}.leases AS l (migration_id, token, holder, step, expires, knex_lock)
     VALUES ($1, 1, $2, $3, pg_catalog.clock_timestamp() + pg_catalog.make_interval(secs => $4), $7)
     ON CONFLICT (migration_id) DO UPDATE SET token = l.token + 1, holder = EXCLUDED.holder, step = EXCLUDED.step,
         expires = EXCLUDED.expires, knex_lock = EXCLUDED.knex_lock
       WHERE l.holder IS NULL OR l.expires IS NULL OR l.expires < pg_catalog.clock_timestamp()
         OR (l.step LIKE '${PARKED}%' AND EXCLUDED.step <> 'sync') OR ($5::boolean AND l.holder NOT LIKE $6)
     RETURNING l.token`,
    [ctx.definition.id, holder, step, ctx.runtime.leaseSeconds, ctx.db.embedded, mine, knexLock],
  );
  return rows[0]?.token;
}

async function keepAlive(
  ctx: MigrationContext,
  step: Step,
  holder: string,
  token: string,
  { isLeft }: { readonly isLeft: boolean },
): Promise<Lease> {
  const lost = new AbortController();
  const heartbeat = await startHeartbeat(
    {
      db: ctx.db,
      stateSchema: ctx.runtime.stateSchema,
      migrationId: ctx.definition.id,
      token,
      leaseSeconds: ctx.runtime.leaseSeconds,
      onLost: () => lost.abort(lostTo(ctx.definition.id, holder)),
    },
    step,
  );
  if (isLeft && !heartbeat.isMarked()) await announceEarlierOwner(ctx);
  return {
    token,
    lost: lost.signal,
    park: () => heartbeat.relabel(`${PARKED}${step}`),
    release: () => heartbeat.stop(),
  };
}

/** Its time ran out while a step was at work. */
function wasLeft({ holder, step, expired }: LeaseRow): boolean {
  return holder !== null && expired && step?.startsWith(PARKED) !== true;
}

/** Stopped past its lease, or its connection hangs. Its token is an old one: whatever it sends writes nothing. */
async function announceEarlierOwner({ db, definition, runtime, onProgress }: MigrationContext): Promise<void> {
  const pid = await readOwnerSession(db, runtime.stateSchema, definition.id).catch(() => undefined);
  if (pid === undefined) return;
  const message = `The session of an earlier run (pid ${pid}) is still connected: that run is stopped or stuck, and can no longer write.`;
  onProgress({ kind: 'notice', message });
}

function lostTo(id: string, holder: string): BusyError {
  return new BusyError('lease_lost', `Another process took over the migration "${id}" from ${holder}.`, {
    hint: 'Look at it with "reembed status".',
  });
}
