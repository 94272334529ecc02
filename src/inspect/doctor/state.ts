import type { Queryable } from '../../db/types.ts';
import { plural } from '../../plural.ts';
import { describeLease } from '../../state/lease.ts';
import { listQuarantine } from '../../state/quarantine.ts';
import { type Finding, warningFinding } from '../finding.ts';
import { reconcile } from '../reconcile.ts';
import { readWorkingLease } from '../working-lease.ts';
import { type Examined, type Look, seen } from './look.ts';

const LISTED = 100;

/** reembed's own state: a dead process's lease, quarantine, and whether the catalog bears the phase out. */
export async function lookAtState({ ctx, table, record, records }: Examined, tx: Queryable): Promise<Look> {
  const { stateSchema } = ctx.runtime;
  const { phase, warnings } = reconcile(ctx.definition, table, records);
  const findings: Finding[] = warnings.map((warning) =>
    warningFinding('state_mismatch', warning, 'Run "reembed status" for what is there.'),
  );
  if (record === undefined) return seen(`phase ${phase}`, findings);
  const lease = await readWorkingLease(tx, stateSchema, record.id);
  if (lease?.expired === true) {
    findings.push(
      warningFinding(
        'lease_expired',
        `A process ended without giving back its lease: ${describeLease(lease)}.`,
        'Nothing is to be done: the next run takes over where it stopped.',
      ),
    );
  }
  const quarantined = await listQuarantine(tx, stateSchema, record.id, LISTED);
  const [first] = quarantined;
  if (first !== undefined) {
    const count =
      quarantined.length === LISTED
        ? `${LISTED} or more rows`
        : `${quarantined.length} ${plural(quarantined.length, 'row')}`;
    findings.push(
      warningFinding(
        'quarantine',
        `${count} could not be embedded, e.g. ${first.key.join(', ')}: ${first.reason}.`,
        'Correct their text and run "reembed backfill", or let 007 go on with REEMBED_MAX_QUARANTINED.',
      ),
    );
  }
  return seen(`phase ${phase}`, findings);
}
