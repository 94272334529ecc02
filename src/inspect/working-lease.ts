import type { Queryable } from '../db/types.ts';
import { type LeaseRow, PARKED, readLease } from '../state/lease.ts';

/** The lease of a step that is at work, or was when its process died; undefined when none is. */
export async function readWorkingLease(
  db: Queryable,
  stateSchema: string,
  id: string,
): Promise<(LeaseRow & { readonly holder: string }) | undefined> {
  const lease = await readLease(db, stateSchema, id);
  if (lease === undefined || lease.holder === null || lease.step?.startsWith(PARKED) === true) return undefined;
  return { ...lease, holder: lease.holder };
}
