import type { Queryable } from '../db/types.ts';
import { type LeaseRow, readLease } from '../state/lease.ts';

/** A process under knex keeps its lease after its step, parked under `after <step>`, until it ends. */
const PARKED = 'after ';

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
